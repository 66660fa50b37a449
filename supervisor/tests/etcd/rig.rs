//! Masters that are processes of etcd, each with its own address, data directory, certificates and state directory.

use std::fs::File;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use supervisor::backend::{Fault, Readiness};
use supervisor::certs;
use supervisor::etcd::decision::Start;
use supervisor::etcd::{Member, Node, Progress, Settings, Survey};
use tokio::time::{Instant, sleep};

/// Long enough for a machine that does much else.
pub const PATIENCE: Duration = Duration::from_secs(90);
const PAUSE: Duration = Duration::from_millis(50);

/// Three etcds at a time are enough for one machine.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
static NUMBER: AtomicU16 = AtomicU16::new(0);

/// A cluster that ends with the test.
pub struct Rig {
    pub masters: Vec<Master>,
    pub folder: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

/// One master.
pub struct Master {
    pub etcd: Member,
    pub log: PathBuf,
    state_dir: PathBuf,
    process: Option<Child>,
}

impl Rig {
    /// Masters `m1`, `m2`, ... that know of each other; nothing runs. `None` where etcd is not installed.
    pub fn new(count: u8) -> Option<Self> {
        Self::with(count, |_| {})
    }

    /// The same, with changed settings.
    pub fn with(count: u8, change: impl Fn(&mut Settings)) -> Option<Self> {
        if !allowed() {
            return None;
        }
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("mainstay-etcd-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let nodes: Vec<Node> = (1..=count).map(|index| node(index, number)).collect();
        let masters = nodes.iter().map(|me| Master::new(me, &nodes, &folder, &change)).collect();
        Some(Self { masters, folder, _turn: turn })
    }

    /// Three masters that have bootstrapped a mesh.
    pub async fn mesh_of_three() -> Option<Self> {
        let mut rig = Self::new(3)?;
        rig.bootstrap().await;
        Some(rig)
    }

    /// Bootstraps all masters.
    pub async fn bootstrap(&mut self) {
        for master in &mut self.masters {
            master.etcd.init().await.unwrap();
            assert_eq!(master.start().await.unwrap(), Start::Bootstrap);
        }
        self.ready().await;
    }

    /// Waits until every master whose etcd runs is ready.
    pub async fn ready(&mut self) {
        for master in &mut self.masters {
            if master.process.is_some() {
                master.ready().await;
            }
        }
    }

    /// What the members say, seen from the first master whose etcd runs.
    pub async fn survey(&self) -> Survey {
        let running = self.masters.iter().find(|it| it.process.is_some()).unwrap();
        running.etcd.mesh().survey().await.unwrap()
    }

    /// Waits until the members say something.
    pub async fn until(&self, what: &str, found: impl Fn(&Survey) -> bool) -> Survey {
        let until = Instant::now() + PATIENCE;
        loop {
            let survey = self.survey().await;
            if found(&survey) {
                return survey;
            }
            assert!(Instant::now() < until, "not {what}: {survey:#?}");
            sleep(PAUSE).await;
        }
    }

    /// All members hold the same keys and values.
    pub async fn same_data(&self) {
        let members = self.survey().await.members;
        let access = self.masters[0].etcd.settings().access();
        let first = access.client(&members[0].client_urls[0]).await.unwrap();
        // A write that all have applied when they answer for its revision.
        let revision = first.put(b"/mark", b"").await.unwrap().header.unwrap().revision;
        let mut hashes = Vec::new();
        for member in &members {
            let client = access.client(&member.client_urls[0]).await.unwrap();
            let until = Instant::now() + PATIENCE;
            loop {
                match client.hash_kv(revision).await {
                    Ok(answer) => break hashes.push(answer.hash),
                    Err(why) => assert!(Instant::now() < until, "{why}"),
                }
                sleep(PAUSE).await;
            }
        }
        assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:?}");
    }

    /// The index of the master that leads.
    pub async fn leader(&self) -> usize {
        let survey = self.until("a leader", |survey| survey.leader.is_some()).await;
        let name = &survey.member(survey.leader.unwrap()).unwrap().name;
        self.masters.iter().position(|it| it.etcd.settings().me.name == *name).unwrap()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        for master in &mut self.masters {
            master.kill();
            if std::thread::panicking() {
                let log = std::fs::read_to_string(&master.log).unwrap_or_default();
                let last: Vec<&str> = log.lines().rev().take(15).collect();
                eprintln!("--- {}", master.log.display());
                last.iter().rev().for_each(|line| eprintln!("{line}"));
            }
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Master {
    fn new(me: &Node, nodes: &[Node], folder: &Path, change: &impl Fn(&mut Settings)) -> Self {
        let root = folder.join(&me.name);
        let others = nodes.iter().filter(|node| node.name != me.name).cloned().collect();
        let mut settings = Settings {
            cluster: "lab".into(),
            me: me.clone(),
            others,
            data_dir: root.join("data"),
            pki: Some(pki(me, &root, &folder.join(&nodes[0].name))),
            metrics_port: None,
            quota: None,
            heartbeat: None,
            // A machine with two cores and much to do is slow at times.
            election: Some(Duration::from_secs(2)),
            extra: Vec::new(),
        };
        change(&mut settings);
        let state_dir = root.join("state");
        let log = root.join("etcd.log");
        Self { etcd: Member::new(settings, state_dir.clone()), log, state_dir, process: None }
    }

    /// What a restart of mainstay makes of it.
    pub fn forget_in_memory(&mut self) {
        self.etcd = Member::new(self.etcd.settings().clone(), self.state_dir.clone());
    }

    /// Starts etcd as mainstay would: the guards first.
    pub async fn start(&mut self) -> Result<Start, Fault> {
        let prepared = self.etcd.prepare().await?;
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let process = Command::new(&prepared.command[0])
            .args(&prepared.command[1..])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap();
        self.process = Some(process);
        Ok(prepared.start)
    }

    /// Waits until etcd is ready.
    pub async fn ready(&mut self) {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.etcd.readiness().await {
                Readiness::Ready => return,
                Readiness::NotReady(why) => {
                    let ended = self.process.as_mut().and_then(|it| it.try_wait().unwrap());
                    assert!(ended.is_none(), "etcd ended ({ended:?}): {why}");
                    assert!(Instant::now() < until, "not ready: {why}");
                }
            }
            sleep(PAUSE).await;
        }
    }

    /// Joins, starts and is promoted.
    pub async fn join(&mut self) {
        self.etcd.join(&Progress::none()).await.unwrap();
        assert!(matches!(self.start().await.unwrap(), Start::Join(_)));
        self.etcd.promote(PATIENCE, &Progress::none()).await.unwrap();
        self.ready().await;
    }

    /// Waits until etcd has ended by itself.
    pub async fn ended(&mut self) {
        let until = Instant::now() + PATIENCE;
        while self.process.as_mut().unwrap().try_wait().unwrap().is_none() {
            assert!(Instant::now() < until, "etcd runs on");
            sleep(PAUSE).await;
        }
        self.process = None;
    }

    /// SIGKILL, as a loss of power.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Everything that the node knew is gone: data and state.
    pub fn lose_everything(&mut self) {
        self.kill();
        let _ = std::fs::remove_dir_all(&self.etcd.settings().data_dir);
        let _ = std::fs::remove_dir_all(&self.state_dir);
        self.forget_in_memory();
    }

    pub fn data_dir(&self) -> &Path {
        &self.etcd.settings().data_dir
    }
}

/// Whether the tests can run here; says so if not.
pub fn allowed() -> bool {
    let missing = ["etcd", "etcdctl"].into_iter().find(|program| {
        Command::new(program)
            .arg("--help")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_err()
    });
    let missing = match missing {
        None if !rustix::process::geteuid().is_root() => "root",
        None => return true,
        Some(program) => program,
    };
    // Not eprintln!, which the test harness keeps to itself.
    let _ = writeln!(std::io::stderr(), "SKIPPED: a real etcd needs {missing}");
    false
}

/// A node with an address of its own and ports that nobody has.
fn node(index: u8, number: u16) -> Node {
    let [high, low] = std::process::id().to_be_bytes()[2..] else { unreachable!() };
    let address = IpAddr::V4(Ipv4Addr::new(127, 64 + high % 64, low, index));
    let mut free = (0..)
        .map(|step| {
            20_000 + (number * 50 + u16::from(low) * 30 + u16::from(index) * 8 + step) % 10_000
        })
        .filter(|port| {
            TcpListener::bind((address, *port)).is_ok()
                && TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok()
        });
    let mut node = Node::new(format!("m{index}"), address);
    (node.client_port, node.peer_port) = (free.next().unwrap(), free.next().unwrap());
    node
}

/// The certificates of a master; the authorities are the first one's.
pub fn pki(me: &Node, root: &Path, first: &Path) -> PathBuf {
    let folder = root.join("pki");
    if root != first {
        for file in
            ["ca.crt", "ca.key", "front-proxy-ca.crt", "front-proxy-ca.key", "sa.key", "sa.pub"]
        {
            copy(&first.join("pki").join(file), &folder.join(file));
        }
        for file in ["etcd/ca.crt", "etcd/ca.key"] {
            copy(&first.join("pki").join(file), &folder.join(file));
        }
    }
    let settings = certs::Settings {
        folder: folder.clone(),
        node: me.name.clone(),
        addresses: vec![me.address],
        api_names: Vec::new(),
        service_domain: "cluster.local".into(),
    };
    let mode = if root == first { certs::Mode::First } else { certs::Mode::Joining };
    certs::issue(&settings, mode, SystemTime::now()).unwrap();
    folder.join("etcd")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    std::fs::copy(from, to).unwrap();
}

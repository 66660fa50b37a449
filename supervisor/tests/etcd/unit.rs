//! The unit `etcd` in a container of a real dockerd, in a network namespace.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lab::docker::{BinaryImage, Dockerd, Setup};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use supervisor::backend::container::{Container, Labels};
use supervisor::backend::{Backend, Identity, Readiness, Running};
use supervisor::docker::Client;
use supervisor::etcd::container::EtcdBackend;
use supervisor::etcd::guard::Force;
use supervisor::etcd::snapshot::Snapshots;
use supervisor::etcd::{Member, Node, Progress, Settings};
use tokio::time::{Instant, sleep};

use super::rig::{PATIENCE, allowed, pki};

const IMAGE: &str = "etcd:lab";
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A network namespace, deleted when dropped.
struct Namespace(String);

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "delete", &self.0]).output();
    }
}

/// A master whose etcd is in a container. Everything is gone when it is dropped.
struct Rig {
    dockerd: Dockerd,
    unit: EtcdBackend,
    namespace: Namespace,
}

impl Rig {
    fn new() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let namespace = Namespace(format!("mainstay-etcd{}-{number}", std::process::id()));
        run("ip", &["netns", "add", &namespace.0]);
        run("ip", &["-n", &namespace.0, "link", "set", "lo", "up"]);
        let folder = std::env::temp_dir().join(&namespace.0);
        let setup = Setup::new(&namespace.0, &folder);
        let client = Client::new(setup.socket());
        let mut dockerd = Dockerd::new(setup).unwrap();
        dockerd.start().unwrap();
        dockerd.import(&BinaryImage::etcd(IMAGE)).unwrap();

        let me = Node::new("m1", IpAddr::from([127, 1, 1, 1]));
        let root = folder.join("m1");
        let settings = Settings {
            cluster: "lab".into(),
            pki: Some(pki(&me, &root, &root)),
            me,
            others: Vec::new(),
            data_dir: root.join("data"),
            metrics_port: Some(2381),
            quota: None,
            heartbeat: None,
            election: None,
            extra: Vec::new(),
        };
        let member = Arc::new(Member::new(settings, root.join("state")));
        let labels = Labels { unit: "etcd".into(), cluster: "lab".into() };
        let unit = EtcdBackend::new(member, Container::new(client, labels, None), IMAGE);
        Self { dockerd, unit, namespace }
    }

    async fn start(&self) -> Running {
        let running = self.unit.start().await.unwrap();
        let until = Instant::now() + PATIENCE;
        while let Readiness::NotReady(why) = self.unit.readiness(&running.identity).await {
            assert!(Instant::now() < until, "not ready: {why}");
            sleep(Duration::from_millis(50)).await;
        }
        running
    }

    fn arguments(&self, running: &Running) -> String {
        self.dockerd.docker(&["inspect", "--format", "{{.Args}}", id(running)]).unwrap()
    }

    fn folder(&self) -> PathBuf {
        self.unit.member().settings().data_dir.parent().unwrap().to_owned()
    }
}

fn id(running: &Running) -> &str {
    let Identity::Container { id, .. } = &running.identity else { panic!("{running:?}") };
    id
}

#[track_caller]
fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {error}");
}

/// Runs a test on a thread in the namespace of its rig, where its etcd listens. The rig ends outside: it waits until the
/// namespace is empty.
fn within<F: Future<Output = ()>>(test: impl FnOnce(Arc<Rig>) -> F + Send + 'static) {
    if !allowed() || !lab::docker::is_installed() {
        return;
    }
    let rig = Arc::new(Rig::new());
    let lent = rig.clone();
    let inside = move || {
        let namespace = std::fs::File::open(format!("/run/netns/{}", lent.namespace.0)).unwrap();
        let kind = Some(LinkNameSpaceType::Network);
        move_into_link_name_space(std::os::fd::AsFd::as_fd(&namespace), kind).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test(lent));
    };
    if let Err(panic) = std::thread::spawn(inside).join() {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn etcd_in_a_container_is_bootstrapped_adopted_explained_and_restored() {
    within(|rig| async move {
        let member = rig.unit.member().clone();
        let refused = rig.unit.start().await.unwrap_err();
        assert!(refused.refused && refused.reason.contains("mainstay init"), "{refused}");

        member.init().await.unwrap();
        let first = rig.start().await;
        assert!(rig.arguments(&first).contains("--initial-cluster-state=new"));
        let before = member.mesh().survey().await.unwrap();

        // A restarted mainstay takes it as it is.
        let adopted = rig.unit.adopt(Some(&first.identity)).await.unwrap().unwrap();
        assert_eq!((adopted.identity, adopted.drift), (first.identity.clone(), None));

        // Killed, it comes back as who it was, and nothing on its command line could make another cluster.
        let ended = rig.unit.ended(&first.identity);
        rig.dockerd.docker(&["kill", id(&first)]).unwrap();
        assert!(!tokio::time::timeout(PATIENCE, ended).await.unwrap().success);
        let second = rig.start().await;
        assert!(!rig.arguments(&second).contains("initial-cluster"), "{}", rig.arguments(&second));
        assert_eq!(second.drift, None);
        let after = member.mesh().survey().await.unwrap();
        assert_eq!((after.cluster, after.leader), (before.cluster, before.leader));

        // A snapshot becomes a new cluster, by the tool of the image.
        let client =
            member.settings().access().client(&member.settings().local_url()).await.unwrap();
        client.put(b"key", b"value").await.unwrap();
        let quiet = Progress::none();
        let snapshots = Snapshots::new(rig.folder().join("snapshots"), 1);
        let taken = member.snapshot(&snapshots, &quiet).await.unwrap();
        rig.unit.stop(&second.identity, Duration::from_secs(20)).await.unwrap();
        let tools = rig.unit.tools();
        member.restore(taken.snapshot.path, &tools, Force::No, &quiet).await.unwrap();
        let third = rig.start().await;
        let restored = member.mesh().survey().await.unwrap();
        assert_ne!(restored.cluster, before.cluster);
        assert_eq!(client.range(range(b"key")).await.unwrap().kvs[0].value, b"value");

        // Its data gone: not started, and told what to do.
        rig.unit.stop(&third.identity, Duration::from_secs(20)).await.unwrap();
        std::fs::remove_dir_all(&member.settings().data_dir).unwrap();
        let refused = rig.unit.start().await.unwrap_err();
        assert!(refused.refused && refused.reason.contains("mainstay etcd replace"), "{refused}");
    });
}

#[test]
fn a_container_of_etcd_that_cannot_run_says_why_in_the_operators_words() {
    within(|rig| async move {
        let member = rig.unit.member().clone();
        member.init().await.unwrap();
        let taken = std::net::TcpListener::bind(member.settings().local_address()).unwrap();
        let running = rig.unit.start().await.unwrap();
        let ended =
            tokio::time::timeout(PATIENCE, rig.unit.ended(&running.identity)).await.unwrap();
        assert!(ended.reason.contains("another program has one of its ports"), "{ended:?}");
        drop(taken);
        rig.start().await;
    });
}

fn range(key: &[u8]) -> supervisor::etcd::rpc::messages::RangeRequest {
    supervisor::etcd::rpc::messages::RangeRequest { key: key.to_vec(), ..Default::default() }
}

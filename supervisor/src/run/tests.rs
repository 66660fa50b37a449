use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::{Command, CommandError, Events, Handle, Happening, Outcome, Supervisor, Units};
use crate::backend::task::{Repeat, Task};
use crate::backend::{Backend, Ended, Fault, Identity, Pending, Readiness, Running};
use crate::unit::{Kind, Name, Spec, Word};

const PATIENCE: Duration = Duration::from_secs(30);

/// Something that runs without a process, and outlives the supervisor as a process would.
#[derive(Clone, Default)]
struct Fake {
    runs: watch::Sender<Option<Identity>>,
    starts: Arc<AtomicU32>,
    is_refused: Arc<Mutex<bool>>,
    started_at: Arc<Mutex<Option<Instant>>>,
    ready_at: Arc<Mutex<Option<Instant>>>,
}

impl Fake {
    fn running(&self) -> Option<Running> {
        let identity = self.runs.borrow().clone()?;
        Some(Running { identity, age: None, drift: None })
    }

    fn starts(&self) -> u32 {
        self.starts.load(Ordering::SeqCst)
    }
}

impl Backend for Fake {
    fn adopt<'a>(&'a self, _: Option<&'a Identity>) -> Pending<'a, Result<Option<Running>, Fault>> {
        Box::pin(async { Ok(self.running()) })
    }

    fn start(&self) -> Pending<'_, Result<Running, Fault>> {
        Box::pin(async {
            *self.started_at.lock().unwrap() = Some(Instant::now());
            if *self.is_refused.lock().unwrap() {
                return Err(Fault::refused("no data: run `mainstay etcd replace`"));
            }
            let id = (self.starts.fetch_add(1, Ordering::SeqCst) + 1).to_string();
            self.runs.send_replace(Some(Identity::Container { id, spec_hash: String::new() }));
            Ok(self.running().unwrap())
        })
    }

    fn stop<'a>(&'a self, _: &'a Identity, _: Duration) -> Pending<'a, Result<(), Fault>> {
        Box::pin(async {
            self.runs.send_replace(None);
            Ok(())
        })
    }

    fn ended<'a>(&'a self, what: &'a Identity) -> Pending<'a, Ended> {
        Box::pin(async {
            let mut runs = self.runs.subscribe();
            let _ = runs.wait_for(|it| it.as_ref() != Some(what)).await;
            Ended { reason: "killed by SIGKILL".to_owned(), success: false }
        })
    }

    fn readiness<'a>(&'a self, _: &'a Identity) -> Pending<'a, Readiness> {
        Box::pin(async {
            self.ready_at.lock().unwrap().get_or_insert_with(Instant::now);
            Readiness::Ready
        })
    }
}

struct Rig {
    directory: PathBuf,
    fakes: Vec<(&'static str, Fake)>,
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}

const MASTER: [&str; 4] = ["dockerd", "etcd", "kubelet", "kube-proxy"];

impl Rig {
    fn new(name: &str) -> Self {
        let directory =
            std::env::temp_dir().join(format!("run-test-{name}-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        Self { directory, fakes: MASTER.map(|it| (it, Fake::default())).to_vec() }
    }

    /// Each unit requires the one before it.
    fn units(&self) -> Units {
        let name = |text: &str| Name::new(text).unwrap();
        let mut before = Vec::new();
        let mut units: Units = Vec::new();
        for (unit, fake) in &self.fakes {
            let spec = Spec::new(name(unit), Kind::Container).requires(before);
            units.push((spec, Arc::new(fake.clone())));
            before = vec![name(unit)];
        }
        units
    }

    fn start(&self) -> (Handle, Events) {
        Supervisor::start(self.units(), &self.directory).unwrap()
    }

    fn fake(&self, unit: &str) -> &Fake {
        &self.fakes.iter().find(|it| it.0 == unit).unwrap().1
    }
}

async fn until(handle: &Handle, what: impl Fn(&super::Snapshot) -> bool) {
    let mut snapshot = handle.watch();
    let seen = timeout(PATIENCE, snapshot.wait_for(|it| what(it))).await;
    assert!(seen.is_ok(), "{:#?}", handle.snapshot());
}

fn unit(text: &str) -> Name {
    Name::new(text).unwrap()
}

#[tokio::test]
async fn the_next_unit_starts_within_50_ms_of_the_readiness_of_the_one_before() {
    let rig = Rig::new("steps");
    let (handle, _events) = rig.start();
    until(&handle, super::Snapshot::is_ready).await;
    let moment = |at: &Arc<Mutex<Option<Instant>>>| at.lock().unwrap().unwrap();
    for pair in rig.fakes.windows(2) {
        let ((before, ready), (next, started)) = (&pair[0], &pair[1]);
        let step = moment(&started.started_at) - moment(&ready.ready_at);
        println!("from {before} ready to {next} started: {:.2} ms", step.as_secs_f64() * 1e3);
    }
    assert_eq!(handle.snapshot().units.len(), MASTER.len());
    handle.leave().await;
}

#[tokio::test]
async fn a_later_supervisor_adopts_what_runs_even_if_the_state_is_corrupt() {
    let rig = Rig::new("adopt");
    let (handle, _events) = rig.start();
    until(&handle, super::Snapshot::is_ready).await;
    handle.leave().await;
    let state = rig.directory.join(crate::adopt::FILE);
    for corrupt in [false, true] {
        if corrupt {
            fs::write(&state, "{\"version\": 1, \"boo").unwrap();
        }
        let (handle, mut events) = rig.start();
        until(&handle, super::Snapshot::is_ready).await;
        assert!(rig.fakes.iter().all(|(_, fake)| fake.starts() == 1));
        handle.leave().await;
        assert_eq!(handle.snapshot().warnings.len(), usize::from(corrupt));
        let mut seen = Vec::new();
        while let Ok(event) = events.try_recv() {
            seen.push(event.what);
        }
        let adopted = |it: &&Happening| matches!(it, Happening::Adopted { .. });
        assert_eq!(seen.iter().filter(adopted).count(), MASTER.len());
        let warned = |it: &Happening| matches!(it, Happening::Warning { .. });
        assert_eq!(seen.iter().any(warned), corrupt);
        assert_eq!(rig.directory.join("supervisor.json.corrupt-1").exists(), corrupt);
    }
}

#[tokio::test]
async fn commands_show_their_progress_and_what_was_stopped_stays_so_for_a_successor() {
    let rig = Rig::new("commands");
    let (handle, _events) = rig.start();
    until(&handle, super::Snapshot::is_ready).await;
    let mut down = handle.command(Command::Down).await.unwrap();
    let mut stopped = Vec::new();
    while let Some(update) = timeout(PATIENCE, down.next()).await.unwrap() {
        if update.state == Word::Stopped {
            stopped.push(update.unit.to_string());
        }
    }
    assert_eq!(down.outcome().await, Outcome::Done);
    // What happened between two looks is told in the units' order.
    stopped.sort_unstable();
    assert_eq!(stopped, ["dockerd", "etcd", "kube-proxy", "kubelet"]);
    handle.leave().await;
    let (handle, _events) = rig.start();
    assert!(rig.fakes.iter().all(|(_, fake)| fake.running().is_none()));
    let mut up = handle.command(Command::Up).await.unwrap();
    assert_eq!(timeout(PATIENCE, up.outcome()).await.unwrap(), Outcome::Done);
    assert!(handle.snapshot().is_ready());
    let mut restart = handle.command(Command::Restart(unit("etcd"))).await.unwrap();
    assert_eq!(timeout(PATIENCE, restart.outcome()).await.unwrap(), Outcome::Done);
    let starts: Vec<u32> = rig.fakes.iter().map(|(_, fake)| fake.starts()).collect();
    assert_eq!(starts, [2, 3, 2, 2]);
    handle.leave().await;
}

#[tokio::test]
async fn what_was_stopped_with_the_machine_runs_at_the_next_start_and_what_the_operator_stopped_does_not()
 {
    let rig = Rig::new("machine");
    let (handle, _events) = rig.start();
    until(&handle, super::Snapshot::is_ready).await;
    for name in ["kubelet", "etcd"] {
        let mut stop = handle.command(Command::Stop(unit(name))).await.unwrap();
        assert_eq!(timeout(PATIENCE, stop.outcome()).await.unwrap(), Outcome::Done);
    }
    handle.leave_wanting(vec![unit("etcd")]).await;
    let (handle, _events) = rig.start();
    until(&handle, |it| it.unit("etcd").is_some_and(|it| it.state == Word::Ready)).await;
    assert_eq!(handle.snapshot().unit("kubelet").unwrap().state, Word::Stopped);
    handle.leave().await;
}

#[tokio::test]
async fn a_command_that_a_guard_refuses_ends_with_what_to_do() {
    let rig = Rig::new("refused");
    *rig.fake("etcd").is_refused.lock().unwrap() = true;
    let (handle, _events) = rig.start();
    let mut up = handle.command(Command::Up).await.unwrap();
    let Outcome::Trouble(trouble) = timeout(PATIENCE, up.outcome()).await.unwrap() else {
        panic!("all is well");
    };
    let told: Vec<(&str, Word, Option<&str>)> =
        trouble.iter().map(|it| (it.unit.as_str(), it.state, it.reason.as_deref())).collect();
    let replace = Some("no data: run `mainstay etcd replace`");
    assert_eq!(
        told,
        [
            ("etcd", Word::Failed, replace),
            ("kubelet", Word::Blocked, Some("waits for etcd")),
            ("kube-proxy", Word::Blocked, Some("waits for kubelet")),
        ]
    );
    let mut stop = handle.command(Command::Stop(unit("dockerd"))).await.unwrap();
    assert_eq!(timeout(PATIENCE, stop.outcome()).await.unwrap(), Outcome::Done);
    let known = "dockerd, etcd, kube-proxy, kubelet".to_owned();
    let error = handle.command(Command::Start(unit("nothing"))).await.unwrap_err();
    assert!(matches!(error, CommandError::NoUnit { .. }), "{error}");
    let error = handle.logs(unit("nothing"), 1, false).await.unwrap_err();
    assert_eq!(error, CommandError::NoUnit { unit: unit("nothing"), known });
    handle.leave().await;
}

#[tokio::test]
async fn what_dies_comes_back_and_the_snapshot_says_why() {
    let rig = Rig::new("dies");
    let (handle, _events) = rig.start();
    until(&handle, super::Snapshot::is_ready).await;
    rig.fake("etcd").runs.send_replace(None);
    until(&handle, |it| it.unit("etcd").is_some_and(|it| it.state == Word::Backoff)).await;
    let snapshot = handle.snapshot();
    let etcd = snapshot.unit("etcd").unwrap();
    assert_eq!(etcd.reason.as_deref(), Some("killed by SIGKILL"));
    assert!(etcd.next_attempt_unix_ms.unwrap() >= etcd.since_unix_ms);
    until(&handle, super::Snapshot::is_ready).await;
    let snapshot = handle.snapshot();
    assert_eq!(snapshot.unit("etcd").unwrap().restarts, 1);
    let json = serde_json::to_string(&*snapshot).unwrap();
    assert_eq!(serde_json::from_str::<super::Snapshot>(&json).unwrap(), *snapshot);
    assert!(json.contains(r#""name":"etcd","backend":"container","state":"ready""#), "{json}");
    handle.leave().await;
}

#[tokio::test]
async fn a_restart_after_which_a_unit_would_stay_down_is_refused() {
    let rig = Rig::new("stay-down");
    let (handle, _events) = rig.start();
    until(&handle, super::Snapshot::is_ready).await;
    let mut stop = handle.command(Command::Stop(unit("etcd"))).await.unwrap();
    assert_eq!(timeout(PATIENCE, stop.outcome()).await.unwrap(), Outcome::Done);
    let error = handle.command(Command::Restart(unit("kubelet"))).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "unit kubelet was left running: it could not start again, since it waits for etcd; get that ready first, or \
         stop it with `mainstay unit stop kubelet`"
    );
    assert_eq!(handle.snapshot().unit("kubelet").unwrap().state, Word::Ready);
    handle.leave().await;
}

#[tokio::test]
async fn long_work_shows_how_far_it_has_come() {
    let rig = Rig::new("progress");
    let (tell, progress) = watch::channel(String::new());
    let (finish, finished) = watch::channel(false);
    let task = Task::new("images".to_owned(), Repeat::Once, move || {
        let mut finished = finished.clone();
        async move {
            let _ = finished.wait_for(|it| *it).await;
            Ok(())
        }
    });
    let spec = Spec::new(unit("images"), Kind::Task);
    let units: Units = vec![(spec, Arc::new(task.reporting(progress)))];
    let (handle, _events) = Supervisor::start(units, &rig.directory).unwrap();
    for image in ["image 1 of 2", "image 2 of 2"] {
        tell.send_replace(image.to_owned());
        until(&handle, |it| it.units[0].reason.as_deref() == Some(image)).await;
    }
    assert_eq!(handle.snapshot().units[0].state, Word::Starting);
    finish.send_replace(true);
    until(&handle, super::Snapshot::is_ready).await;
    assert_eq!(handle.snapshot().units[0].reason, None);
    handle.leave().await;
}

//! The backend for systemd's units against a real systemd, booted in a container.
//!
//! The root that is booted is made by `netns-scripts/systemd-root.sh`, where debootstrap and systemd-nspawn are.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod container;
mod kubelet;

use std::fs;
use std::future::Future;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use supervisor::backend::systemd::{Bus, Ours, Systemd};
use supervisor::backend::{Backend, Ended, Fault, Identity, Readiness, Running};
use supervisor::readiness::Probe;

use container::Container;

/// What is longer than anything here takes.
const LONG: Duration = Duration::from_secs(40);
const UNITS: &[(&str, &str)] = &[
    ("plain.service", "[Service]\nExecStart=/bin/sleep infinity\n"),
    ("always.service", "[Service]\nExecStart=/bin/sleep infinity\nRestart=always\nRestartSec=1h\n"),
    ("again.service", "[Service]\nExecStart=/bin/sleep infinity\nRestart=always\nRestartSec=0\n"),
    (
        "stubborn.service",
        "[Service]\nExecStart=/bin/sh -c 'trap \"\" TERM; while :; do sleep 1; done'\n",
    ),
    ("false.service", "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'exit 3'\n"),
    ("slow.service", "[Service]\nType=notify\nExecStart=/bin/sleep infinity\nTimeoutStartSec=1h\n"),
    // A package's, and kubeadm's drop-in for it.
    ("kubelet.service", "[Service]\nExecStart=/bin/false\nRestart=always\nRestartSec=10\n"),
    (
        "kubelet.service.d/10-kubeadm.conf",
        "[Service]\nEnvironment=KUBELET_ARGS=--x\nExecStart=\nExecStart=/bin/false $KUBELET_ARGS\n",
    ),
    ("broken.service", "[Service]\nType=simple\n"),
];

/// Where the root is, if there is one.
fn root() -> Option<PathBuf> {
    let missing = |why: &String| {
        // Not eprintln!, which the test harness keeps to itself.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
    };
    lab::machine::root().inspect_err(missing).ok()
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(LONG, what).await.expect("an answer in time")
}

struct Lab {
    container: Container,
    bus: Bus,
}

impl Lab {
    fn unit(&self, name: &str) -> Systemd {
        Systemd::new(self.bus.clone(), name).in_root(self.container.path("/"))
    }

    async fn start(&self, unit: &Systemd) -> Running {
        soon(unit.start()).await.unwrap()
    }

    /// What is said of the end of a run, while something is done to it.
    async fn end(&self, unit: &Systemd, run: &Running, command: &str) -> Ended {
        let watch = unit.ended(&run.identity);
        let act = async {
            // The watch begins first.
            tokio::time::sleep(Duration::from_millis(200)).await;
            self.container.run(command);
        };
        soon(async { tokio::join!(watch, act) }).await.0
    }
}

fn invocation(run: &Running) -> &str {
    match &run.identity {
        Identity::Systemd { invocation, .. } => invocation,
        other => panic!("{other:?}"),
    }
}

async fn adopt(unit: &Systemd, known: Option<&Identity>) -> Option<Running> {
    soon(unit.adopt(known)).await.unwrap()
}

async fn refusal(unit: &Systemd) -> Fault {
    soon(unit.start()).await.unwrap_err()
}

#[tokio::test]
async fn a_bus_that_is_not_there_is_a_passing_fault_that_says_what_to_do() {
    let unit = Systemd::new(Bus::at("unix:path=/nonexistent/bus"), "docker.service");
    for fault in [unit.start().await.unwrap_err(), unit.adopt(None).await.unwrap_err()] {
        assert!(!fault.refused);
        assert!(fault.reason.contains("dbus.service"), "{fault}");
        assert!(fault.reason.contains("backend = \"exec\""), "{fault}");
    }
}

#[tokio::test]
async fn units_are_started_watched_adopted_and_stopped_under_a_real_systemd() {
    let Some(root) = root() else { return };
    let container = Container::boot(&root, UNITS);
    let lab = Lab { bus: Bus::at(container.bus()), container };
    a_run_is_known_by_its_invocation(&lab).await;
    an_end_is_told_with_its_reason(&lab).await;
    another_run_ends_the_one_before(&lab).await;
    a_stop_is_polite_and_then_not(&lab).await;
    what_cannot_start_says_why(&lab).await;
    readiness_is_what_systemd_says_and_what_is_asked(&lab).await;
    what_is_ours_is_written_and_its_drift_told(&lab).await;
    nothing_is_missed_over_a_restart_of_systemd_or_the_bus(&lab).await;
    logs_come_from_the_journal(&lab).await;
    kubelet::arguments_reach_it_through_a_unit_or_a_drop_in_of_ours(&lab).await;
}

async fn a_run_is_known_by_its_invocation(lab: &Lab) {
    let unit = lab.unit("plain.service");
    assert_eq!(adopt(&unit, None).await, None);
    let run = lab.start(&unit).await;
    assert_eq!(invocation(&run), lab.container.show("plain", "InvocationID"));
    let adopted = adopt(&unit, None).await.unwrap();
    assert_eq!((&adopted.identity, &adopted.drift), (&run.identity, &None));
    assert!(adopted.age.unwrap() < LONG);
    // It runs already: nothing happens.
    assert_eq!(lab.start(&unit).await.identity, run.identity);
    // A successor of ours with a connection of its own.
    let successor = Systemd::new(Bus::at(lab.container.bus()), "plain.service");
    assert_eq!(adopt(&successor, Some(&run.identity)).await.unwrap().identity, run.identity);
}

async fn an_end_is_told_with_its_reason(lab: &Lab) {
    let plain = lab.unit("plain.service");
    // More often than systemd's own limit of starts allows.
    for _ in 0..7 {
        let run = lab.start(&plain).await;
        let ended = lab.end(&plain, &run, "systemctl kill --signal=KILL plain").await;
        assert_eq!(ended, Ended { reason: "killed by SIGKILL".into(), success: false });
        assert_eq!(adopt(&plain, Some(&run.identity)).await, None);
    }
    let run = lab.start(&plain).await;
    let ended = lab.end(&plain, &run, "systemctl stop plain").await;
    assert!(ended.success, "{ended:?}");
    // Known only afterwards.
    assert_eq!(soon(plain.ended(&run.identity)).await, ended);

    // systemd would start it again in an hour: it does not run, and can be started.
    let always = lab.unit("always.service");
    let run = lab.start(&always).await;
    let ended = lab.end(&always, &run, "systemctl kill --signal=KILL always").await;
    assert_eq!(ended.reason, "killed by SIGKILL");
    assert_eq!(adopt(&always, None).await, None);
    let again = lab.start(&always).await;
    assert_ne!(again.identity, run.identity);
    soon(always.stop(&again.identity, LONG)).await.unwrap();
}

async fn another_run_ends_the_one_before(lab: &Lab) {
    let unit = lab.unit("plain.service");
    let run = lab.start(&unit).await;
    let ended = lab.end(&unit, &run, "systemctl restart plain").await;
    assert!(!ended.reason.is_empty());
    let adopted = loop {
        // Between stop and start there may be none.
        if let Some(adopted) = adopt(&unit, Some(&run.identity)).await {
            break adopted;
        }
    };
    assert_ne!(adopted.identity, run.identity);
    let ended = soon(unit.ended(&run.identity)).await;
    assert_eq!(ended.reason, "another run of plain.service was started by somebody else");
    soon(unit.stop(&adopted.identity, LONG)).await.unwrap();

    let unit = lab.unit("again.service");
    let run = lab.start(&unit).await;
    let ended = lab.end(&unit, &run, "systemctl kill --signal=KILL again").await;
    assert!(!ended.success, "{ended:?}");
    let adopted = loop {
        if let Some(adopted) = adopt(&unit, Some(&run.identity)).await {
            break adopted;
        }
    };
    assert_ne!(adopted.identity, run.identity);
    soon(unit.stop(&adopted.identity, LONG)).await.unwrap();
}

async fn a_stop_is_polite_and_then_not(lab: &Lab) {
    let plain = lab.unit("plain.service");
    let run = lab.start(&plain).await;
    soon(plain.stop(&run.identity, LONG)).await.unwrap();
    assert_eq!(lab.container.show("plain", "ActiveState"), "inactive");
    assert_eq!(lab.container.show("plain", "Result"), "success");
    // Nothing left to stop.
    soon(plain.stop(&run.identity, LONG)).await.unwrap();

    let stubborn = lab.unit("stubborn.service");
    let run = lab.start(&stubborn).await;
    soon(stubborn.stop(&run.identity, Duration::from_millis(300))).await.unwrap();
    assert_eq!(adopt(&stubborn, None).await, None);
    assert_eq!(lab.container.show("stubborn", "MainPID"), "0");
}

async fn what_cannot_start_says_why(lab: &Lab) {
    let fault = refusal(&lab.unit("absent.service")).await;
    assert!(!fault.refused && fault.reason.contains("no unit absent.service"), "{fault}");
    let fault = refusal(&lab.unit("false.service")).await;
    assert!(fault.reason.contains("exited with code 3"), "{fault}");
    assert!(fault.reason.contains("journalctl -u false.service"), "{fault}");
    let fault = refusal(&lab.unit("broken.service")).await;
    assert!(fault.reason.contains("systemd-analyze verify"), "{fault}");
    lab.container.run("systemctl mask --runtime plain");
    let fault = refusal(&lab.unit("plain.service")).await;
    assert!(fault.refused && fault.reason.contains("systemctl unmask plain.service"), "{fault}");
    lab.container.run("systemctl unmask --runtime plain");
}

async fn readiness_is_what_systemd_says_and_what_is_asked(lab: &Lab) {
    let slow = lab.unit("slow.service");
    let command = "systemctl start --no-block slow";
    lab.container.run(command);
    let run = loop {
        if let Some(run) = adopt(&slow, None).await {
            break run;
        }
    };
    let answer = soon(slow.readiness(&run.identity)).await;
    assert_eq!(answer, Readiness::NotReady("systemd says that slow.service is starting".into()));
    soon(slow.stop(&run.identity, LONG)).await.unwrap();

    let plain = lab.unit("plain.service");
    let run = lab.start(&plain).await;
    assert_eq!(soon(plain.readiness(&run.identity)).await, Readiness::Ready);
    let asked = plain.clone().ready_when(Probe::File("/nonexistent".into()));
    let answer = soon(asked.readiness(&run.identity)).await;
    assert!(matches!(answer, Readiness::NotReady(why) if why.contains("/nonexistent")));
    soon(plain.stop(&run.identity, LONG)).await.unwrap();
}

async fn what_is_ours_is_written_and_its_drift_told(lab: &Lab) {
    let drop_in = |value: &str| Ours::DropIn(format!("[Service]\nEnvironment=WHO={value}\n"));
    let unit = lab.unit("plain.service");
    let before = lab.start(&unit).await;
    let one = lab.unit("plain.service").with_ours(drop_in("one"));
    // It runs without the drop-in.
    let drift = adopt(&one, Some(&before.identity)).await.unwrap().drift.unwrap();
    assert!(drift.ends_with("90-mainstay.conf is missing"), "{drift}");
    soon(one.stop(&before.identity, LONG)).await.unwrap();

    let run = lab.start(&one).await;
    assert_eq!(lab.container.show("plain", "Environment"), "WHO=one");
    let path = lab.container.path("/etc/systemd/system/plain.service.d/90-mainstay.conf");
    assert!(fs::read_to_string(&path).unwrap().starts_with("# Written by mainstay"));
    for known in [Some(&run.identity), None] {
        assert_eq!(adopt(&one, known).await.unwrap().drift, None);
        assert_eq!(adopt(&one, known).await.unwrap().identity, run.identity);
    }
    // Configured anew: drift, until it is started again.
    let two = lab.unit("plain.service").with_ours(drop_in("two"));
    for known in [Some(&run.identity), None] {
        let drift = adopt(&two, known).await.unwrap().drift.unwrap();
        assert!(drift.ends_with("is not as configured now"), "{drift}");
    }
    assert!(lab.start(&two).await.drift.is_some());
    let drift = adopt(&two, Some(&run.identity)).await.unwrap().drift.unwrap();
    assert!(drift.contains("was started before"), "{drift}");
    soon(two.stop(&run.identity, LONG)).await.unwrap();
    let run = lab.start(&two).await;
    assert_eq!(lab.container.show("plain", "Environment"), "WHO=two");
    assert_eq!(adopt(&two, None).await.unwrap().drift, None);
    soon(two.stop(&run.identity, LONG)).await.unwrap();

    // What somebody else wrote there stays.
    fs::write(&path, "[Service]\nEnvironment=WHO=operator\n").unwrap();
    let fault = refusal(&two).await;
    assert!(fault.refused && fault.reason.contains("was not written by mainstay"), "{fault}");
    assert!(fs::read_to_string(&path).unwrap().contains("operator"));
    fs::remove_file(&path).unwrap();

    // A whole unit.
    let text = "[Service]\nExecStart=/bin/sleep infinity\n".to_owned();
    let own = lab.unit("own.service").with_ours(Ours::Unit(text));
    let run = lab.start(&own).await;
    assert_eq!(adopt(&own, Some(&run.identity)).await.unwrap().drift, None);
    soon(own.stop(&run.identity, LONG)).await.unwrap();
}

async fn nothing_is_missed_over_a_restart_of_systemd_or_the_bus(lab: &Lab) {
    let unit = lab.unit("plain.service");
    for upheaval in ["systemctl daemon-reexec", "systemctl daemon-reload", "systemctl restart dbus"]
    {
        let run = lab.start(&unit).await;
        let kill = format!("{upheaval}; systemctl kill --signal=KILL plain");
        let ended = lab.end(&unit, &run, &kill).await;
        assert_eq!(ended.reason, "killed by SIGKILL", "{upheaval}");
        assert_eq!(adopt(&unit, Some(&run.identity)).await, None);
    }
}

async fn logs_come_from_the_journal(lab: &Lab) {
    let unit = lab.unit("says.service");
    let text =
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'echo one; echo two'\n";
    let unit = unit.with_ours(Ours::Unit(text.into()));
    let run = lab.start(&unit).await;
    lab.container.run("journalctl --sync");
    let mut logs = soon(unit.logs(100, true)).await.unwrap();
    let mut seen = String::new();
    while !(seen.contains("one") && seen.contains("two")) {
        seen += &String::from_utf8_lossy(&soon(logs.recv()).await.unwrap());
    }
    lab.container
        .run("systemd-cat --identifier=sh true; systemctl restart says; journalctl --sync");
    seen.clear();
    while !seen.contains("two") {
        seen += &String::from_utf8_lossy(&soon(logs.recv()).await.unwrap());
    }
    drop(logs);
    // Without following it comes to an end.
    let mut logs = soon(unit.logs(1, false)).await.unwrap();
    while soon(logs.recv()).await.is_some() {}
    soon(unit.stop(&run.identity, LONG)).await.unwrap();
}

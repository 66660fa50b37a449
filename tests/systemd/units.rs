//! A master with docker.service, etcd in docker and kubelet.service beneath the VIP, all by systemd's means.

use std::io::Write;
use std::path::Path;

use lab::Stamp;
use serde_json::Value;

use crate::master::{Children, Master};
use crate::peer::Peer;
use crate::root;
use crate::support::{M1, M2, Net, mainstay, poll};

#[test]
fn a_master_comes_up_with_its_machine_outlives_restarts_and_hands_over_before_it_stops() {
    let Some(root) = root() else { return };
    if let Some(missing) = missing(&root) {
        // Not eprintln!, which the test harness keeps to itself.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {missing} is not there");
        return;
    }
    let Some(net) = Net::up(2) else { return };
    let mut master = Master::boot(&root, &net);
    master.run("mainstay certs issue --new-ca");
    let peer = Peer::start(&net, &master.machine.path("/etc/kubernetes/pki"));

    master.run("systemctl enable --now mainstay");
    net.owned_by(M1);
    master.run("mainstay init");
    let children = master.is_well();
    net.start(&[M2], &mainstay());
    net.backup_of(M2, M1);

    a_restart_moves_and_ends_nothing(&net, &master, &children);
    the_watchdog_moves_and_ends_nothing(&net, &master, &children);
    docker_restarts_and_containers_run_on(&net, &master, &children);
    docker_restarts_and_containers_come_back(&net, &master);
    a_stop_gives_the_vip_up_and_leaves_the_rest(&net, &master);
    the_machine_hands_over_before_it_stops(&net, &mut master, &peer);
    the_machine_brings_everything_up(&net, &mut master);
}

fn missing(root: &Path) -> Option<&'static str> {
    let needed = ["usr/sbin/dockerd"].map(|it| (root.join(it), it));
    let of_host = ["/usr/bin/etcd", "/usr/bin/etcdctl"].map(|it| (it.into(), it));
    needed.into_iter().chain(of_host).find(|(path, _)| !path.exists()).map(|(_, name)| name)
}

fn a_restart_moves_and_ends_nothing(net: &Net, master: &Master, children: &Children) {
    let start = Stamp::now();
    for _ in 0..2 {
        master.run("systemctl restart mainstay");
        assert_eq!(master.is_well(), *children);
    }
    net.unmoved(M1, start);
}

fn the_watchdog_moves_and_ends_nothing(net: &Net, master: &Master, children: &Children) {
    let start = Stamp::now();
    let pid = || master.machine.show("mainstay", "MainPID").unwrap();
    let frozen = pid();
    master.run(&format!("kill -STOP {frozen}"));
    poll("another daemon", || {
        let now = pid();
        (now != frozen && now != "0").then_some(())
    });
    assert_eq!(master.is_well(), *children);
    net.unmoved(M1, start);
    assert!(master.run("journalctl -b -u mainstay -o cat").contains("Watchdog timeout"));
}

fn docker_restarts_and_containers_run_on(net: &Net, master: &Master, children: &Children) {
    let start = Stamp::now();
    master.run("systemctl restart docker");
    let now = poll("the other dockerd", || {
        let now = master.is_well();
        (now.dockerd != children.dockerd).then_some(now)
    });
    assert_eq!(now, Children { dockerd: now.dockerd.clone(), ..children.clone() });
    net.unmoved(M1, start);
    // It stopped, or another run of docker.service had begun when it was looked at.
    master.tells("unit_ended", "dockerd", "somebody");
}

fn docker_restarts_and_containers_come_back(net: &Net, master: &Master) {
    master.set_live_restore(false);
    let before = master.is_well();
    master.run("systemctl restart --no-block docker");
    poll("status to say why etcd is down", || {
        let etcd = master.unit("etcd");
        let why = etcd["reason"].as_str()?;
        (etcd["state"] != "ready" && why.contains("live-restore")).then_some(())
    });
    // Its member is down: the other master is the better one meanwhile.
    net.owned_by(M2);
    let after = master.is_well();
    assert_eq!(after.kubelet, before.kubelet);
    assert_ne!((&after.etcd, &after.dockerd), (&before.etcd, &before.dockerd));
    master.tells("unit_warning", "dockerd", "live-restore");
    master.takes_the_vip_back(net);
    master.set_live_restore(true);
}

fn a_stop_gives_the_vip_up_and_leaves_the_rest(net: &Net, master: &Master) {
    let before = master.is_well();
    let stopped = Stamp::now();
    master.run("systemctl stop mainstay");
    net.owned_by(M2);
    net.advert(M1, stopped, |advert| advert.priority == 1);
    assert_eq!(master.children(), before);
    assert_eq!(master.run("pidof mainstay || true"), "");
    master.run("systemctl start mainstay");
    assert_eq!(master.is_well(), before);
    master.takes_the_vip_back(net);
}

fn the_machine_hands_over_before_it_stops(net: &Net, master: &mut Master, peer: &Peer) {
    peer.follow();
    let known = peer.log().len();
    let start = Stamp::now();
    master.run("systemctl poweroff");
    net.advert(M1, start, |advert| advert.priority == 1);
    net.owned_by(M2);
    master.machine.wait_until_off().unwrap();
    assert!(!net.gave_up(M1, start), "nobody had to wait for a timer of its own");
    // The leadership was given, not lost.
    let log = peer.log();
    let given = log[known..].find("received MsgTimeoutNow").expect("leadership is offered");
    assert!(log[known + given..].contains("became leader"), "{}", &log[known..]);
}

fn the_machine_brings_everything_up(net: &Net, master: &mut Master) {
    master.machine.boot().unwrap();
    master.is_well();
    master.takes_the_vip_back(net);

    // How the machine stopped before: the VIP, the leadership, etcd, mainstay, and then docker.
    let events = master.events();
    let place = |what: &str, is: &dyn Fn(&Value) -> bool| {
        events.iter().rposition(is).unwrap_or_else(|| panic!("no event: {what}: {events:#?}"))
    };
    let code = |event: &Value, code: &str| event["code"] == code;
    let stopping = place("units_stopping", &|event| code(event, "units_stopping"));
    let handed_over = events[..stopping]
        .iter()
        .rposition(|event| code(event, "transition") && event["detail"]["from"] == "Active");
    assert!(handed_over.is_some(), "{events:#?}");
    let moved = place("leadership", &|event| {
        event["what"].as_str().is_some_and(|what| what.contains("etcd's leadership to m2"))
    });
    let stopped =
        place("etcd", &|event| code(event, "unit_stopped") && event["detail"]["unit"] == "etcd");
    assert!(stopping < moved && moved < stopped, "{events:#?}");
    let journal = master.run("journalctl -b -1 -o cat _PID=1");
    let line = |text: &str| journal.rfind(text).unwrap_or_else(|| panic!("{text}: {journal}"));
    for later in ["docker.service", "kubelet.service"] {
        let (ended, next) = (line("Stopped mainstay.service"), line(&format!("Stopping {later}")));
        assert!(ended < next, "{journal}");
    }
}

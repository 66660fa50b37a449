//! The fences: what dies or freezes gives the VIP up, and what only restarts keeps it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use lab::timeline::added;
use lab::{Event, Lab, Node, Part, Stamp, VIP};
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use support::{M1, M2, M3, Net, leased, mainstay, poll};

fn child(lab: &Lab, node: Node) -> Pid {
    lab.pids(node).unwrap().child.expect("a VRRP process")
}

fn parent_ended(net: &Net, node: Node) {
    poll("the end of the daemon", || net.lab().pids(node).unwrap().parent.is_none().then_some(()));
}

/// DESIGN 2.5: the guard removes the VIP, says priority 0 for the dead, and starts another.
#[test]
fn a_vrrp_process_that_is_killed_is_fenced_told_of_and_replaced() {
    let Some(net) = Net::settled(3, &mainstay()) else { return };
    let before = child(net.lab(), M1);
    let killed = net.lab().kill(M1, Part::Child).unwrap();
    net.owned_by(M2);
    let farewell = net.advert(M1, killed, |advert| advert.priority == 0);
    net.announced(M2, farewell.at);
    let transition = net.event_where(M2, "transition", |event| event["detail"]["to"] == "Active");
    assert_eq!(transition["detail"]["cause_code"], "active_released");

    net.state(M1, "Backup");
    assert_ne!(child(net.lab(), M1), before);
    assert_eq!(net.status(M1)["vrrp"]["restarts"], 1);
    let fenced = net.event(M1, "fenced");
    assert!(fenced["why"].as_str().unwrap().contains("died"), "{fenced}");
    let retry = net.event(M1, "vrrp_retry");
    assert!(retry["why"].as_str().unwrap().contains("signal 9"), "{retry}");
}

/// DESIGN 3: a heartbeat that is missed means SIGKILL and a fence.
#[test]
fn a_vrrp_process_that_is_frozen_is_killed_and_fenced() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    let before = child(net.lab(), M1);
    let frozen = net.lab().freeze(M1, Part::Child).unwrap();
    net.owned_by(M2);
    let killed = net.event(M1, "vrrp_killed");
    assert!(killed["why"].as_str().unwrap().contains("not answered"), "{killed}");
    net.state(M1, "Backup");
    // Its peers have decided long ago: a priority 0 now would set them off again.
    assert!(!net.gave_up(M1, frozen));
    assert_ne!(child(net.lab(), M1), before);
    net.unmoved(M2, Stamp::now());
}

/// DESIGN 2.7: a daemon that dies leaves the VIP, and the next one takes over what it finds.
#[test]
fn a_daemon_that_is_killed_and_restarted_moves_nothing_and_guards_again() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    let vrrp = child(net.lab(), M1);
    let killed = net.lab().kill(M1, Part::Parent).unwrap();
    net.unmoved(M1, killed);
    assert_eq!(child(net.lab(), M1), vrrp);
    assert_eq!(net.mainstay(M1, &["status"]).code, Some(4));

    net.start(&[M1], &mainstay());
    net.event(M1, "vrrp_adopted");
    net.state(M1, "Active");
    net.unmoved(M1, killed);
    assert_eq!(net.status(M1)["vrrp"]["pid"], vrrp.as_raw());
    assert_eq!(net.status(M1)["vrrp"]["attached"], true);

    net.lab().kill(M1, Part::Child).unwrap();
    net.owned_by(M2);
    net.state(M1, "Backup");
}

/// SIGUSR1 is a restart without systemd.
#[test]
fn a_daemon_that_is_told_to_leave_moves_nothing() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    let vrrp = child(net.lab(), M1);
    let told = Stamp::now();
    let parent = net.lab().pids(M1).unwrap().parent.unwrap();
    nix::sys::signal::kill(parent, nix::sys::signal::Signal::SIGUSR1).unwrap();
    parent_ended(&net, M1);
    net.start(&[M1], &mainstay());
    net.event(M1, "vrrp_adopted");
    net.unmoved(M1, told);
    assert_eq!(child(net.lab(), M1), vrrp);
}

/// DESIGN 2.5, the third fence: the kernel's lease.
#[test]
fn the_kernel_removes_the_vip_when_both_processes_are_killed() {
    let Some(net) = Net::settled(2, &leased()) else { return };
    net.lab().kill(M1, Part::Both).unwrap();
    net.owned_by(M2);
    net.state(M2, "Active");
}

/// DESIGN 2.5 and 2.6: a frozen node loses the VIP, and does not take it back when it thaws.
#[test]
fn a_node_that_thaws_is_silent_while_another_is_active() {
    let Some(net) = Net::settled(2, &leased()) else { return };
    let vrrp = child(net.lab(), M1);
    net.lab().freeze(M1, Part::Both).unwrap();
    net.owned_by(M2);
    net.adverts(M2, Stamp::now(), 2);
    let thawed = net.lab().thaw(M1, Part::Both).unwrap();
    net.backup_of(M1, M2);
    net.unmoved(M2, thawed);
    assert_eq!(net.sent(M1, thawed), 0, "it advertised before it listened");
    assert_eq!(child(net.lab(), M1), vrrp, "a process that stood still was blamed for it");
    let stalled = net.event_where(M1, "transition", |event| event["detail"]["from"] == "Active");
    assert_eq!(stalled["detail"]["cause_code"], "stalled");
}

/// The same without a lease: there is no expiry, so it must remove the VIP itself.
#[test]
fn a_node_that_thaws_without_a_lease_withdraws_before_it_sends() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    net.lab().freeze(M1, Part::Both).unwrap();
    net.owners(&[M1, M2]);
    let thawed = net.lab().thaw(M1, Part::Both).unwrap();
    net.owned_by(M2);
    net.state(M1, "Backup");
    net.unmoved(M2, Stamp::now());
    assert_eq!(net.sent(M1, thawed), 0, "it advertised before it listened");
}

/// DESIGN 2.5: never Active without the address. The thread that speaks to the kernel is stopped, so
/// that no confirmation can come.
#[test]
fn an_active_whose_address_is_not_confirmed_gives_up_and_announces_nothing() {
    let Some(net) = Net::settled(3, &mainstay()) else { return };
    let stopped = StoppedThread::new(child(net.lab(), M2));
    let killed = net.lab().kill(M1, Part::Both).unwrap();
    let claim = net.advert(M2, killed, |advert| advert.priority == 244);
    let farewell = net.advert(M2, claim.at, |advert| advert.priority == 0);
    net.owners(&[M1, M3]);
    let announced = |event: &Event| matches!(event, Event::Arp(lab::Port::Node(M2), arp) if arp.is_gratuitous());
    let events = net.events_seen();
    assert_eq!(added(&events, M2, killed), None);
    assert!(!events.iter().any(|timed| announced(&timed.event)), "announced what it does not have");
    let taken = net.advert(M3, killed, |advert| advert.priority == 234);
    assert!(taken.at > farewell.at);
    drop(stopped);
    // Whether its guard has killed it by now or not.
    net.backup_of(M2, M3);
    assert_eq!(net.mainstay(M1, &["vip", "fence"]).code, Some(0));
    net.owned_by(M3);
    net.unmoved(M3, Stamp::now());
}

/// DESIGN 8: a second instance is told who the first is.
#[test]
fn a_second_daemon_in_the_same_runtime_directory_exits_1_and_disturbs_nothing() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    let start = Stamp::now();
    let directory = net.lab().directory(M1);
    let (config, state) = (directory.join("mainstay.toml"), directory.join("state"));
    let ran = net.mainstay(
        M1,
        &[
            "run",
            "--config",
            config.to_str().unwrap(),
            "--node",
            "m1",
            "--state-dir",
            state.to_str().unwrap(),
        ],
    );
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let parent = net.lab().pids(M1).unwrap().parent.unwrap();
    assert!(ran.stderr.contains(&parent.to_string()), "{ran:?}");
    net.unmoved(M1, start);
    assert_eq!(net.mainstay(M1, &["status"]).code, Some(0));
}

/// DESIGN 2.5: `ExecStopPost=` fences only where nobody lives.
#[test]
fn a_fence_leaves_a_living_daemon_and_a_living_vrrp_process_alone() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    let start = Stamp::now();
    let ran = net.mainstay(M1, &["vip", "fence", "--if-dead"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran = net.mainstay(M1, &["vip", "fence"]);
    assert_eq!(ran.code, Some(5), "{ran:?}");

    net.lab().kill(M1, Part::Parent).unwrap();
    parent_ended(&net, M1);
    let ran = net.mainstay(M1, &["vip", "fence", "--if-dead"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran = net.mainstay(M1, &["vip", "fence"]);
    assert_eq!(ran.code, Some(5), "{ran:?}");
    net.unmoved(M1, start);
}

#[test]
fn a_fence_removes_what_dead_processes_left_and_tells_the_peers() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    let killed = net.lab().kill(M1, Part::Both).unwrap();
    net.owners(&[M1, M2]);
    let ran = net.mainstay(M1, &["vip", "fence", "--if-dead"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("removed 10.51.0.100 from eth0"), "{ran:?}");
    net.owned_by(M2);
    net.advert(M1, killed, |advert| advert.priority == 0);
    // The peer that is Active already stays so.
    net.unmoved(M2, Stamp::now());
}

#[test]
fn a_fence_kills_a_frozen_vrrp_process_first() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    // In this order: the kernel wakes the frozen child of a parent that dies.
    net.lab().kill(M1, Part::Parent).unwrap();
    parent_ended(&net, M1);
    net.lab().freeze(M1, Part::Child).unwrap();
    net.owners(&[M1, M2]);
    let ran = net.mainstay(M1, &["vip", "fence", "--if-dead"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    net.owned_by(M2);
    poll("the end of the frozen process", || {
        net.lab().pids(M1).unwrap().child.is_none().then_some(())
    });
}

/// VRRP.md G14: what a crash left is removed before the router takes part, whoever put it there.
#[test]
fn a_vip_that_a_crash_left_is_removed_at_the_start() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    net.lab().kill(M1, Part::Both).unwrap();
    net.owners(&[M1, M2]);
    let start = Stamp::now();
    net.start(&[M1], &mainstay());
    net.owned_by(M2);
    net.backup_of(M1, M2);
    net.event(M1, "fenced");
    assert_eq!(added(&net.events_seen(), M1, start), None);
    net.unmoved(M2, Stamp::now());
}

#[test]
fn a_vip_that_others_left_with_a_wide_prefix_is_removed_at_the_start() {
    let Some(net) = Net::up(2) else { return };
    net.start(&[M2], &mainstay());
    net.owned_by(M2);
    net.run(M1, "ip address add 10.51.0.100/24 dev eth0; ip address add 10.51.0.100/32 dev eth0");
    net.owners(&[M1, M2]);
    net.start(&[M1], &mainstay());
    net.state(M1, "Backup");
    poll("the removal of both", || (net.addresses(M1) == [M1.address()]).then_some(()));
    net.unmoved(M2, Stamp::now());
}

/// The kernel takes secondary addresses along with their primary one, unless it is told not to.
#[test]
fn a_stale_vip_that_stands_before_the_nodes_address_goes_and_the_nodes_address_stays() {
    let Some(net) = Net::up(1) else { return };
    net.run(
        M1,
        "ip address flush dev eth0; ip address add 10.51.0.100/24 dev eth0; \
         ip address add 10.51.0.11/24 dev eth0",
    );
    let start = Stamp::now();
    net.start(&[M1], &mainstay());
    let source = net.advert(M1, start, |advert| advert.priority == 254);
    assert!(matches!(source.event, Event::Advert(_, advert) if advert.source == M1.address()));
    net.owned_by(M1);
    poll("its address", || (net.addresses(M1).contains(&M1.address())).then_some(()));
    assert!(!net.run(M1, "ip address show dev eth0").contains("10.51.0.100/24"));
}

/// DESIGN 8: a state file that is corrupt is moved aside and reported.
#[test]
fn a_corrupt_record_of_the_vips_is_survived() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    net.lab().kill(M1, Part::Both).unwrap();
    net.owners(&[M1, M2]);
    let run = net.lab().directory(M1).join("run");
    std::fs::write(run.join("vips.json"), "{").unwrap();
    net.start(&[M1], &mainstay());
    net.owned_by(M2);
    net.state(M1, "Backup");
    net.event(M1, "state_corrupt");
    assert_eq!(std::fs::read_to_string(run.join("vips.json.corrupt-1")).unwrap(), "{");
    assert!(!net.addresses(M1).contains(&VIP));
}

/// A thread that does not run until this is dropped.
struct StoppedThread(Pid);

impl StoppedThread {
    /// Stops the first thread of a process, and no other.
    fn new(pid: Pid) -> Self {
        ptrace::seize(pid, ptrace::Options::empty()).unwrap();
        ptrace::interrupt(pid).unwrap();
        waitpid(pid, Some(WaitPidFlag::__WALL)).unwrap();
        Self(pid)
    }
}

impl Drop for StoppedThread {
    fn drop(&mut self) {
        // It may have been killed.
        let _ = ptrace::detach(self.0, None);
    }
}

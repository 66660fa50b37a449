//! What is left of an Active that dies (DESIGN 2.5 and 2.7).

use lab::Stamp;
use nix::sys::signal::Signal;

use crate::rig::{Rig, Setup, Variant, matrix, poll, regular};

fn setup(variant: Variant) -> Setup {
    // Nothing that is removed here is removed by the kernel.
    Setup { lines: "lease = \"off\"".into(), ..variant.setup() }
}

/// The interfaces, and what is set for the one that mainstay uses.
fn host(rig: &Rig) -> String {
    rig.namespaces.exec(
        "node",
        "ip -o link | cut -d' ' -f2; cd /proc/sys/net/ipv4/conf/eth0; \
         grep . arp_ignore arp_announce arp_filter",
    )
}

/// The last word of a dead router: as it would have said it itself, but for the Ethernet address.
fn farewell(rig: &Rig, since: Stamp) {
    let last = rig.sent(Stamp::from_nanos(0)).into_iter().rfind(|it| it.at < since).unwrap();
    let farewell = rig.advert_where(since, |advert| advert.priority == 0).advert;
    let ethernet = last.advert.ethernet;
    assert_eq!(lab::Advert { priority: 200, ethernet, ..farewell }, last.advert);
}

#[test]
fn a_vrrp_process_that_is_killed_is_fenced_told_of_and_replaced() {
    matrix(|variant| {
        let rig = Setup { interval: 300, ..setup(variant) }.start();
        rig.active();
        let killed = rig.signal_vrrp(Signal::SIGKILL);
        farewell(&rig, killed);
        rig.has_vips(false);
        // Another has it meanwhile, or nobody: then it starts as any router does.
        let again = rig.advert_where(killed, |advert| advert.priority == 200);
        let wait = rig.setup.active_down(rig.setup.interval());
        assert!(again.at - killed > wait, "after {:?}", again.at - killed);
        rig.active();
        rig.has_vips(true);
        assert_eq!(rig.status()["vrrp"]["restarts"], 1);
    });
}

#[test]
fn a_vrrp_process_that_is_frozen_is_killed_and_fenced() {
    matrix(|variant| {
        let rig = setup(variant).start();
        rig.active();
        let pid = rig.status()["vrrp"]["pid"].clone();
        let frozen = rig.signal_vrrp(Signal::SIGSTOP);
        poll("another VRRP process", || {
            let now = rig.status()["vrrp"]["pid"].clone();
            (now.is_u64() && now != pid).then_some(())
        });
        rig.advert_where(frozen + rig.setup.interval() * 2, |advert| advert.priority == 200);
        rig.active();
    });
}

/// The advertising goes on without a daemon, and the next daemon takes over what it finds.
#[test]
fn a_daemon_that_is_killed_or_leaves_stops_no_advert_and_the_next_one_ends_all_in_order() {
    matrix(|variant| {
        let mut rig = Setup { interval: 250, ..setup(variant) }.cable();
        let before = host(&rig);
        rig.start();
        let start = rig.freshly_active().at;
        let vrrp = rig.status()["vrrp"]["pid"].clone();
        for signal in [Signal::SIGKILL, Signal::SIGUSR1] {
            rig.end_daemon(signal);
            rig.advert(Stamp::now() + rig.setup.interval() * 3);
            rig.start();
            poll("the attachment", || (rig.status()["vrrp"]["attached"] == true).then_some(()));
            assert_eq!(rig.status()["vrrp"]["pid"], vrrp);
        }
        rig.active();
        rig.has_vips(true);
        let times: Vec<Stamp> = rig.sent(start).iter().map(|it| it.at).collect();
        regular(&times, rig.setup.interval());
        let stopped = rig.stop();
        farewell(&rig, stopped);
        rig.has_vips(false);
        assert_eq!(host(&rig), before);
    });
}

#[test]
fn a_fence_removes_what_dead_processes_left_and_tells_the_peers() {
    matrix(|variant| {
        let mut rig = setup(variant).cable();
        let before = host(&rig);
        rig.start();
        rig.active();
        let killed = rig.kill();
        rig.has_vips(true);
        let ran = rig.mainstay(&["vip", "fence", "--if-dead"]).output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
        rig.has_vips(false);
        farewell(&rig, killed);
        assert_eq!(host(&rig), before);
    });
}

/// The kernel's lease, where nobody is left.
#[test]
fn the_kernel_removes_the_addresses_when_all_is_killed() {
    matrix(|variant| {
        let lines = "lease = \"2s\"".into();
        let mut rig = Setup { lines, ..variant.setup() }.start();
        rig.active();
        rig.kill();
        rig.has_vips(false);
    });
}

/// As the node is frozen, another took over; it says nothing when it thaws.
#[test]
fn a_node_that_thaws_listens_before_it_speaks() {
    matrix(|variant| {
        let rig = setup(variant).start();
        rig.active();
        rig.signal_both(Signal::SIGSTOP);
        let _feed = rig.feed(&[rig.greater(210)], rig.setup.half());
        std::thread::sleep(rig.setup.interval() * 8);
        let thawed = rig.signal_both(Signal::SIGCONT);
        rig.state("Backup");
        rig.has_vips(false);
        rig.silent(thawed);
    });
}

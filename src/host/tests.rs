//! Macvlans and sysctls in the kernel, each test in a network namespace of its own.
//!
//! A namespace belongs to a thread and vanishes with it, so there is nothing to clean up.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use tokio::time::{Instant, sleep};
use vrrp::linux::interface::LinkInfo;
use vrrp::linux::netlink::Netlink;
use vrrp::{Family, Vrid};

use super::sysctl;
use super::*;

const DEADLINE: Duration = Duration::from_secs(10);

/// The path of a record of its own; removed when dropped.
struct Record(PathBuf);

impl Drop for Record {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
        let _ = std::fs::remove_file(self.0.with_extension("json.corrupt-1"));
    }
}

/// A new namespace with the interface eth0, and a record. `None`, loudly, without root.
fn namespace(test: &str) -> Option<Record> {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED, needs root: {test}");
        return None;
    }
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    make_eth0();
    let file = format!("mainstay-{test}-{}.json", std::process::id());
    Some(Record(std::env::temp_dir().join(file)))
}

fn make_eth0() {
    ip("link add eth0 type veth peer name peer0");
    ip("link set eth0 up");
}

#[track_caller]
fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {output:?}");
}

fn links() -> Vec<LinkInfo> {
    Netlink::open().unwrap().links().unwrap()
}

fn link(name: &str) -> Option<LinkInfo> {
    links().into_iter().find(|link| link.name == name)
}

fn wanted(family: Family, vrid: u8) -> Wanted {
    let (router, interface) = (format!("{family} {vrid}"), "eth0".to_owned());
    Wanted { router, interface, family, vrid: Vrid::new(vrid).unwrap() }
}

fn both() -> [Wanted; 2] {
    [wanted(Family::Ipv4, 51), wanted(Family::Ipv6, 51)]
}

/// The names of their macvlans.
fn names(wanted: &[Wanted]) -> Vec<String> {
    let parent = link("eth0").unwrap().index;
    wanted.iter().map(|it| it.name(parent)).collect()
}

fn parent_settings() -> Vec<i32> {
    sysctl::PARENT.iter().map(|it| sysctl::read("eth0", it.key).unwrap()).collect()
}

#[track_caller]
fn apply(macvlans: &mut Macvlans, wanted: &[Wanted], others: Others) -> Vec<String> {
    let outcome = macvlans.apply(wanted, others);
    assert_eq!(outcome.problems, [] as [&str; 0]);
    outcome.entries.into_iter().map(|entry| entry.code).collect()
}

#[test]
fn a_macvlan_is_made_with_its_settings_and_everything_is_undone() {
    let Some(record) = namespace("made") else { return };
    let before = parent_settings();
    let mut macvlans = Macvlans::open(record.0.clone()).unwrap();
    assert_eq!(apply(&mut macvlans, &both(), Others::Remove), ["sysctl_set", "macvlan_made"]);

    let parent = link("eth0").unwrap().index;
    for (wanted, name) in both().iter().zip(names(&both())) {
        let made = link(&name).unwrap();
        assert_eq!((made.lower, made.mac, made.up), (Some(parent), Some(wanted.mac()), false));
    }
    let [v4, v6] = <[String; 2]>::try_from(names(&both())).unwrap();
    assert_eq!(parent_settings(), [1, 2]);
    let values = |name: &str, keys: &[&str]| -> Vec<i32> {
        keys.iter().map(|key| sysctl::read(name, key).unwrap()).collect()
    };
    let keys = ["ipv6/disable_ipv6", "ipv4/arp_ignore", "ipv4/accept_local", "ipv4/rp_filter"];
    assert_eq!(values(&v4, &keys), [1, 1, 1, 0]);
    let keys = ["ipv6/addr_gen_mode", "ipv6/accept_ra", "ipv6/dad_transmits", "ipv6/forwarding"];
    assert_eq!(values(&v6, &keys), [1, 0, 0, 1]);
    assert_eq!(sysctl::read(&v6, "ipv4/arp_ignore").unwrap(), 1, "no answers in IPv4");

    let undone = undo(record.0.clone()).unwrap();
    assert_eq!((undone.done.len(), undone.problems.len()), (3, 0), "{undone:?}");
    assert_eq!(parent_settings(), before);
    assert!(link(&v4).is_none() && link(&v6).is_none());
    assert!(!record.0.exists());
    assert!(undo(record.0.clone()).unwrap().is_empty());
}

#[test]
fn with_strict_reverse_path_filtering_everywhere_the_macvlan_is_loose() {
    let Some(record) = namespace("strict") else { return };
    std::fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", "1").unwrap();
    let wanted = [wanted(Family::Ipv4, 51)];
    apply(&mut Macvlans::open(record.0.clone()).unwrap(), &wanted, Others::Remove);
    assert_eq!(sysctl::read(&names(&wanted)[0], "ipv4/rp_filter").unwrap(), 2);
}

#[test]
fn after_a_restart_what_is_there_is_taken_over_untouched() {
    let Some(record) = namespace("adopted") else { return };
    apply(&mut Macvlans::open(record.0.clone()).unwrap(), &both(), Others::Remove);
    for name in names(&both()) {
        ip(&format!("link set {name} up"));
    }
    let before = links();
    let mut next = Macvlans::open(record.0.clone()).unwrap();
    assert!(apply(&mut next, &both(), Others::Remove).is_empty());
    assert_eq!(links(), before);
}

/// A crash may come after each step.
#[test]
fn what_a_crash_left_half_done_is_finished_or_undone() {
    let Some(record) = namespace("crashed") else { return };
    let original = parent_settings();
    let wanted = [wanted(Family::Ipv4, 51)];
    let (name, parent) = (names(&wanted).remove(0), link("eth0").unwrap().index);
    let written = format!(
        r#"{{"macvlans": ["{name}"], "sysctls": [
            {{"ifindex": {parent}, "key": "ipv4/arp_ignore", "original": 0, "set": 1}},
            {{"ifindex": {parent}, "key": "ipv4/arp_announce", "original": 0, "set": 2}}]}}"#
    );
    let steps: [&dyn Fn(); 4] = [
        &|| {},
        &|| sysctl::write("eth0", "ipv4/arp_ignore", 1).unwrap(),
        &|| ip(&format!("link add {name} link eth0 type macvlan mode bridge")),
        &|| sysctl::write(&name, "ipv4/arp_ignore", 1).unwrap(),
    ];
    for crash in 0..steps.len() {
        for is_finished in [false, true] {
            std::fs::write(&record.0, &written).unwrap();
            steps[..=crash].iter().for_each(|step| step());
            if is_finished {
                let mut next = Macvlans::open(record.0.clone()).unwrap();
                apply(&mut next, &wanted, Others::Remove);
                assert_eq!(link(&name).unwrap().mac, Some(wanted[0].mac()));
                assert_eq!(parent_settings(), [1, 2]);
            }
            assert_eq!(undo(record.0.clone()).unwrap().problems, [] as [&str; 0]);
            assert!(link(&name).is_none());
            assert_eq!(parent_settings(), original);
        }
    }
}

#[test]
fn hundreds_go_together() {
    let Some(record) = namespace("many") else { return };
    let wanted: Vec<_> = (1..=255).map(|vrid| wanted(Family::Ipv4, vrid)).collect();
    let mut macvlans = Macvlans::open(record.0.clone()).unwrap();
    apply(&mut macvlans, &wanted, Others::Remove);
    ip("link add other type veth peer name other1");
    let count = links().len();
    apply(&mut macvlans, &wanted[..1], Others::Remove);
    assert_eq!(links().len(), count - 254);
    apply(&mut macvlans, &[], Others::Remove);
    assert_eq!(links().len(), count - 255);
}

#[test]
fn what_somebody_else_has_set_is_neither_lowered_nor_restored() {
    let Some(record) = namespace("foreign") else { return };
    sysctl::write("eth0", "ipv4/arp_ignore", 2).unwrap();
    let wanted = [wanted(Family::Ipv4, 51)];
    apply(&mut Macvlans::open(record.0.clone()).unwrap(), &wanted, Others::Remove);
    assert_eq!(parent_settings(), [2, 2]);
    sysctl::write("eth0", "ipv4/arp_announce", 1).unwrap();
    assert_eq!(undo(record.0.clone()).unwrap().problems, [] as [&str; 0]);
    assert_eq!(parent_settings(), [2, 1]);
}

#[test]
fn what_is_no_longer_wanted_goes_once_nobody_can_be_using_it() {
    let Some(record) = namespace("retired") else { return };
    let mut macvlans = Macvlans::open(record.0.clone()).unwrap();
    apply(&mut macvlans, &both(), Others::Remove);
    let [v4, v6] = <[String; 2]>::try_from(names(&both())).unwrap();
    let only_v6 = [wanted(Family::Ipv6, 51)];
    assert!(apply(&mut macvlans, &only_v6, Others::Keep).is_empty());
    assert!(link(&v4).is_some());
    let codes = apply(&mut macvlans, &only_v6, Others::Remove);
    assert_eq!(codes, ["macvlan_deleted", "sysctl_restored", "sysctl_restored"]);
    assert!(link(&v4).is_none() && link(&v6).is_some());
}

#[test]
fn other_programs_macvlans_are_left_alone() {
    let Some(record) = namespace("others") else { return };
    ip("link add vrrp.51 link eth0 address 00:00:5e:00:01:33 type macvlan mode bridge");
    let mut macvlans = Macvlans::open(record.0.clone()).unwrap();
    let outcome = macvlans.apply(&[wanted(Family::Ipv4, 51)], Others::Remove);
    assert!(outcome.problems.concat().contains("vrrp.51"), "{:?}", outcome.problems);
    macvlans.clean_up();
    assert!(link("vrrp.51").is_some());
}

#[test]
fn an_interface_that_cannot_carry_a_macvlan_is_named_with_a_way_out() {
    let Some(record) = namespace("bridge") else { return };
    ip("link add br0 type bridge");
    ip("link set eth0 master br0");
    let mut macvlans = Macvlans::open(record.0.clone()).unwrap();
    let problems = macvlans.apply(&[wanted(Family::Ipv4, 51)], Others::Remove).problems;
    assert!(problems.concat().contains("belongs to a bridge"), "{problems:?}");
}

#[test]
fn a_damaged_record_is_made_up_for_by_the_names() {
    let Some(record) = namespace("damaged") else { return };
    apply(&mut Macvlans::open(record.0.clone()).unwrap(), &both(), Others::Remove);
    let names = names(&both());
    std::fs::write(&record.0, "{").unwrap();
    let undone = undo(record.0.clone()).unwrap();
    assert!(undone.done.concat().contains("moved to"), "{undone:?}");
    assert!(names.iter().all(|name| link(name).is_none()));
}

#[test]
fn an_interface_may_appear_later_and_vanish_and_come_back() {
    let Some(record) = namespace("later") else { return };
    ip("link delete eth0");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut host = Host::start(record.0.clone()).unwrap();
        host.want(both().to_vec(), Others::Remove);
        for _ in 0..2 {
            make_eth0();
            until("the macvlans", || {
                let made = names(&both()).iter().all(|name| link(name).is_some());
                made && parent_settings() == [1, 2]
            })
            .await;
            // By hand: it is made again.
            ip(&format!("link delete {}", names(&both())[0]));
            until("the deleted one", || link(&names(&both())[0]).is_some()).await;
            ip("link delete eth0");
        }
        let entries = host.clean_up().await;
        assert!(entries.iter().all(|entry| entry.code != "macvlan_deleted"), "{entries:?}");
        assert!(host.warnings().is_empty());
        assert!(!record.0.exists());
    });
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

//! Thousands of virtual routers: figures for the log.

use std::time::Duration;

use vrrp::proto::{ProcessStatus, Request};
use vrrp::router::Cause;

use super::*;

const INTERFACES: u8 = 16;
const EACH: u8 = 255;
/// For how long the cost is measured.
const SPAN: Duration = Duration::from_secs(10);

/// Prints how long 4,080 virtual routers with 100 ms advertisements take to start and what they
/// cost as Actives.
#[test]
#[ignore = "takes half a minute and prints figures"]
fn what_4080_virtual_routers_cost() {
    let Some(_peer) = namespaces() else { return };
    for i in 0..INTERFACES {
        ip(&format!("link add e{i} type veth peer name p{i}"));
        ip(&format!("address add 10.{}.0.1/16 dev e{i}", i + 1));
        ip(&format!("link set p{i} up"));
        ip(&format!("link set e{i} up"));
    }
    wait_until("carrier", || link("e15").is_some_and(|link| link.carrier));
    let specs: Vec<RouterSpec> =
        (0..INTERFACES).flat_map(|i| (1..=EACH).map(move |vrid| spec(i, vrid))).collect();
    let mut process = Process::start();

    let start = Instant::now();
    process.commit(&specs);
    process.wait("commit", |reply| matches!(reply, Reply::Committed { .. }).then_some(()));
    println!("{} virtual routers in force after {:.0?}", specs.len(), start.elapsed());
    wait_for_installations(&process, specs.len(), start);

    std::thread::sleep(Duration::from_secs(5)); // The repeated announcements.
    let before = usage(process.child.id());
    let start = Instant::now();
    std::thread::sleep(SPAN);
    let span = start.elapsed().as_secs_f64();
    for ((name, user, system), (_, user_before, system_before)) in
        usage(process.child.id()).into_iter().zip(before)
    {
        // Ticks of 10 ms.
        let percent = |ticks: u64| ticks as f64 / span;
        let (user, system) = (percent(user - user_before), percent(system - system_before));
        println!("{name}: {user:.1} % user, {system:.1} % system");
    }

    let start = Instant::now();
    let (status, routers) = status_of_all(&process);
    println!(
        "status of {routers} after {:.0?}, events lost {}",
        start.elapsed(),
        status.events_lost
    );
    let start = Instant::now();
    process.commit(&specs);
    process.wait("commit", |reply| matches!(reply, Reply::Committed { .. }).then_some(()));
    println!("the same again after {:.0?}", start.elapsed());

    let start = Instant::now();
    process.ask(&Request::Shutdown);
    process.wait("end", |reply| matches!(reply, Reply::Bye).then_some(()));
    println!("stopped after {:.0?}", start.elapsed());
    let left = Netlink::open().unwrap().addresses(None).unwrap();
    assert_eq!(left.iter().filter(|info| info.ours).count(), 0);
}

/// Prints how long 255 virtual routers with virtual MAC addresses take to start and to stop.
#[test]
#[ignore = "prints figures"]
fn what_255_virtual_macs_cost() {
    let Some(_peer) = namespaces() else { return };
    let specs: Vec<RouterSpec> = (1..=EACH).map(virtual_mac).collect();
    for vrid in 1..=EACH {
        ip(&format!("link add link {HERE} name v{vrid} type macvlan mode bridge"));
        ip(&format!("link set v{vrid} addrgenmode none"));
        ip(&format!("link set v{vrid} address 00:00:5e:00:01:{vrid:02x}"));
    }
    let mut process = Process::start();
    let start = Instant::now();
    process.commit(&specs);
    wait_for_installations(&process, specs.len(), start);
    let start = Instant::now();
    process.ask(&Request::Shutdown);
    process.wait("end", |reply| matches!(reply, Reply::Bye).then_some(()));
    println!("stopped after {:.0?}", start.elapsed());
    let left = Netlink::open().unwrap().addresses(None).unwrap();
    assert_eq!(left.iter().filter(|info| info.ours).count(), 0);
}

/// Prints when all addresses are there, and how many had to be tried again.
fn wait_for_installations(process: &Process, all: usize, start: Instant) {
    let (installed, given_up) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    process.wait("installations", |reply| {
        if let Reply::Event(event) = reply {
            match event.kind {
                EventKind::Router(Report::Installed) => installed.set(installed.get() + 1),
                EventKind::Router(Report::Transition { cause: Cause::NotInstalled, .. }) => {
                    given_up.set(given_up.get() + 1);
                }
                _ => {}
            }
        }
        (installed.get() == all).then_some(())
    });
    let given_up = given_up.get();
    println!("all addresses there after {:.0?}, given up {given_up} times", start.elapsed());
}

fn virtual_mac(vrid: u8) -> RouterSpec {
    let address = Ipv4Addr::new(10, 0, 1, vrid).into();
    let mut spec = router(&format!("v{vrid}"), vrid, 255, address);
    spec.config.virtual_mac = true;
    spec
}

fn spec(interface: u8, vrid: u8) -> RouterSpec {
    let address = Ipv4Addr::new(10, interface + 1, 1, vrid).into();
    let mut spec = router(&format!("{interface}-{vrid}"), vrid, 254, address);
    spec.interface = format!("e{interface}");
    spec.config.interval = Centis::new(10).unwrap();
    spec
}

fn status_of_all(process: &Process) -> (ProcessStatus, usize) {
    process.ask(&Request::Status);
    let routers = std::cell::Cell::new(0);
    process.wait("status", |reply| match reply {
        Reply::Router(_) => {
            routers.set(routers.get() + 1);
            None
        }
        Reply::Status(status) => Some((status, routers.get())),
        _ => None,
    })
}

/// The name of each thread and its time in user and in kernel mode, in ticks.
fn usage(pid: u32) -> Vec<(String, u64, u64)> {
    let mut threads = Vec::new();
    for entry in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let stat = std::fs::read_to_string(entry.unwrap().path().join("stat")).unwrap();
        let (name, rest) = stat.split_once('(').unwrap().1.rsplit_once(')').unwrap();
        let fields: Vec<&str> = rest.split_whitespace().collect();
        threads.push((name.to_owned(), fields[11].parse().unwrap(), fields[12].parse().unwrap()));
    }
    threads
}

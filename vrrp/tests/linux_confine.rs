//! The primitives still work in a process that has given up all else.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods)] // The kernel's time is real.

mod linux_support;

use std::collections::HashMap;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::process::Command;
use std::time::Duration;

use caps::{CapSet, Capability};
use linux_support::*;
use vrrp::Family;
use vrrp::config::Lease;
use vrrp::linux::frame::{FrameSocket, advert_header};
use vrrp::linux::monitor::{Change, Monitor};
use vrrp::linux::neighbour::{Announcer, Listener};
use vrrp::linux::netlink::{Netlink, Removed};
use vrrp::linux::socket::{AdvertSocket, Outbound, RecvBuf};
use vrrp::linux::{clock, confine, farewell, rt};
use vrrp::wire::GROUP_V6;

const CHILD: &str = "VRRP_TEST_CONFINED";

/// The filter is for all threads of a process, so it gets one of its own: this test again.
#[test]
fn a_confined_process_can_do_its_work_and_nothing_else() {
    if std::env::var_os(CHILD).is_some() {
        return confined();
    }
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED, needs root: a_confined_process_can_do_its_work_and_nothing_else");
        return;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_confined_process_can_do_its_work_and_nothing_else", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("CONFINED AND WORKING"), "{text}");
}

fn confined() {
    let peer = namespaces().unwrap();
    let here = index(HERE);
    let mac = link(HERE).unwrap().mac.unwrap();
    let (there, peer_mac) = peer.run(|| (index(THERE), link(THERE).unwrap().mac.unwrap()));
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    // A second thread that waits, as in the VRRP process.
    let waiting = std::thread::spawn(move || {
        let _ = stopped.recv();
        std::fs::File::open("/etc/hostname").is_err()
    });

    // Sandboxes refuse some of these; the work goes on.
    for refused in
        [rt::set_realtime(10, "it may be").err(), rt::lock_memory().err()].into_iter().flatten()
    {
        println!("warning: {refused}");
    }
    confine::drop_capabilities().unwrap();
    let kept = caps::CapsHashSet::from([Capability::CAP_NET_RAW, Capability::CAP_NET_ADMIN]);
    for set in [CapSet::Permitted, CapSet::Effective] {
        assert_eq!(caps::read(None, set).unwrap(), kept);
    }
    assert!(caps::read(None, CapSet::Inheritable).unwrap().is_empty());
    confine::no_new_privileges().unwrap();
    confine::filter_system_calls().unwrap();
    confine::filter_system_calls().expect_err("seccomp(2) is forbidden now");

    nothing_else();
    sockets(&peer, here, there);
    addresses(here, mac);
    neighbours(&peer, here, mac, there, peer_mac);
    memory_and_threads();
    stop.send(()).unwrap();
    assert!(waiting.join().unwrap(), "the filter holds for threads that were there before");
    println!("CONFINED AND WORKING");
}

fn nothing_else() {
    use std::io::ErrorKind::PermissionDenied;
    assert_eq!(std::fs::read("/etc/hostname").unwrap_err().kind(), PermissionDenied);
    assert_eq!(std::fs::write("/tmp/x", "").unwrap_err().kind(), PermissionDenied);
    assert_eq!(Command::new("/bin/true").spawn().unwrap_err().kind(), PermissionDenied);
    assert_eq!(UdpSocket::bind("127.0.0.1:0").unwrap_err().kind(), PermissionDenied);
    assert_eq!(TcpListener::bind("127.0.0.1:0").unwrap_err().kind(), PermissionDenied);
    assert_eq!(std::thread::Builder::new().spawn(|| ()).unwrap_err().kind(), PermissionDenied);
    // SAFETY: asks for memory that nothing else has, and does not use it.
    let executable = unsafe {
        let protection = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        libc::mmap(std::ptr::null_mut(), 4096, protection, flags, -1, 0)
    };
    assert_eq!(executable, libc::MAP_FAILED);
}

fn sockets(peer: &Peer, here: u32, there: u32) {
    let group = Ipv4Addr::new(224, 0, 0, 18).into();
    let socket = AdvertSocket::open(here, Family::Ipv4, 1 << 20).unwrap();
    let mut buffer = RecvBuf::new();
    let vrids: Vec<_> = vrrp::Vrid::new(51).into_iter().collect();
    socket.tighten(&vrids).unwrap();
    peer.run(move || {
        let socket = AdvertSocket::open(there, Family::Ipv4, 65536).unwrap();
        socket.send(&packet(THERE_IP, 255, &[], &advert(51, 1)), group).unwrap();
    });
    let length = wait_for("advert", &socket, || {
        socket.recv(&mut buffer).unwrap().map(|got| got.bytes.len())
    });
    assert_eq!(length, 32);
    socket.relax().unwrap();
    socket.drops().unwrap();
    socket.send(&packet(HERE_IP, 255, &[], &advert(51, 1)), group).unwrap();
    farewell::send_release(here, &packet(HERE_IP, 255, &[], &advert(51, 0)), group).unwrap();

    let group = GROUP_V6.into();
    let socket = AdvertSocket::open(here, Family::Ipv6, 1 << 20).unwrap();
    let payload = advert(51, 1);
    socket.tighten(&vrids).unwrap();
    socket.relax().unwrap();
    peer.run(move || {
        let socket = AdvertSocket::open(there, Family::Ipv6, 65536).unwrap();
        let packet = packet_v6(THERE_LINK_LOCAL, GROUP_V6, 255, &payload);
        let sent = socket.send_many(&[Outbound { packet: &packet, to: group }]);
        assert!(sent.count == 1 && sent.error.is_none(), "{sent:?}");
    });
    let mut buffer = RecvBuf::new();
    let got = wait_for("advert", &socket, || {
        socket.recv(&mut buffer).unwrap().map(|got| (got.bytes.len(), got.source()))
    });
    assert_eq!(got, (12, Some(THERE_LINK_LOCAL.into())));
    let packet = packet_v6(HERE_LINK_LOCAL, GROUP_V6, 255, &advert(51, 0));
    farewell::send_release(here, &packet, group).unwrap();
    let mut frame = advert_header(Family::Ipv6, vrids[0]).to_vec();
    frame.extend(packet);
    let sent = FrameSocket::open(here).unwrap().send_many(&[&frame]);
    assert!(sent.count == 1 && sent.error.is_none(), "{sent:?}");

    let timer = clock::Timer::new().unwrap();
    timer.arm(Some(clock::now() + Duration::from_millis(5))).unwrap();
    assert!(readable(&timer, DEADLINE));
    assert!(timer.ack().unwrap());
}

fn addresses(here: u32, mac: [u8; 6]) {
    let mut monitor = Monitor::open().unwrap();
    let mut netlink = Netlink::open().unwrap();
    netlink.set_up(here, true).unwrap();
    let lease = Some(Lease::from_secs(5).unwrap());
    netlink.install(here, VIP, lease).unwrap();
    wait_for_change(
        &mut monitor,
        "the address",
        |change| matches!(change, Change::AddressAdded(info) if info.address == VIP && info.ours),
    );
    assert!(netlink.links().unwrap().iter().any(|link| link.mac == Some(mac)));
    assert_eq!(netlink.remove(here, VIP), Ok(Removed::Deleted));
    netlink.install(here, "fd00::10".parse().unwrap(), lease).unwrap();
    assert_eq!(netlink.remove(here, "fd00::10".parse().unwrap()), Ok(Removed::Deleted));
}

fn neighbours(peer: &Peer, here: u32, mac: [u8; 6], there: u32, peer_mac: [u8; 6]) {
    Announcer::open(here, HERE, mac).unwrap().announce(VIP, None).unwrap();
    let listener = Listener::open(here, Family::Ipv4, &[VIP]).unwrap();
    peer.run(move || Announcer::open(there, THERE, peer_mac).unwrap().announce(VIP, None).unwrap());
    let heard = wait_for("ARP", &listener, || listener.recv().unwrap());
    assert_eq!(heard.mac, peer_mac);

    let mut announcer = Announcer::open(here, HERE, mac).unwrap();
    announcer.announce(VIP_V6, Some(HERE_LINK_LOCAL)).unwrap();
    announcer.probe(VIP_V6).unwrap();
    let listener = Listener::open(here, Family::Ipv6, &[VIP_V6]).unwrap();
    peer.run(move || {
        Announcer::open(there, THERE, peer_mac).unwrap().announce(VIP_V6, None).unwrap();
    });
    let heard = wait_for("neighbour discovery", &listener, || listener.recv().unwrap());
    assert_eq!(heard.mac, peer_mac);
}

/// The allocator, hash maps, waiting, and a panic that is caught.
fn memory_and_threads() {
    let large = vec![1_u8; 64 << 20];
    assert_eq!(large.iter().map(|&byte| u64::from(byte)).sum::<u64>(), 64 << 20);
    let map: HashMap<u32, String> = (0..1000).map(|n| (n, n.to_string())).collect();
    assert_eq!(map[&7], "7");
    std::thread::sleep(Duration::from_millis(1));
    rt::touch_stack(64 * 1024);
    assert!(std::panic::catch_unwind(|| panic!("on purpose")).is_err());
}

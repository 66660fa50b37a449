//! What the daemon does for a dead VRRP process: remove its addresses, send priority 0.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods)] // The kernel's time is real.

mod linux_support;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use linux_support::*;
use vrrp::Family;
use vrrp::linux::farewell::send_release;
use vrrp::linux::fence::{Fence, FenceOutcome, Fenced};
use vrrp::linux::netlink::{Install, Netlink};
use vrrp::linux::socket::{AdvertSocket, RecvBuf};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn fenced(interface: &str, address: IpAddr) -> Fenced {
    Fenced { interface: interface.to_owned(), address, only_ours: false }
}

fn present(address: IpAddr) -> bool {
    let addresses = Netlink::open().unwrap().addresses(None).unwrap();
    addresses.iter().any(|info| info.address == address)
}

#[test]
fn a_fence_removes_what_is_there_and_says_so() {
    let Some(_peer) = namespaces() else { return };
    runtime().block_on(async {
        let fence = Fence::open().unwrap();
        let ipv6: IpAddr = "fd00::10".parse().unwrap();
        let mut netlink = Netlink::open().unwrap();
        netlink.install(index(HERE), VIP, None).unwrap();
        netlink.install(index(HERE), ipv6, None).unwrap();
        ip("address add 10.0.0.10/24 dev here");
        let wanted = [
            fenced(HERE, VIP),
            fenced("none", VIP),
            fenced(HERE, ipv6),
            fenced(HERE, Ipv4Addr::new(10, 0, 0, 77).into()),
        ];
        let outcomes = fence.remove(&wanted).await;
        assert!(matches!(
            outcomes[..],
            [
                FenceOutcome::Removed,
                FenceOutcome::Absent,
                FenceOutcome::Removed,
                FenceOutcome::Absent
            ]
        ));
        assert!(!present(VIP) && !present(ipv6) && present(HERE_IP.into()));
        assert!(fence.remove(&[]).await.is_empty());
    });
}

#[test]
fn a_fence_finds_its_address_on_a_renamed_interface() {
    let Some(_peer) = namespaces() else { return };
    runtime().block_on(async {
        let fence = Fence::open().unwrap();
        Netlink::open().unwrap().install(index(HERE), VIP, None).unwrap();
        let outcomes =
            fence.remove(&[fenced("renamed", VIP), fenced("none", HERE_IP.into())]).await;
        assert!(matches!(outcomes[..], [FenceOutcome::Removed, FenceOutcome::Absent]));
        assert!(!present(VIP) && present(HERE_IP.into()));
    });
}

#[test]
fn a_fence_removes_one_address_or_all_again_and_again() {
    let Some(_peer) = namespaces() else { return };
    runtime().block_on(async {
        let fence = Fence::open().unwrap();
        let (mut netlink, here) = (Netlink::open().unwrap(), index(HERE));
        let mut samples = Vec::new();
        for _ in 0..200 {
            netlink.install(here, VIP, None).unwrap();
            let start = Instant::now();
            let outcomes = fence.remove(&[fenced(HERE, VIP)]).await;
            samples.push(start.elapsed());
            assert!(matches!(outcomes[..], [FenceOutcome::Removed]));
        }
        eprintln!("fence, one address: {}", figures(samples));

        let addresses = (1..=255).map(|last| IpAddr::from(Ipv4Addr::new(10, 0, 1, last)));
        let wanted: Vec<Install> =
            addresses.map(|address| Install { ifindex: here, address, lease: None }).collect();
        let all: Vec<Fenced> = wanted.iter().map(|w| fenced(HERE, w.address)).collect();
        let mut samples = Vec::new();
        for _ in 0..10 {
            assert!(netlink.install_many(&wanted).iter().all(Result::is_ok));
            let start = Instant::now();
            let outcomes = fence.remove(&all).await;
            samples.push(start.elapsed());
            assert!(outcomes.iter().all(|outcome| matches!(outcome, FenceOutcome::Removed)));
        }
        eprintln!("fence, 255 addresses: {}", figures(samples));
    });
}

#[test]
fn a_fence_without_the_capability_fails_and_says_so() {
    let Some(_peer) = namespaces() else { return };
    Netlink::open().unwrap().install(index(HERE), VIP, None).unwrap();
    let failed = std::thread::spawn(|| {
        caps::drop(None, caps::CapSet::Effective, caps::Capability::CAP_NET_ADMIN).unwrap();
        runtime().block_on(async {
            let outcomes = Fence::open().unwrap().remove(&[fenced(HERE, VIP)]).await;
            matches!(outcomes[..], [FenceOutcome::Failed(_)])
        })
    });
    assert!(failed.join().unwrap());
    assert!(present(VIP));
}

/// RFC 9568, 6.4.3: priority 0, on behalf of a process that cannot send it any more.
#[test]
fn a_release_is_heard_by_the_others() {
    let Some(peer) = namespaces() else { return };
    let sent = packet(HERE_IP, 255, &[], &advert(51, 0));
    let here = index(HERE);
    let ready = peer.run(|| AdvertSocket::open(index(THERE), Family::Ipv4, 65536).unwrap());
    let start = Instant::now();
    send_release(here, &sent, Ipv4Addr::new(224, 0, 0, 18).into()).unwrap();
    eprintln!("release, socket included: {:.1?}", start.elapsed());
    let got = peer.run(move || {
        let mut buffer = RecvBuf::new();
        wait_for("release", &ready, || {
            ready.recv(&mut buffer).unwrap().map(|got| got.bytes.to_vec())
        })
    });
    assert_eq!(got[20..], advert(51, 0));
    let missing = send_release(9999, &sent, Ipv4Addr::new(224, 0, 0, 18).into());
    assert!(missing.is_err());
}

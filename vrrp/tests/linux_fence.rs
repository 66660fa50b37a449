//! What the daemon does for a dead VRRP process: remove its addresses, send priority 0.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::disallowed_methods)] // The kernel's time is real.

mod linux_support;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use linux_support::*;
use vrrp::linux::farewell::send_release;
use vrrp::linux::fence::{Fence, FenceOutcome, Fenced};
use vrrp::linux::netlink::{Install, Netlink};
use vrrp::linux::socket::{AdvertSocket, RecvBuf};
use vrrp::time::Centis;
use vrrp::wire::{ChecksumForm, MAX_LEN, Outgoing, group};
use vrrp::{Family, Vrid};

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

/// Left by keepalived or by a person. The kernel wants to be told the prefix length of IPv6.
#[test]
fn a_fence_removes_ipv6_addresses_whatever_prefix_lengths_they_have() {
    let Some(_peer) = namespaces() else { return };
    runtime().block_on(async {
        let fence = Fence::open().unwrap();
        for prefixes in [&[128][..], &[64], &[128, 64]] {
            for prefix in prefixes {
                for vip in [VIP_V6, VIP_LINK_LOCAL] {
                    // An IPv6 address is on an interface once; the kernel refuses a twin.
                    let arguments = format!("address add {vip}/{prefix} dev here nodad");
                    let _ = std::process::Command::new("ip")
                        .args(arguments.split_whitespace())
                        .output();
                }
            }
            let outcomes =
                fence.remove(&[VIP_V6, VIP_LINK_LOCAL].map(|vip| fenced(HERE, vip))).await;
            assert!(
                matches!(outcomes[..], [FenceOutcome::Removed, FenceOutcome::Removed]),
                "{outcomes:?}"
            );
            assert!(!present(VIP_V6) && !present(VIP_LINK_LOCAL));
            assert!(present(HERE_LINK_LOCAL.into()));
        }
    });
}

/// The virtual router is known by its interface; its addresses are on the macvlan above.
#[test]
fn a_fence_finds_addresses_on_macvlans() {
    let Some(_peer) = namespaces() else { return };
    for (name, mac) in [("vrrp4", "00:00:5e:00:01:33"), ("vrrp6", "00:00:5e:00:02:33")] {
        ip(&format!("link add link here name {name} address {mac} type macvlan mode bridge"));
        ip(&format!("link set {name} addrgenmode none up"));
    }
    let on_macvlans = [("vrrp4", VIP), ("vrrp6", VIP_V6), ("vrrp6", VIP_LINK_LOCAL)];
    runtime().block_on(async {
        let (fence, mut netlink) = (Fence::open().unwrap(), Netlink::open().unwrap());
        for (name, vip) in on_macvlans {
            netlink.install(index(name), vip, None).unwrap();
        }
        let outcomes = fence.remove(&on_macvlans.map(|(_, vip)| fenced(HERE, vip))).await;
        assert!(outcomes.iter().all(|o| matches!(o, FenceOutcome::Removed)), "{outcomes:?}");
        assert!(on_macvlans.iter().all(|&(_, vip)| !present(vip)));

        // Before Linux 5.18 no address says whose it is: the macvlans are named.
        for (name, vip) in on_macvlans {
            let host = if vip.is_ipv4() { "32" } else { "128 nodad" };
            ip(&format!("address add {vip}/{host} dev {name}"));
        }
        let outcomes = fence.remove(&on_macvlans.map(|(_, vip)| fenced(HERE, vip))).await;
        assert!(outcomes.iter().all(|o| matches!(o, FenceOutcome::Absent)), "{outcomes:?}");
        let outcomes = fence.remove(&on_macvlans.map(|(name, vip)| fenced(name, vip))).await;
        assert!(outcomes.iter().all(|o| matches!(o, FenceOutcome::Removed)), "{outcomes:?}");
        assert!(on_macvlans.iter().all(|&(_, vip)| !present(vip)));
    });
}

/// RFC 9568, 6.1: an owner's addresses belong to its interface, whoever advertises them.
#[test]
fn a_fence_spares_what_an_owners_interface_has_from_elsewhere() {
    let Some(_peer) = namespaces() else { return };
    let (other, other_v6): (IpAddr, IpAddr) =
        ("10.0.0.11".parse().unwrap(), "fd00::11".parse().unwrap());
    ip("address add 10.0.0.10/24 dev here");
    ip("address add fd00::10/64 dev here nodad");
    let owned = |address| Fenced { only_ours: true, ..fenced(HERE, address) };
    runtime().block_on(async {
        let mut netlink = Netlink::open().unwrap();
        netlink.install(index(HERE), other, None).unwrap();
        netlink.install(index(HERE), other_v6, None).unwrap();
        // The same address, once from elsewhere and once from mainstay.
        netlink.install(index(HERE), VIP, None).unwrap();
        let outcomes =
            Fence::open().unwrap().remove(&[VIP, VIP_V6, other, other_v6].map(owned)).await;
        assert!(
            matches!(
                outcomes[..],
                [
                    FenceOutcome::Removed,
                    FenceOutcome::Absent,
                    FenceOutcome::Removed,
                    FenceOutcome::Removed
                ]
            ),
            "{outcomes:?}"
        );
        assert!(present(VIP) && present(VIP_V6) && !present(other) && !present(other_v6));
        let shown = ip("address show dev here to 10.0.0.10");
        assert!(shown.contains("10.0.0.10/24") && !shown.contains("/32"), "{shown}");
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

/// RFC 9568, 6.4.3, over IPv6: to the group, and to a peer where routers speak unicast.
#[test]
fn a_release_over_ipv6_is_heard_by_the_others() {
    let Some(peer) = namespaces() else { return };
    let here = index(HERE);
    let ready = peer.run(|| AdvertSocket::open(index(THERE), Family::Ipv6, 65536).unwrap());
    let release = Outgoing {
        vrid: Vrid::new(51).unwrap(),
        priority: None,
        interval: Centis::new(100).unwrap(),
        addresses: &[VIP_LINK_LOCAL],
        checksum: ChecksumForm::Rfc9568,
    };
    let mut receive = RecvBuf::new();
    for to in [group(Family::Ipv6), THERE_LINK_LOCAL.into()] {
        let mut buffer = [0; MAX_LEN];
        send_release(here, release.encode(HERE_LINK_LOCAL.into(), to, &mut buffer), to).unwrap();
        let heard = wait_for("release", &ready, || {
            let datagram = ready.recv(&mut receive).unwrap()?;
            let advert = datagram.advert().unwrap();
            Some((advert.priority, advert.source, advert.destination))
        });
        assert_eq!(heard, (None, HERE_LINK_LOCAL.into(), to));
    }
}

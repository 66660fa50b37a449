//! Ending TCP connections by their local address.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod linux_support;

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, TcpStream};
use std::time::Duration;

use linux_support::*;
use vrrp::linux::clock;
use vrrp::linux::netlink::Netlink;
use vrrp::linux::tcp::{Ended, Local, Tcp};

/// A server here that listens at `address`.
fn server(address: &str) -> TcpListener {
    TcpListener::bind((address, 0)).unwrap()
}

/// A connection from there, and its end here.
fn connect(peer: &Peer, server: &TcpListener, to: IpAddr) -> (TcpStream, TcpStream) {
    let port = server.local_addr().unwrap().port();
    let client = peer.run(move || {
        let to = match to {
            IpAddr::V6(to) => SocketAddrV6::new(to, port, 0, index(THERE)).into(),
            to => SocketAddr::new(to, port),
        };
        TcpStream::connect_timeout(&to, DEADLINE).unwrap()
    });
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    (client, server.accept().unwrap().0)
}

fn is_reset(mut client: TcpStream) -> bool {
    matches!(client.read(&mut [0; 1]), Err(error) if error.kind() == ErrorKind::ConnectionReset)
}

/// Ends the connections of these addresses on the interface here.
fn end(addresses: &[IpAddr]) -> Ended {
    let ifindex = index(HERE);
    let locals: Vec<_> = addresses.iter().map(|&address| Local { address, ifindex }).collect();
    Tcp::open().unwrap().end(&locals, clock::now() + Duration::from_secs(5)).unwrap()
}

/// Makes the addresses usable here, and reachable from there.
fn install(peer: &Peer, addresses: &[IpAddr]) {
    let mut netlink = Netlink::open().unwrap();
    for &address in addresses {
        netlink.install(index(HERE), address, None).unwrap();
    }
    peer.run(|| ip(&format!("route add fd00::/64 dev {THERE}")));
}

#[test]
fn the_connections_of_an_address_are_reset_and_no_others() {
    let Some(peer) = namespaces() else { return };
    install(&peer, &[VIP, VIP_V6, VIP_LINK_LOCAL]);
    let both = server("::");
    let old = server("0.0.0.0");
    for (server, to, family) in [
        (&both, VIP, "mapped"),
        (&old, VIP, "IPv4"),
        (&both, VIP_V6, "IPv6"),
        (&both, VIP_LINK_LOCAL, "link-local"),
    ] {
        let (mut own, mut kept) = connect(&peer, server, HERE_IP.into());
        let (client, mut ended) = connect(&peer, server, to);
        assert_eq!(end(&[to]), Ended { count: 1, complete: true }, "{family}");
        assert!(is_reset(client), "{family}");
        ended.set_read_timeout(Some(DEADLINE)).unwrap();
        let error = ended.read(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionAborted, "{family}");
        kept.write_all(b"x").unwrap();
        own.read_exact(&mut [0; 1]).unwrap();
        // The server itself listens on.
        connect(&peer, server, to);
        end(&[to]);
    }
    assert_eq!(end(&[VIP, VIP_V6]), Ended { count: 0, complete: true });
}

#[test]
fn all_of_many_connections_to_many_addresses_are_reset() {
    let Some(peer) = namespaces() else { return };
    let addresses: Vec<IpAddr> = (100..110).map(|last| [10, 0, 0, last].into()).collect();
    install(&peer, &addresses);
    let server = server("::");
    let (clients, ends): (Vec<_>, Vec<_>) =
        (0..40).map(|n| connect(&peer, &server, addresses[n % 10])).unzip();
    let (first, rest) = addresses.split_at(1);
    assert_eq!(end(rest), Ended { count: 36, complete: true });
    assert_eq!(end(first), Ended { count: 4, complete: true });
    assert!(clients.into_iter().all(is_reset));
    drop(ends);
}

#[test]
fn a_link_local_address_of_another_interface_is_left_alone() {
    let Some(peer) = namespaces() else { return };
    install(&peer, &[VIP_LINK_LOCAL]);
    let server = server("::");
    let (_client, _end) = connect(&peer, &server, VIP_LINK_LOCAL);
    let elsewhere = Local { address: VIP_LINK_LOCAL, ifindex: index(HERE) + 1 };
    let ended = Tcp::open().unwrap().end(&[elsewhere], clock::now()).unwrap();
    assert_eq!(ended.count, 0);
    assert_eq!(end(&[Ipv6Addr::LOCALHOST.into()]).count, 0);
}

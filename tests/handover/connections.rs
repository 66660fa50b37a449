//! Clients with a long-lived connection are reset when the VIP moves, and not left hanging.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use lab::timeline::added;
use lab::{Node, Part, Stamp, VIP, within};

use crate::support::{M1, M2, Net, PATIENCE, leased, mainstay, poll};

const PORT: u16 = 7100;

/// A server that never says anything.
struct Silent(TcpListener);

impl Silent {
    fn listen(net: &Net, node: Node, address: &str) -> Self {
        let address = SocketAddr::new(address.parse().unwrap(), PORT);
        let listen = || TcpListener::bind(address);
        Self(within(&net.lab().namespace(node), listen).unwrap().unwrap())
    }

    /// A client of it, and the connection's other end.
    fn connect(&self, net: &Net, to: IpAddr) -> (TcpStream, TcpStream) {
        let connect = || TcpStream::connect_timeout(&SocketAddr::new(to, PORT), PATIENCE);
        let client = within(&net.lab().namespace("client"), connect).unwrap().unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        let (server, _) = self.0.accept().unwrap();
        (client, server)
    }
}

/// Waits, beside the test, until the connection is reset; when that is.
fn reset(mut client: TcpStream) -> JoinHandle<Stamp> {
    std::thread::spawn(move || {
        let error = client.read(&mut [0; 1]).expect_err("nobody ever says anything");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
        Stamp::now()
    })
}

/// When the kernel of `node` got the VIP, and how long after that clients were reset.
#[track_caller]
fn tell(net: &Net, what: &str, node: Node, since: Stamp, reset: JoinHandle<Stamp>) {
    let reset = reset.join().expect("the connection is reset");
    let added = net.wait("the VIP", |view| added(&view.events, node, since));
    let after = if reset > added { reset - added } else { Duration::ZERO };
    let _ = writeln!(std::io::stderr(), "{what}: reset {after:?} after {node} had the VIP");
}

#[test]
fn a_drain_resets_the_clients_and_leaves_all_else_alone() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    // As the API server listens, so that its connections are mapped ones.
    let any = Silent::listen(&net, M1, "::");
    let (to_vip, mut of_vip) = any.connect(&net, VIP.into());
    let (mut to_node, mut of_node) = any.connect(&net, M1.address().into());
    let reset = reset(to_vip);
    let start = Stamp::now();
    let ran = net.mainstay(M1, &["vip", "drain"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    tell(&net, "drain", M2, start, reset);
    // The server does not wait for its client either.
    of_vip.set_read_timeout(Some(PATIENCE)).unwrap();
    let error = of_vip.read(&mut [0; 1]).expect_err("ended");
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted, "{error}");
    // Neither the node's own connections nor the server itself.
    of_node.write_all(b"x").unwrap();
    to_node.read_exact(&mut [0; 1]).unwrap();
    any.connect(&net, M1.address().into());
}

#[test]
fn a_socket_of_ipv4_is_reset_too() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    let any = Silent::listen(&net, M1, "0.0.0.0");
    let (client, _server) = any.connect(&net, VIP.into());
    let reset = reset(client);
    let start = Stamp::now();
    net.lab().stop(M1).unwrap();
    tell(&net, "stop", M2, start, reset);
}

#[test]
fn many_clients_are_reset_at_once() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    let any = Silent::listen(&net, M1, "::");
    let (clients, _servers): (Vec<_>, Vec<_>) =
        (0..300).map(|_| any.connect(&net, VIP.into())).unzip();
    let resets: Vec<_> = clients.into_iter().map(reset).collect();
    let start = Stamp::now();
    assert_eq!(net.mainstay(M1, &["vip", "drain"]).code, Some(0));
    for reset in resets {
        tell(&net, "one of 300", M2, start, reset);
    }
}

#[test]
fn a_fence_resets_the_clients_of_a_dead_vrrp_process() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    let any = Silent::listen(&net, M1, "::");
    let (client, _server) = any.connect(&net, VIP.into());
    let reset = reset(client);
    let killed = net.lab().kill(M1, Part::Child).unwrap();
    tell(&net, "fence", M2, killed, reset);
}

#[test]
fn vip_fence_resets_the_clients_when_both_are_dead() {
    let Some(net) = Net::settled(2, &mainstay()) else { return };
    let any = Silent::listen(&net, M1, "::");
    let (client, _server) = any.connect(&net, VIP.into());
    let reset = reset(client);
    let killed = net.lab().kill(M1, Part::Both).unwrap();
    // Until the daemon has quite ended it holds the lock, and the fence leaves all to it.
    poll("the fence", || {
        let ran = net.mainstay(M1, &["vip", "fence", "--if-dead"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.stdout.contains("removed").then_some(())
    });
    tell(&net, "vip fence", M2, killed, reset);
}

/// A repair, a lease that is renewed and a reload take the address away from nobody.
#[test]
fn a_connection_outlives_whatever_leaves_the_vip_where_it_is() {
    let Some(net) = Net::settled(2, &leased()) else { return };
    let any = Silent::listen(&net, M1, "::");
    let (mut client, mut server) = any.connect(&net, VIP.into());
    let start = Stamp::now();
    net.reconfigure(M1, |text| {
        text.replace("[\"10.51.0.100\"]", "[\"10.51.0.100\", \"10.51.0.102\"]")
    });
    net.reconfigure(M1, |text| text.replace(", \"10.51.0.102\"", ""));
    net.adverts(M1, start, 20);
    server.write_all(b"x").unwrap();
    client.read_exact(&mut [0; 1]).unwrap();
}

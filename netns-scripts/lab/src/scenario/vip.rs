//! The VIP as an address of the kernel: repaired when deleted, never chosen as a source.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use super::{Bar, Metric, Reading, Run, count};
use crate::timeline::{added, removed};
use crate::{Bench, CLIENT, Family, LabError, Node, Stamp, sleep_until, within};

const PORT: u16 = 7001;
/// How long a state of the addresses is watched, and how often a source is asked for meanwhile.
const WINDOW: Duration = Duration::from_millis(500);
const STEP: Duration = Duration::from_millis(50);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_millis(20);

static BACK: Metric = Metric { name: "until the VIP is back", unit: "ms", bar: Bar::Median(50.0) };
static AS_SOURCE: Metric =
    Metric { name: "connections from the VIP", unit: "", bar: Bar::Every(0.0) };
static ASKED: Metric = Metric { name: "connections tried", unit: "", bar: Bar::None };

/// The VIP is deleted on the Active with ip(8).
pub(super) fn deleted(bench: &Bench, run: Run) -> Result<Vec<Reading>, LabError> {
    let active = bench.converge()?;
    bench.random_phase(run.number)?;
    let from = Stamp::now();
    let family = bench.family();
    let vip = format!("{}/{}", family.vip(), family.bits());
    bench.lab().exec(active, &["ip", "address", "flush", "to", &vip])?;
    let gone = bench
        .wait(bench.deadline(), "the VIP to go", |view| removed(&view.events, active, from))?;
    let back = bench.wait(gone + Duration::from_secs(5), "the VIP", |view| {
        bench.lab().nodes().iter().filter_map(|&node| added(&view.events, node, gone)).min()
    });
    Ok(vec![match back {
        Ok(at) => BACK.is(at.millis_since(gone)),
        Err(_) => BACK.is_at_least(Stamp::now().millis_since(gone)),
    }])
}

/// Sources are asked for while all is well, while the Active's own IPv4 address is gone, after it is
/// back, and once the router is Active again with it. A kernel without any other global IPv6 address
/// uses a deprecated one (RFC 6724, 5, rule 3): there is nothing to see then.
pub(super) fn source_address(bench: &Bench) -> Result<Vec<Reading>, LabError> {
    let node = bench.converge()?;
    let family = bench.family();
    let any = match family {
        Family::Ipv4 => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        Family::Ipv6 => Ipv6Addr::UNSPECIFIED.into(),
    };
    let listener = within(&bench.lab().namespace("client"), || TcpListener::bind((any, PORT)))?
        .map_err(LabError::instrument("listening on the client"))?;
    let mut sources = watch_sources(bench, node)?;

    if family == Family::Ipv4 {
        let own = format!("{}/24", node.address());
        bench.lab().exec(node, &["ip", "address", "delete", &own, "dev", "eth0"])?;
        let absent = watch_sources(bench, node);
        bench.lab().exec(node, &["ip", "address", "add", &own, "dev", "eth0"])?;
        let gateway = CLIENT.to_string();
        bench.lab().exec(node, &["ip", "route", "replace", "default", "via", &gateway])?;
        sources.extend(absent?);
        sources.extend(watch_sources(bench, node)?);
    }

    let other = bench.converge()?;
    if other != node {
        bench.lab().cut(other)?;
        bench.wait(bench.deadline(), "the VIP to return", |view| {
            view.owners.contains(&node).then_some(())
        })?;
    }
    sources.extend(watch_sources(bench, node)?);
    drop(listener);
    let wrong = sources.iter().filter(|&&source| source == family.vip()).count();
    Ok(vec![AS_SOURCE.is(count(wrong)), ASKED.is(count(sources.len()))])
}

/// The sources that the node's kernel chooses for a while, on the link and beyond it.
fn watch_sources(bench: &Bench, node: Node) -> Result<Vec<IpAddr>, LabError> {
    let family = bench.family();
    let destinations =
        [family.client(), family.beyond()].map(|address| SocketAddr::from((address, PORT)));
    within(&bench.lab().namespace(node), || {
        let mut sources = Vec::new();
        let end = Stamp::now() + WINDOW;
        while Stamp::now() < end {
            for destination in destinations {
                sources.extend(udp_source(destination));
                sources.extend(tcp_source(destination));
            }
            sleep_until(Stamp::now() + STEP);
        }
        sources
    })
}

/// `None` if there is no way there.
fn udp_source(destination: SocketAddr) -> Option<IpAddr> {
    let any = match destination {
        SocketAddr::V4(_) => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(destination).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

fn tcp_source(destination: SocketAddr) -> Option<IpAddr> {
    let stream = TcpStream::connect_timeout(&destination, CONNECT).ok()?;
    stream.local_addr().ok().map(|address| address.ip())
}

//! `transport` and `peers`: how the advertisements of a virtual router travel.

use std::net::IpAddr;
use std::ops::Range;

use toml::Spanned;
use vrrp::Family;
use vrrp::config::{Addresses, Transport};

use super::error::{Fault, Problems};
use super::node::Node;
use super::raw::{RawTransport, Texts, check};
use super::value;
use super::virtual_router::Spec;

/// How advertisements travel.
pub(super) enum TransportSpec {
    Multicast,
    /// To the other masters. Where the file says so.
    Masters(Range<usize>),
    /// To those that are listed, in a list that stands here.
    Peers(Range<usize>, Vec<Spanned<IpAddr>>),
}

impl TransportSpec {
    pub(super) fn new(
        transport: Option<Spanned<RawTransport>>,
        peers: Option<Texts>,
        problems: &mut Problems,
    ) -> Self {
        let unicast = transport.filter(|it| *it.get_ref() == RawTransport::Unicast);
        let Some(peers) = peers else {
            return unicast.map_or(Self::Multicast, |unicast| Self::Masters(unicast.span()));
        };
        let span = peers.span();
        if unicast.is_none() {
            let fault = Fault::new(
                "peers go with transport = \"unicast\" only",
                "leave peers out, or add the transport",
            );
            problems.add(span.clone(), fault);
        }
        let peers = peers.into_inner().into_iter();
        let peers = peers.filter_map(|it| check(it, problems, |it| value::unicast_address(&it)));
        Self::Peers(span, peers.collect())
    }

    /// Checks the listed peers against the addresses of the virtual router.
    pub(super) fn check(&self, addresses: &Addresses, problems: &mut Problems) {
        let Self::Peers(_, peers) = self else { return };
        for (i, peer) in peers.iter().enumerate() {
            let address = *peer.get_ref();
            let is_listed_before = peers.iter().take(i).any(|before| *before.get_ref() == address);
            if let Err(fault) = check_peer(address, addresses, is_listed_before) {
                problems.add(peer.span(), fault);
            }
        }
    }
}

fn check_peer(address: IpAddr, addresses: &Addresses, is_listed_before: bool) -> Result<(), Fault> {
    let family = addresses.family();
    if is_listed_before {
        return Err(Fault::new(format!("the peer {address} is listed twice"), "leave one out"));
    }
    if Family::of(address) != family {
        return Err(Fault::new(
            format!("the peer {address} is not of the virtual router's family, {family}"),
            format!("list the {family} addresses of the peers"),
        ));
    }
    if addresses.iter().any(|virtual_one| virtual_one == address) {
        return Err(Fault::new(
            format!("the peer {address} is a virtual address, which the Active itself has"),
            "list the peers' own addresses",
        ));
    }
    Ok(())
}

/// How the advertisements of each master travel, in the order of the masters. `None` if something
/// is wrong; the problems then say what.
pub(super) fn assign(
    spec: &Spec,
    masters: &[&Node],
    problems: &mut Problems,
) -> Option<Vec<Transport>> {
    let (span, known) = match &spec.transport {
        TransportSpec::Multicast => return Some(vec![Transport::Multicast; masters.len()]),
        TransportSpec::Masters(span) => (span, known_by_node(spec, masters, problems)?),
        TransportSpec::Peers(span, peers) => (span, known_by_list(masters, peers, problems)?),
    };
    let listed: Vec<IpAddr> = match &spec.transport {
        TransportSpec::Peers(_, peers) => peers.iter().map(|peer| *peer.get_ref()).collect(),
        _ => known.iter().copied().flatten().collect(),
    };
    let transports: Vec<_> = masters
        .iter()
        .zip(known)
        .map(|(master, source)| {
            let mut peers: Vec<_> =
                listed.iter().copied().filter(|&peer| Some(peer) != source).collect();
            if peers.is_empty() {
                // A list as another master would write it: of its peers, this one.
                peers = others(spec, masters, master);
            }
            if peers.is_empty() {
                let fault = Fault::new(
                    format!("nobody would hear {}: it has no peer", master.name),
                    "add the other masters, list peers, or use transport = \"multicast\"",
                );
                problems.add(span.clone(), fault);
                return None;
            }
            Some(Transport::Unicast { peers, source })
        })
        .collect();
    transports.into_iter().collect()
}

/// The address by which each master is known: the first in its list that is right for it.
fn known_by_node(
    spec: &Spec,
    masters: &[&Node],
    problems: &mut Problems,
) -> Option<Vec<Option<IpAddr>>> {
    let known: Vec<_> = masters
        .iter()
        .map(|master| {
            let known = own_address(spec, master);
            if known.is_none() {
                let family = spec.addresses.family();
                let fault = Fault::new(
                    format!(
                        "{} has no {family} address to which its peers could send",
                        master.name
                    ),
                    "add one to its addresses, or list peers in the [[virtual_router]]",
                );
                problems.add(master.name.span(), fault);
            }
            known
        })
        .collect();
    known.iter().all(Option::is_some).then_some(known)
}

/// The addresses by which the masters other than `master` are known.
fn others(spec: &Spec, masters: &[&Node], master: &Node) -> Vec<IpAddr> {
    let others = masters.iter().filter(|other| other.name != master.name);
    others.filter_map(|other| own_address(spec, other)).collect()
}

fn own_address(spec: &Spec, node: &Node) -> Option<IpAddr> {
    let family = spec.addresses.family();
    let own = node.addresses.iter().map(|it| *it.get_ref());
    let own: Vec<_> = own.filter(|&address| Family::of(address) == family).collect();
    let is_virtual = |address: IpAddr| spec.addresses.iter().any(|it| it == address);
    // The owner of the virtual addresses may have no others; a link-local one does in IPv6.
    let rank = |address: IpAddr| (is_virtual(address), value::is_link_local(address));
    own.into_iter().min_by_key(|&address| rank(address))
}

/// The address by which each master is known: the listed one that is its own. Where the list has
/// peers only, as in a file for one node, the interface's address will do.
fn known_by_list(
    masters: &[&Node],
    peers: &[Spanned<IpAddr>],
    problems: &mut Problems,
) -> Option<Vec<Option<IpAddr>>> {
    let mut is_right = true;
    let mut known = Vec::new();
    for master in masters {
        let own: Vec<_> = peers.iter().filter(|peer| master.owns(*peer.get_ref())).collect();
        let [_, second, ..] = own.as_slice() else {
            known.push(own.first().map(|peer| *peer.get_ref()));
            continue;
        };
        let fault = Fault::new(
            format!("{} is listed among the peers twice, as {second} too", master.name),
            "list one address of each",
        );
        problems.add(second.span(), fault);
        is_right = false;
    }
    is_right.then_some(known)
}

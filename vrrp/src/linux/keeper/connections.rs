//! The clients' connections to addresses that leave this node.

use core::net::IpAddr;
use std::collections::BTreeSet;

use super::Keeper;
use super::addresses::AddressTable;
use crate::linux::clock;
use crate::linux::tcp::{Local, Tcp, TcpError};
use crate::time::Duration;

/// How long a removal waits at most for connections to be ended: some thousands are. What is left
/// then is ended after it, and its clients find out by themselves.
const BEFORE_REMOVAL: Duration = Duration::from_millis(50);
/// And how long the keeper is busy with them afterwards.
const AFTER_REMOVAL: Duration = Duration::from_millis(50);

/// Ends connections, where the kernel can.
pub(super) struct Connections(Result<Tcp, TcpError>);

impl Connections {
    pub(super) fn open() -> Self {
        Self(Tcp::open())
    }

    /// Why connections are not ended, for people.
    pub(super) fn problem(&self) -> Option<String> {
        self.0.as_ref().err().map(ToString::to_string)
    }

    fn end(&mut self, locals: &[Local], within: Duration) {
        if let (Ok(tcp), false) = (&mut self.0, locals.is_empty()) {
            // Of no consequence for the address, which has to go.
            let _ = tcp.end(locals, clock::now() + within);
        }
    }
}

impl Keeper {
    /// Ends the connections of addresses that are about to be removed: before that, for their
    /// clients to be told.
    pub(super) fn end_connections(&mut self, leaving: &[Local]) {
        self.connections.end(leaving, BEFORE_REMOVAL);
    }

    /// Ends those that came about until the addresses were removed.
    pub(super) fn end_late_connections(&mut self, left: &[Local]) {
        self.connections.end(left, AFTER_REMOVAL);
    }
}

/// Which of some addresses are there and leave the node with these removals. One that stays on
/// another interface keeps its connections, unless it is link-local and another one there.
pub(super) fn leaving(table: &AddressTable, removals: &[(u32, IpAddr)]) -> Vec<Local> {
    let there = removals.iter().filter(|&&(ifindex, address)| table.has(ifindex, address));
    let there: BTreeSet<(u32, IpAddr)> = there.copied().collect();
    if there.is_empty() {
        return Vec::new();
    }
    let staying: BTreeSet<IpAddr> =
        table.places().filter(|it| !there.contains(it)).map(|it| it.1).collect();
    let is_link_local = |address| matches!(address, IpAddr::V6(it) if it.is_unicast_link_local());
    let leaving = there
        .into_iter()
        .filter(|(_, address)| is_link_local(*address) || !staying.contains(address));
    leaving.map(|(ifindex, address)| Local { address, ifindex }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::interface::{AddressInfo, Scope};

    fn info(ifindex: u32, address: &str) -> AddressInfo {
        AddressInfo {
            ifindex,
            address: address.parse().unwrap_or(IpAddr::from([0; 4])),
            prefix_len: 32,
            scope: Scope::Global,
            secondary: false,
            ours: true,
            usable: true,
        }
    }

    #[test]
    fn connections_end_with_the_last_place_of_their_address() {
        let places = [
            (1, "10.0.0.10"),
            (1, "10.0.0.11"),
            (2, "10.0.0.11"),
            (1, "fe80::10"),
            (2, "fe80::10"),
        ];
        let table: AddressTable = places.iter().map(|&(index, it)| info(index, it)).collect();
        let removals: Vec<_> = ["10.0.0.9", "10.0.0.10", "10.0.0.11", "fe80::10"]
            .iter()
            .map(|it| (1, info(1, it).address))
            .collect();
        let local = |it: &str| Local { address: info(1, it).address, ifindex: 1 };
        assert_eq!(leaving(&table, &removals), [local("10.0.0.10"), local("fe80::10")]);
        let both: Vec<_> = [1, 2].map(|index| (index, info(1, "10.0.0.11").address)).to_vec();
        assert_eq!(leaving(&table, &both).len(), 2);
    }
}

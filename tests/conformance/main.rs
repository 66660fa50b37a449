//! RFC 9568 from outside: one daemon at one end of a cable, raw frames in, captures out.
//!
//! Each check runs for all [`rig::Variant`]s at once: IPv4 and IPv6, with the interface's own
//! Ethernet address and with the virtual router's. `VARIANT=ipv6-virtual` runs only that one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod active;
mod announce;
mod backup;
mod checksum;
mod host;
mod independence;
mod initialize;
mod interface;
mod neighbours;
mod owner;
#[path = "../rig/mod.rs"]
mod rig;
mod sent;
mod unicast;
mod validation;
mod virtual_mac;

//! A daemon that dies, freezes, restarts or is given another configuration, with virtual routers of
//! every kind: IPv4 and IPv6, with the interface's own Ethernet address and with the virtual one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod deaths;
mod reloads;
#[path = "../rig/mod.rs"]
mod rig;

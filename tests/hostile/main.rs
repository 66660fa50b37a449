//! Packets that a neighbour should not send.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod flood;
mod group;
mod mutants;
mod oracle;
#[path = "../rig/mod.rs"]
mod rig;
#[path = "../support/mod.rs"]
mod support;

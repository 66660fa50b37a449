//! What can go wrong beneath the VIP, and what must hold: the fault table of the units.
//!
//! Each test brings up three masters, each with a dockerd and an etcd of its own, does one harm to
//! them while a writer puts keys to all members, compares what an operator reads, and looks for every
//! write that was acknowledged.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod bring_up;
mod containers;
mod data;
mod dockerd;
mod kubelet;
mod lost;
mod mainstay;
mod masters;
mod said;
#[path = "../support/mod.rs"]
mod support;

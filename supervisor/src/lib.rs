//! Brings up what runs beneath the VIP on a node, and keeps it up: dockerd, etcd in a container, kubelet.
//!
//! Pure cores, time an argument: [`mod@unit`], [`graph`], [`core`] and `etcd::decision`. Thin shells around them: the
//! backends in [`backend`], and [`run`], which carries out what the core asks for.
#![forbid(unsafe_code)]

pub mod adopt;
pub mod backend;
pub mod certs;
pub mod core;
mod digest;
pub mod docker;
pub mod etcd;
pub mod graph;
pub mod kubelet;
pub mod readiness;
pub mod run;
pub mod state_file;
pub mod unit;

//! Handing the VIP over: drain, orderly stop, another priority, what clients notice of it, and what
//! the checks have to say.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod connections;
mod drain;
mod eligibility;
mod lossless;
#[path = "../rig/mod.rs"]
mod rig;
#[path = "../support/mod.rs"]
mod support;

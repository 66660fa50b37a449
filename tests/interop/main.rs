//! Together with Debian's keepalived and FRR. `preempt = "always"`, as a mixed group needs it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod keepalived;
mod pairs;
#[path = "../support/mod.rs"]
mod support;

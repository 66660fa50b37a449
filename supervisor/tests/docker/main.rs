//! Units in containers of a real dockerd, each test with a dockerd of its own in a network namespace.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod containers;
mod images;
mod refusals;
mod restarts;
mod rig;
mod unit;

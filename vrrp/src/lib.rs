//! VRRPv3 (RFC 9568) for a node that owns a virtual address.
//!
//! The crate has two halves:
//!
//! * the protocol core ([`time`], [`wire`], [`router`], [`announce`], [`conflict`]): no clock, no socket, no
//!   allocation once running. Time is an argument, effects are returned.
//! * [`linux`]: the process that runs the core on raw sockets and netlink. Its messages to the
//!   daemon are in [`proto`]. Without the feature `linux` the core stands alone.
#![deny(unsafe_code)]

// The tests' support names the crate.
#[cfg(test)]
extern crate self as vrrp;

pub mod announce;
pub mod config;
pub mod conflict;
#[cfg(feature = "linux")]
pub mod linux;
pub mod proto;
pub mod router;
pub mod time;
pub mod wire;

mod ids;

pub use ids::{Family, Mac, MacError, Priority, Vrid};

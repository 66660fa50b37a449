//! The process that runs the protocol core on Linux. The only place with `unsafe`.
//!
//! Two threads: the `advertiser` holds the sockets and the timers of the protocol and nothing
//! else; the `keeper` carries out what takes long (addresses, leases, announcements) and
//! speaks with the daemon. They share nothing but two queues and some counters.

mod advertiser;
pub mod capture;
pub mod clock;
pub mod confine;
mod control;
mod deadlines;
pub mod farewell;
pub mod fence;
pub mod filter;
pub mod frame;
pub mod interface;
mod keeper;
mod lateness;
mod mailbox;
mod messages;
pub mod monitor;
pub mod neighbour;
pub mod netlink;
mod packet;
mod process;
pub mod receive;
pub mod rt;
pub mod socket;
pub mod source;
pub mod tcp;
mod transmit;

pub use self::process::{RunError, run};

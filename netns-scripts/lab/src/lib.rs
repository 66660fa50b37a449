//! The lab as a library: a topology of network namespaces ([`Lab`], made by `lab.sh`), the
//! instruments that watch it ([`Observer`], [`Probe`]) and the failovers that are measured
//! ([`scenario`]).
//!
//! All instruments stamp with one clock ([`Stamp`]). The wire is read by pnet, not by mainstay's
//! own decoder, which is what is being tested.

#![forbid(unsafe_code)]

mod address_watch;
pub mod apiserver;
mod bench;
pub mod bring_up;
mod capture;
mod clock;
mod daemon;
pub mod docker;
mod error;
pub mod etcd;
mod flood;
mod frame;
mod hogs;
mod holdings;
mod host;
mod https;
pub mod inject;
pub mod machine;
mod netns;
mod node;
mod observer;
pub mod picture;
mod pki;
mod priority;
mod probe;
mod probe_log;
mod process;
mod responder;
mod rr_loop;
mod rtnetlink;
mod surroundings;
pub mod timeline;
mod topology;
pub mod traffic;
mod usage;

pub mod plan;
pub mod report;
pub mod scenario;
pub mod stats;

pub use apiserver::{API_PORT, Answer, Apiservers, Launcher};
pub use bench::Bench;
pub use capture::{Direction, Keep, Seen, Tap};
pub use clock::{Stamp, sleep_until};
pub use daemon::{
    Beneath, Checked, ChecksumForm, Daemon, Families, Interval, Kind, Preempt, Units,
};
pub use error::LabError;
pub use flood::{Flood, FloodReport, Malformed, lower_priority};
pub use frame::{
    Advert, Arp, ArpOperation, Checksum, Discovery, Ethernet, Frame, Neighbour, decode,
};
pub use hogs::Hogs;
pub use holdings::Holdings;
pub use host::Host;
pub use https::{Endless, Https, HttpsLog, Outcome, Request};
pub use netns::within;
pub use node::{BEYOND, CLIENT, Family, Node, Port, VIP, VIP6, VIP6_LINK_LOCAL, VRID};
pub use observer::Observer;
pub use pki::{Authority, Pki};
pub use pnet::util::MacAddr;
pub use priority::{DAEMON_PRIORITY, INSTRUMENT_PRIORITY, round_robin};
pub use probe::Probe;
pub use probe_log::{ProbeLog, Sample};
pub use process::{Part, Pids};
pub use responder::{PROBE_PORT, Responder};
pub use rr_loop::{LoopReport, RrLoop, rr_loop};
pub use surroundings::Surroundings;
pub use timeline::{Event, Timed, Timeline};
pub use topology::{Lab, Said};
pub use usage::{Memory, Usage};

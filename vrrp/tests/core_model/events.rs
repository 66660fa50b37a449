//! What can happen to a router.

use vrrp::config::RouterConfig;
use vrrp::router::Eligibility;
use vrrp::time::Duration;

/// The address of the interface.
pub const OWN: [u8; 4] = [10, 0, 0, 5];

/// Something that happens to a router.
#[derive(Clone, Debug)]
pub enum Event {
    /// Time goes by.
    Run(Duration),
    /// The process stands still for so long past its next deadline; then packets are read.
    Stall {
        late: Duration,
        overflowed: bool,
        queued: Vec<(u8, u8, u16)>,
    },
    /// From 10.0.0.x, with a priority (0 gives up) and an interval.
    Hear(u8, u8, u16),
    /// The kernel answers the newest request.
    Installed,
    Refused,
    /// The kernel answers a request that is no longer the newest.
    StaleInstalled,
    AddressLost,
    SuccessorAnnounced,
    Eligibility(Eligibility),
    /// The last byte of the interface's address, or none.
    Source(Option<u8>),
    Start,
    Stop,
    Reconfigure(Box<RouterConfig>),
}

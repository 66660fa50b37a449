//! The client: asks the VIP at a steady pace and notes who answers when.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::sys::socket::{MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;

use crate::capture::kernel_stamp;
use crate::probe_log::{ProbeLog, Sample};
use crate::responder::REQUEST;
use crate::{
    Family, INSTRUMENT_PRIORITY, Lab, LabError, Node, PROBE_PORT, Stamp, round_robin, sleep_until,
    within,
};

/// How long late answers are waited for at the end.
const TAIL: Duration = Duration::from_millis(100);

/// A probe that runs; it ends by itself at its bound.
#[derive(Debug)]
pub struct Probe {
    shared: Arc<Shared>,
    thread: JoinHandle<ProbeLog>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    /// The number of the router that answered last; 0 before the first answer.
    last: AtomicU8,
}

impl Probe {
    /// Asks the VIP of IPv4 from the client's namespace each `period`, for `bound` at most.
    ///
    /// # Errors
    /// If the namespace cannot be entered or a socket is refused.
    pub fn start(lab: &Lab, period: Duration, bound: Duration) -> Result<Self, LabError> {
        Self::start_for(lab, Family::Ipv4, period, bound)
    }

    /// Asks the VIP of `family`.
    ///
    /// # Errors
    /// As [`Probe::start`].
    pub fn start_for(
        lab: &Lab,
        family: Family,
        period: Duration,
        bound: Duration,
    ) -> Result<Self, LabError> {
        let any = match family {
            Family::Ipv4 => IpAddr::from(Ipv4Addr::UNSPECIFIED),
            Family::Ipv6 => Ipv6Addr::UNSPECIFIED.into(),
        };
        let open = || -> io::Result<UdpSocket> {
            let socket = UdpSocket::bind((any, 0))?;
            socket.set_nonblocking(true)?;
            setsockopt(&socket.as_fd(), sockopt::ReceiveTimestampns, &true)?;
            Ok(socket)
        };
        let socket =
            within(&lab.namespace("client"), open)?.map_err(LabError::instrument("probing"))?;
        let shared = Arc::new(Shared::default());
        let seen = Arc::clone(&shared);
        let thread = std::thread::spawn(move || run(&socket, family.vip(), period, bound, &seen));
        Ok(Self { shared, thread })
    }

    /// The router that answered last.
    pub fn served_by(&self) -> Option<Node> {
        Node::new(self.shared.last.load(Ordering::Relaxed))
    }

    /// Waits until a router answers that `wanted` accepts; `None` if `deadline` comes first.
    pub fn wait_served(&self, deadline: Stamp, wanted: impl Fn(Node) -> bool) -> Option<Node> {
        loop {
            match self.served_by() {
                Some(node) if wanted(node) => return Some(node),
                _ if Stamp::now() >= deadline => return None,
                _ => sleep_until(Stamp::now() + Duration::from_millis(1)),
            }
        }
    }

    /// Ends the probe, after the last answers.
    ///
    /// # Errors
    /// If its thread panicked.
    pub fn stop(self) -> Result<ProbeLog, LabError> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| LabError::Invalid("the probe's thread panicked".into()))
    }
}

fn run(
    socket: &UdpSocket,
    vip: IpAddr,
    period: Duration,
    bound: Duration,
    shared: &Shared,
) -> ProbeLog {
    // Refused, the schedule is only kept less well; the log says how well.
    let _ = round_robin(INSTRUMENT_PRIORITY);
    let destination = SocketAddr::from((vip, PROBE_PORT));
    let count = bound.as_nanos() / period.as_nanos().max(1);
    let mut log = ProbeLog::new(period, usize::try_from(count).unwrap_or(0));
    let start = Stamp::now();
    let mut due = start;
    while due < start + bound && !shared.stop.load(Ordering::Relaxed) {
        sleep_until(due);
        let sequence = log.samples().len() as u64;
        log.push(Sample::sent(Stamp::now()));
        // A refused send is a request without an answer.
        let _ = socket.send_to(&sequence.to_ne_bytes(), destination);
        drain(socket, &mut log, shared);
        // After a stall the missed requests are left out: a burst would only prolong it.
        let missed = (Stamp::now() - due).as_nanos() / period.as_nanos().max(1);
        due = due + period * u32::try_from(missed + 1).unwrap_or(u32::MAX);
    }
    sleep_until(Stamp::now() + TAIL);
    drain(socket, &mut log, shared);
    log
}

/// Notes all answers that are there.
fn drain(socket: &UdpSocket, log: &mut ProbeLog, shared: &Shared) {
    let mut bytes = [0; REQUEST + 1];
    let mut control = [0; 64];
    loop {
        let (length, at) = {
            let mut parts = [IoSliceMut::new(&mut bytes)];
            let fd = socket.as_raw_fd();
            let flags = MsgFlags::empty();
            match recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut control), flags) {
                Ok(message) => (message.bytes, kernel_stamp(message.cmsgs())),
                Err(_) => return,
            }
        };
        let (sequence, number) = bytes.split_at(REQUEST);
        let sequence = sequence.first_chunk().map(|bytes| u64::from_ne_bytes(*bytes));
        let node = number.first().and_then(|&number| Node::new(number));
        if let (true, Some(sequence), Some(node)) = (length == REQUEST + 1, sequence, node) {
            log.answer(sequence, at.unwrap_or_else(Stamp::now), node);
            shared.last.store(node.number(), Ordering::Relaxed);
        }
    }
}

/// The control buffer above holds one time stamp.
const _: () = assert!(std::mem::size_of::<TimeSpec>() + 16 <= 64);

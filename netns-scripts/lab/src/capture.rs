//! Adverts, ARP and Neighbor Discovery as they come in at the bridge's ports, with the kernel's
//! time of each frame.

mod tap;

use std::collections::HashMap;
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::net::if_::if_nametoindex;
use nix::sys::socket::{ControlMessageOwned, LinkAddr, MsgFlags, recvmsg, setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use crate::timeline::{Event, Timeline};
use crate::{Family, Frame, Lab, LabError, Port, Stamp, VRID, decode, within};

pub use tap::{Direction, Keep, Seen, Tap};

/// Every protocol, in network byte order as AF_PACKET wants it.
const ETH_P_ALL: i32 = 0x0300;
/// A frame of interest is far shorter.
const FRAME: usize = 256;
/// How long the end of a capture may take to be noticed.
const TURN: Duration = Duration::from_millis(50);

/// Watches the bridge until it is dropped.
#[derive(Debug)]
pub(crate) struct Capture {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Capture {
    /// Starts to capture on all ports of the lab's bridge.
    pub(crate) fn start(lab: &Lab, timeline: Arc<Timeline>) -> Result<Self, LabError> {
        let ports = lab.ports();
        let open = || -> io::Result<(Socket, HashMap<usize, Port>)> {
            let index = |port: &Port| -> io::Result<(usize, Port)> {
                let index = if_nametoindex(port.to_string().as_str())?;
                Ok((usize::try_from(index).unwrap_or(usize::MAX), *port))
            };
            let ports = ports.iter().map(index).collect::<io::Result<_>>()?;
            Ok((socket(&of_interest_coming_in(&ports))?, ports))
        };
        let (socket, ports) =
            within(&lab.namespace("bridge"), open)?.map_err(LabError::instrument("capturing"))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                receive(&socket, &ports, &timeline);
            }
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A socket on all interfaces of the namespace that passes what `filter` does.
fn socket(filter: &[SockFilter]) -> io::Result<Socket> {
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(ETH_P_ALL)))?;
    socket.attach_filter(filter)?;
    socket.set_read_timeout(Some(TURN))?;
    setsockopt(&socket.as_fd(), sockopt::ReceiveTimestampns, &true)?;
    setsockopt(&socket.as_fd(), sockopt::RcvBufForce, &(4 << 20))?;
    Ok(socket)
}

/// Classic BPF: what comes in at one of `ports` as ARP, as IPv4 or IPv6 with protocol 112, or as
/// ICMPv6. Protocol 112 of the stranger, who may flood, costs no more than this.
fn of_interest_coming_in(ports: &HashMap<usize, Port>) -> Vec<SockFilter> {
    const LOAD_WORD: u16 = 0x20;
    const LOAD_HALF: u16 = 0x28;
    const LOAD_BYTE: u16 = 0x30;
    const JUMP_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const PACKET_TYPE: u32 = 0xffff_f004;
    const INTERFACE: u32 = 0xffff_f008;
    const OUTGOING: u32 = 4;
    let index = |index: &usize| u32::try_from(*index).unwrap_or_default();
    let stranger = ports.iter().find(|(_, port)| **port == Port::Stranger);
    let stranger = stranger.map_or(0, |(at, _)| index(at));
    let mut filter = vec![
        SockFilter::new(LOAD_BYTE, 0, 0, PACKET_TYPE),
        SockFilter::new(JUMP_EQUAL, 0, 1, OUTGOING),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(LOAD_WORD, 0, 0, INTERFACE),
    ];
    // Each jumps behind the last of them and the return that follows it.
    let jumps = (1..=u8::try_from(ports.len()).unwrap_or(u8::MAX)).rev();
    filter.extend(
        ports.keys().zip(jumps).map(|(at, jump)| SockFilter::new(JUMP_EQUAL, jump, 0, index(at))),
    );
    filter.extend([
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(LOAD_HALF, 0, 0, 12),
        SockFilter::new(JUMP_EQUAL, 10, 0, 0x0806),
        SockFilter::new(JUMP_EQUAL, 3, 0, 0x86dd),
        SockFilter::new(JUMP_EQUAL, 0, 7, 0x0800),
        SockFilter::new(LOAD_BYTE, 0, 0, 23),
        SockFilter::new(JUMP_EQUAL, 3, 5, 112),
        SockFilter::new(LOAD_BYTE, 0, 0, 20),
        SockFilter::new(JUMP_EQUAL, 1, 0, 112),
        SockFilter::new(JUMP_EQUAL, 3, 2, 58),
        SockFilter::new(LOAD_WORD, 0, 0, INTERFACE),
        SockFilter::new(JUMP_EQUAL, 0, 1, stranger),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ]);
    filter
}

fn receive(socket: &Socket, ports: &HashMap<usize, Port>, timeline: &Timeline) {
    let mut buffer = [0; FRAME];
    let Some((at, from, frame)) = next(socket, &mut buffer) else { return };
    let event = match (ports.get(&from.ifindex()), decode(frame)) {
        (Some(Port::Node(node)), Some(Frame::Advert(advert)))
            if advert.vrid == VRID && Family::of(advert.source) == timeline.family() =>
        {
            Event::Advert(*node, advert)
        }
        (Some(port), Some(Frame::Arp(arp))) => Event::Arp(*port, arp),
        _ => return,
    };
    timeline.push(at, event);
}

/// The next frame, when it came, and where. `None` if none came within [`TURN`].
fn next<'a>(socket: &Socket, buffer: &'a mut [u8]) -> Option<(Stamp, LinkAddr, &'a [u8])> {
    let mut control = nix::cmsg_space!(TimeSpec);
    let (at, from, length) = {
        let mut parts = [IoSliceMut::new(buffer)];
        let flags = MsgFlags::empty();
        let message =
            recvmsg::<LinkAddr>(socket.as_raw_fd(), &mut parts, Some(&mut control), flags).ok()?;
        let at = kernel_stamp(message.cmsgs()).unwrap_or_else(Stamp::now);
        (at, message.address?, message.bytes)
    };
    Some((at, from, buffer.get(..length)?))
}

/// The kernel's time of a packet, from the control messages beside it.
pub(crate) fn kernel_stamp(
    messages: nix::Result<impl Iterator<Item = ControlMessageOwned>>,
) -> Option<Stamp> {
    messages.ok()?.find_map(|message| match message {
        ControlMessageOwned::ScmTimestampns(time) => {
            Some(Stamp::from_realtime(time.tv_sec(), time.tv_nsec()))
        }
        _ => None,
    })
}

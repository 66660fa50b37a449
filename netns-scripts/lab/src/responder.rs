//! Answers the probe on a router, from the address that was asked, with the router's number.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::libc::in6_pktinfo;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};

use crate::{INSTRUMENT_PRIORITY, Lab, LabError, Node, round_robin, within};

/// The UDP port that is probed.
pub const PROBE_PORT: u16 = 7000;
/// A request is a sequence number; the answer has the router's number behind it.
pub(crate) const REQUEST: usize = 8;

/// Answers on one router, in both families, until it is dropped.
#[derive(Debug)]
pub struct Responder {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Responder {
    /// Starts to answer on `node`.
    ///
    /// # Errors
    /// If the namespace or the port cannot be had.
    pub fn start(lab: &Lab, node: Node) -> Result<Self, LabError> {
        let socket =
            within(&lab.namespace(node), open)?.map_err(LabError::instrument("answering"))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            // Refused, the answers are only a little later.
            let _ = round_robin(INSTRUMENT_PRIORITY);
            while !stopped.load(Ordering::Relaxed) {
                // An answer that cannot be sent is a lost one: the probe counts it.
                let _ = answer(&socket, node);
            }
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// IPv4 comes in by mapped addresses.
fn open() -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_only_v6(false)?;
    setsockopt(&socket.as_fd(), sockopt::Ipv6RecvPacketInfo, &true)?;
    socket.set_read_timeout(Some(Duration::from_millis(100)))?;
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, PROBE_PORT)).into())?;
    Ok(socket)
}

fn answer(socket: &Socket, node: Node) -> nix::Result<()> {
    let mut bytes = [0; REQUEST + 1];
    let mut control = nix::cmsg_space!(in6_pktinfo);
    let (client, asked) = {
        let mut parts = [IoSliceMut::new(&mut bytes[..REQUEST])];
        let message = recvmsg::<SockaddrIn6>(
            socket.as_raw_fd(),
            &mut parts,
            Some(&mut control),
            MsgFlags::empty(),
        )?;
        let asked = message.cmsgs()?.find_map(|message| match message {
            ControlMessageOwned::Ipv6PacketInfo(info) => Some(info),
            _ => None,
        });
        (message.address, asked)
    };
    let (Some(client), Some(asked)) = (client, asked) else { return Ok(()) };
    bytes[REQUEST] = node.number();
    // By whichever interface leads to the client.
    let source = in6_pktinfo { ipi6_ifindex: 0, ..asked };
    sendmsg(
        socket.as_raw_fd(),
        &[IoSlice::new(&bytes)],
        &[ControlMessage::Ipv6PacketInfo(&source)],
        MsgFlags::empty(),
        Some(&client),
    )?;
    Ok(())
}

//! Which Ethernet address the advertisements of a router come from: the raw socket that they are
//! heard on does not tell.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use etherparse::EtherType;
use rustix::net::SocketType;
use socket2::SockRef;

use super::{filter, packet};
use crate::{Family, Mac};

/// As much of a packet as its source address needs.
const HEAD: usize = 40;

/// Sees the VRRP packets of some routers on one interface, beside the socket that hears them.
#[derive(Debug)]
pub struct Capture {
    socket: OwnedFd,
    family: Family,
}

impl Capture {
    /// Opens a nonblocking socket that sees what `sources` send.
    ///
    /// # Errors
    /// Without CAP_NET_RAW, or if the interface does not exist.
    pub fn open(ifindex: u32, family: Family, sources: &[IpAddr]) -> io::Result<Self> {
        let capture = Self { socket: packet::open(SocketType::DGRAM)?, family };
        // Before it is bound it sees nothing, so nothing comes past the filter.
        capture.look_for(sources)?;
        let ether_type = match family {
            Family::Ipv4 => EtherType::IPV4,
            Family::Ipv6 => EtherType::IPV6,
        };
        packet::bind(&capture.socket, ifindex, ether_type)?;
        Ok(capture)
    }

    /// Sees from now on what these routers send in place of the former ones; of IPv6 now and then
    /// another's whose address ends alike.
    ///
    /// # Errors
    /// If the kernel has no memory for the filter; the former ones stay.
    pub fn look_for(&self, sources: &[IpAddr]) -> io::Result<()> {
        SockRef::from(&self.socket).attach_filter(&filter::vrrp_from(self.family, sources))
    }

    /// Who sent the next packet, and from which Ethernet address; `None` if there is none now.
    ///
    /// # Errors
    /// As the kernel reports them.
    pub fn recv(&self) -> io::Result<Option<(IpAddr, Mac)>> {
        let mut buffer = [0; HEAD];
        while let Some((packet, mac)) = packet::receive(&self.socket, &mut buffer)? {
            if let Some(source) = source_of(self.family, packet) {
                return Ok(Some((source, Mac::new(mac))));
            }
        }
        Ok(None)
    }
}

impl AsFd for Capture {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn source_of(family: Family, packet: &[u8]) -> Option<IpAddr> {
    Some(match family {
        Family::Ipv4 => Ipv4Addr::from(*packet.get(12..)?.first_chunk::<4>()?).into(),
        Family::Ipv6 => Ipv6Addr::from(*packet.get(8..)?.first_chunk::<16>()?).into(),
    })
}

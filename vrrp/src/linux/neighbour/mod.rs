//! Telling the link where a virtual address is now, and hearing where others say it is: ARP and
//! neighbour discovery.

mod arp;
mod ndisc;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd, OwnedFd};

use etherparse::EtherType;
use pnet::datalink::{self, Channel, ChannelType, DataLinkSender, MacAddr, NetworkInterface};
use rustix::net::SocketType;
use socket2::SockRef;

use super::socket::PRIORITY;
use super::{filter, packet};
use crate::Family;

/// A full transmit queue is not waited for.
const WRITE_TIMEOUT: Duration = Duration::ZERO;

/// Sends announcements and probes for virtual addresses on one interface.
///
/// A new one is needed when the interface is deleted and made again.
pub struct Announcer {
    sender: Box<dyn DataLinkSender>,
    mac: [u8; 6],
}

impl Announcer {
    /// Opens a layer 2 socket that receives nothing. `mac` is announced as the owner of the
    /// virtual addresses.
    ///
    /// # Errors
    /// Without CAP_NET_RAW, or if the interface does not exist.
    pub fn open(ifindex: u32, name: &str, mac: [u8; 6]) -> io::Result<Self> {
        // Left to itself, pnet opens a promiscuous socket that receives every packet of the host.
        let socket = packet::open(SocketType::RAW)?;
        SockRef::from(&socket).set_priority(PRIORITY)?;
        let config = datalink::Config {
            channel_type: ChannelType::Layer3(0),
            promiscuous: false,
            socket_fd: Some(socket.into_raw_fd()),
            write_buffer_size: ndisc::MAX_FRAME_LEN,
            read_buffer_size: 0,
            write_timeout: Some(WRITE_TIMEOUT),
            ..datalink::Config::default()
        };
        let interface = NetworkInterface {
            name: name.to_owned(),
            description: String::new(),
            index: ifindex,
            mac: Some(MacAddr::from(mac)),
            ips: Vec::new(),
            flags: 0,
        };
        match datalink::channel(&interface, config)? {
            Channel::Ethernet(sender, _) => Ok(Self { sender, mac }),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Tells all hosts of the link that an address, which is installed by now, is at the
    /// announcer's MAC address (RFC 9568, 6.4.1, 6.4.2 and 8.1.2): hosts that know it under another
    /// learn the new one.
    ///
    /// IPv4: one gratuitous ARP request. IPv6: one unsolicited neighbour advertisement from
    /// `source`, an address of the interface, or else from the address itself.
    ///
    /// # Errors
    /// `ENETDOWN` while the interface is down; [`io::ErrorKind::TimedOut`] if the transmit queue
    /// is full.
    pub fn announce(&mut self, address: IpAddr, source: Option<Ipv6Addr>) -> io::Result<()> {
        self.announce_as(self.mac, address, source)
    }

    /// [`Self::announce`] with another MAC address, as that of a virtual router (RFC 9568, 7.3),
    /// from which the frame then comes too.
    ///
    /// # Errors
    /// As for [`Self::announce`].
    pub fn announce_as(
        &mut self,
        mac: [u8; 6],
        address: IpAddr,
        source: Option<Ipv6Addr>,
    ) -> io::Result<()> {
        match address {
            IpAddr::V4(address) => self.send(&arp::announcement(mac, address)),
            IpAddr::V6(address) => {
                self.send(&ndisc::announcement(mac, source.unwrap_or(address), address))
            }
        }
    }

    /// Asks for an address without claiming it (RFC 5227, 1.1: ARP Probe; RFC 4862, 5.4.2). Its
    /// owner answers, and if it is a mainstay, announces it to the whole link.
    ///
    /// Comes from the announcer's own MAC address, never from a virtual router's: the owner may
    /// have that too, and would not hear.
    ///
    /// # Errors
    /// As for [`Self::announce`].
    pub fn probe(&mut self, address: IpAddr) -> io::Result<()> {
        match address {
            IpAddr::V4(address) => self.send(&arp::probe(self.mac, address)),
            IpAddr::V6(address) => self.send(&ndisc::probe(self.mac, address)),
        }
    }

    fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        self.sender.send_to(frame, None).unwrap_or_else(|| Err(io::ErrorKind::InvalidInput.into()))
    }
}

/// What another host says about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The address.
    pub address: IpAddr,
    /// The Ethernet address: where it is said to be, or who asks.
    pub mac: [u8; 6],
    /// What is said.
    pub claim: Claim,
}

/// What is said about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// That the sender has it.
    Has,
    /// That the sender would like to know who has it (RFC 5227, 1.1; RFC 4862, 5.4.2).
    Probes,
}

/// Hears, on one interface, from the owners of virtual addresses, and who probes for them. IPv4:
/// ARP, gratuitous or not, request or reply. IPv6: neighbour advertisements, solicited or not, and
/// solicitations from `::`. What this host sends is not heard. The kernel drops everything else
/// unseen.
///
/// Not pnet's receiver: it hides its descriptor from epoll and polls before each read.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    family: Family,
}

impl Listener {
    /// Opens a nonblocking socket that hears of those `watched` that are of `family`.
    ///
    /// # Errors
    /// Without CAP_NET_RAW, or if the interface does not exist.
    pub fn open(ifindex: u32, family: Family, watched: &[IpAddr]) -> io::Result<Self> {
        let listener = Self { socket: packet::open(SocketType::DGRAM)?, family };
        // Before it is bound it hears nothing, so nothing comes past the filter.
        listener.watch(watched)?;
        let ether_type = match family {
            Family::Ipv4 => EtherType::ARP,
            Family::Ipv6 => EtherType::IPV6,
        };
        packet::bind(&listener.socket, ifindex, ether_type)?;
        Ok(listener)
    }

    /// Hears from now on of these addresses in place of the former ones. Of others too now and
    /// then: where their last 32 bits are the same, and where there are some thousand.
    ///
    /// # Errors
    /// If the kernel has no memory for the filter; the former addresses stay.
    pub fn watch(&self, watched: &[IpAddr]) -> io::Result<()> {
        let program = match self.family {
            Family::Ipv4 => filter::arp_about(&ipv4_of(watched)),
            Family::Ipv6 => filter::neighbour_discovery_about(&ipv6_of(watched)),
        };
        SockRef::from(&self.socket).attach_filter(&program)
    }

    /// The next packet; `None` if there is none now.
    ///
    /// # Errors
    /// As the kernel reports them. That the interface goes down is no error: the socket hears
    /// again when it is up.
    pub fn recv(&self) -> io::Result<Option<Heard>> {
        // A neighbour advertisement has 72 bytes; there may be more options.
        let mut buffer = [0; 256];
        while let Some((packet, sender)) = packet::receive(&self.socket, &mut buffer)? {
            let heard = match self.family {
                Family::Ipv4 => arp::decode(packet),
                Family::Ipv6 => ndisc::decode(packet, sender),
            };
            if heard.is_some() {
                return Ok(heard);
            }
        }
        Ok(None)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn ipv4_of(addresses: &[IpAddr]) -> Vec<Ipv4Addr> {
    let ipv4 = |address: &IpAddr| match address {
        IpAddr::V4(address) => Some(*address),
        IpAddr::V6(_) => None,
    };
    addresses.iter().filter_map(ipv4).collect()
}

fn ipv6_of(addresses: &[IpAddr]) -> Vec<Ipv6Addr> {
    let ipv6 = |address: &IpAddr| match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => Some(*address),
    };
    addresses.iter().filter_map(ipv6).collect()
}

//! ARP: telling the link where a virtual address is now, and hearing where others say it is.
#![allow(unsafe_code)] // bind(2) of a packet socket has no safe wrapper.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};

use etherparse::{ArpEthIpv4Packet, ArpOperation, EtherType, Ethernet2Header};
use pnet::datalink::{self, Channel, ChannelType, DataLinkSender, MacAddr, NetworkInterface};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, recv, socket_with};
use socket2::SockRef;

use super::filter;

/// A full transmit queue is not waited for.
const WRITE_TIMEOUT: Duration = Duration::ZERO;
/// `TC_PRIO_CONTROL`, as for adverts.
const PRIORITY: u32 = 7;
const BROADCAST: [u8; 6] = [0xff; 6];
/// An announcement on Ethernet, before padding.
const FRAME_LEN: usize = Ethernet2Header::LEN + ArpEthIpv4Packet::LEN;

/// Sends gratuitous ARP on one interface.
///
/// A new one is needed when the interface is deleted and made again, or its address changes.
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
        let socket = packet_socket(SocketType::RAW)?;
        SockRef::from(&socket).set_priority(PRIORITY)?;
        let config = datalink::Config {
            channel_type: ChannelType::Layer3(0),
            promiscuous: false,
            socket_fd: Some(socket.into_raw_fd()),
            write_buffer_size: FRAME_LEN,
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

    /// Broadcasts one gratuitous ARP request for an IPv4 address that is installed by now
    /// (RFC 9568, 6.4.1 and 8.1.2). Hosts that have the address in their ARP cache update it.
    ///
    /// A request, as the RFC says, and not a reply, which some hosts ignore when they have not
    /// asked (RFC 5227, 3): Linux updates its cache from either.
    ///
    /// # Errors
    /// `ENETDOWN` while the interface is down; [`io::ErrorKind::TimedOut`] if the transmit queue
    /// is full; [`io::ErrorKind::Unsupported`] for IPv6.
    pub fn announce(&mut self, address: IpAddr) -> io::Result<()> {
        let frame = self.request(address, |address| address)?;
        self.send(&frame)
    }

    /// Asks for an IPv4 address without claiming it (RFC 5227, 1.1: ARP Probe). Its owner answers,
    /// and if it is a mainstay, announces it to the whole link.
    ///
    /// # Errors
    /// As for [`Self::announce`].
    pub fn probe(&mut self, address: IpAddr) -> io::Result<()> {
        let frame = self.request(address, |_| Ipv4Addr::UNSPECIFIED)?;
        self.send(&frame)
    }

    fn request(
        &self,
        target: IpAddr,
        sender: impl FnOnce(Ipv4Addr) -> Ipv4Addr,
    ) -> io::Result<[u8; FRAME_LEN]> {
        match target {
            IpAddr::V4(target) => Ok(arp_request(self.mac, sender(target), target)),
            IpAddr::V6(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        self.sender.send_to(frame, None).unwrap_or_else(|| Err(io::ErrorKind::InvalidInput.into()))
    }
}

/// A broadcast ARP request.
fn arp_request(mac: [u8; 6], sender: Ipv4Addr, target: Ipv4Addr) -> [u8; FRAME_LEN] {
    let ethernet =
        Ethernet2Header { source: mac, destination: BROADCAST, ether_type: EtherType::ARP };
    let arp = ArpEthIpv4Packet {
        operation: ArpOperation::REQUEST,
        sender_mac: mac,
        sender_ipv4: sender.octets(),
        target_mac: [0; 6],
        target_ipv4: target.octets(),
    };
    let mut frame = [0; FRAME_LEN];
    frame[..Ethernet2Header::LEN].copy_from_slice(&ethernet.to_bytes());
    frame[Ethernet2Header::LEN..].copy_from_slice(&arp.to_bytes());
    frame
}

/// What an ARP packet says about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArpHeard {
    /// The address.
    pub address: Ipv4Addr,
    /// The Ethernet address of the sender.
    pub mac: [u8; 6],
    /// What the sender says.
    pub claim: Claim,
}

/// What the sender of an ARP packet says about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// That it has it.
    Has,
    /// That it would like to know who has it (RFC 5227, 1.1: ARP Probe).
    Probes,
}

/// Hears ARP from the owners of virtual addresses on one interface, gratuitous or not, request or
/// reply, and ARP probes for them. What this host sends is not heard. The kernel drops everything else unseen.
///
/// Not pnet's receiver: it hides its descriptor from epoll and polls before each read.
#[derive(Debug)]
pub struct Listener(OwnedFd);

impl Listener {
    /// Opens a nonblocking socket that hears of the IPv4 addresses among `watched`.
    ///
    /// # Errors
    /// Without CAP_NET_RAW, or if the interface does not exist.
    pub fn open(ifindex: u32, watched: &[IpAddr]) -> io::Result<Self> {
        let listener = Self(packet_socket(SocketType::DGRAM)?);
        // Before it is bound it hears nothing, so nothing comes past the filter.
        listener.watch(watched)?;
        listener.bind(ifindex)?;
        Ok(listener)
    }

    /// Hears from now on of these addresses in place of the former ones.
    ///
    /// # Errors
    /// If the kernel has no memory for the filter; the former addresses stay.
    pub fn watch(&self, watched: &[IpAddr]) -> io::Result<()> {
        let watched: Vec<Ipv4Addr> = watched
            .iter()
            .filter_map(|address| match address {
                IpAddr::V4(address) => Some(*address),
                IpAddr::V6(_) => None,
            })
            .collect();
        SockRef::from(&self.0).attach_filter(&filter::arp_about(&watched))
    }

    /// The next packet; `None` if there is none now.
    ///
    /// # Errors
    /// As the kernel reports them. That the interface goes down is no error: the socket hears
    /// again when it is up.
    pub fn recv(&self) -> io::Result<Option<ArpHeard>> {
        let mut packet = [0; 64];
        loop {
            match recv(&self.0, &mut packet, RecvFlags::DONTWAIT) {
                Ok((_, length)) => {
                    let packet = packet.get(..length).unwrap_or(&packet);
                    if let Some(heard) = decode(packet) {
                        return Ok(Some(heard));
                    }
                }
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR | Errno::NETDOWN) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn bind(&self, ifindex: u32) -> io::Result<()> {
        // SAFETY: all zeroes is a valid sockaddr_ll.
        let mut address: libc::sockaddr_ll = unsafe { core::mem::zeroed() };
        address.sll_family = AddressFamily::PACKET.as_raw();
        address.sll_protocol = EtherType::ARP.0.to_be();
        address.sll_ifindex = i32::try_from(ifindex).map_err(|_| Errno::NODEV)?;
        let length = libc::socklen_t::try_from(size_of_val(&address)).unwrap_or(0);
        // SAFETY: `address` is a sockaddr_ll of `length` bytes, which bind only reads.
        let result = unsafe { libc::bind(self.0.as_raw_fd(), (&raw const address).cast(), length) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// `None` if it is not ARP for IPv4 over Ethernet.
fn decode(packet: &[u8]) -> Option<ArpHeard> {
    let arp = etherparse::ArpPacketSlice::from_slice(packet).ok()?;
    if arp.hw_addr_type() != etherparse::ArpHardwareId::ETHERNET
        || arp.proto_addr_type() != EtherType::IPV4
    {
        return None;
    }
    let sender: [u8; 4] = arp.sender_protocol_addr().try_into().ok()?;
    let target: [u8; 4] = arp.target_protocol_addr().try_into().ok()?;
    let mac = arp.sender_hw_addr().try_into().ok()?;
    let sender = Ipv4Addr::from(sender);
    Some(if sender.is_unspecified() {
        ArpHeard { address: target.into(), mac, claim: Claim::Probes }
    } else {
        ArpHeard { address: sender, mac, claim: Claim::Has }
    })
}

/// A socket of protocol 0: it receives nothing before it is bound to another.
fn packet_socket(kind: SocketType) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(AddressFamily::PACKET, kind, flags, None)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 10);

    /// RFC 9568, 6.4.1: broadcast, sender = target = the virtual address. Read by pnet.
    #[test]
    fn the_announcement_is_a_broadcast_gratuitous_request() {
        use pnet::packet::Packet;
        use pnet::packet::arp::{ArpOperations, ArpPacket};
        use pnet::packet::ethernet::{EtherTypes, EthernetPacket};

        let frame = arp_request(MAC, VIP, VIP);
        let ethernet = EthernetPacket::new(&frame).unwrap();
        assert_eq!(ethernet.get_destination(), MacAddr::broadcast());
        assert_eq!(ethernet.get_source(), MacAddr::from(MAC));
        assert_eq!(ethernet.get_ethertype(), EtherTypes::Arp);
        let arp = ArpPacket::new(ethernet.payload()).unwrap();
        assert_eq!(arp.get_operation(), ArpOperations::Request);
        assert_eq!(arp.get_sender_hw_addr(), MacAddr::from(MAC));
        assert_eq!(arp.get_sender_proto_addr(), VIP);
        assert_eq!(arp.get_target_proto_addr(), VIP);
        assert_eq!(arp.get_target_hw_addr(), MacAddr::zero());
    }

    #[test]
    fn the_sender_of_an_arp_packet_is_read() {
        let frame = arp_request(MAC, VIP, VIP);
        let heard = decode(&frame[Ethernet2Header::LEN..]);
        assert_eq!(heard, Some(ArpHeard { address: VIP, mac: MAC, claim: Claim::Has }));
        let frame = arp_request(MAC, Ipv4Addr::UNSPECIFIED, VIP);
        let heard = decode(&frame[Ethernet2Header::LEN..]);
        assert_eq!(heard, Some(ArpHeard { address: VIP, mac: MAC, claim: Claim::Probes }));
    }

    #[test]
    fn other_or_cut_off_arp_is_nothing() {
        let frame = arp_request(MAC, VIP, VIP);
        let arp = &frame[Ethernet2Header::LEN..];
        for length in 0..arp.len() {
            assert_eq!(decode(&arp[..length]), None);
        }
        let mut infiniband = arp.to_vec();
        infiniband[1] = 32;
        assert_eq!(decode(&infiniband), None);
    }
}

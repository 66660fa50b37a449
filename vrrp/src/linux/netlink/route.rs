//! The route to the link-local neighbours of a macvlan.

use core::net::Ipv6Addr;

use netlink_packet_core::{NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_REQUEST};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::{Netlink, NetlinkError};
use crate::wire::PROTOCOL;

/// As the kernel's own such routes.
const METRIC: u32 = 256;

impl Netlink {
    /// Lets an interface that makes itself no link-local address answer link-local hosts, which the
    /// kernel does through the interface that they asked on. Taken down, the interface forgets it.
    ///
    /// # Errors
    /// [`NetlinkError`], as while the interface is down. That the route is there is none.
    pub fn route_link_local(&mut self, ifindex: u32) -> Result<(), NetlinkError> {
        let mut message = RouteMessage::default();
        message.header = RouteHeader {
            address_family: AddressFamily::Inet6,
            destination_prefix_length: 64,
            table: RouteHeader::RT_TABLE_MAIN,
            protocol: RouteProtocol::Other(PROTOCOL),
            scope: RouteScope::Universe,
            kind: RouteType::Unicast,
            ..RouteHeader::default()
        };
        let prefix = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0);
        message.attributes = vec![
            RouteAttribute::Destination(RouteAddress::Inet6(prefix)),
            RouteAttribute::Oif(ifindex),
            RouteAttribute::Priority(METRIC),
        ];
        // Beside those of other interfaces, not in their place.
        let flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_APPEND;
        let outcomes = self.transact([(flags, RouteNetlinkMessage::NewRoute(message))]);
        match outcomes.into_iter().next() {
            Some(Ok(()) | Err(NetlinkError::Exists)) => Ok(()),
            Some(Err(error)) => Err(error),
            None => Err(NetlinkError::Timeout),
        }
    }
}

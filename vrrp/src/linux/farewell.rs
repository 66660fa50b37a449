//! Priority 0 on behalf of a VRRP process that is dead.

use core::net::IpAddr;

use super::socket::{SocketError, open_raw, send};
use crate::Family;

/// Sends `packet`, a whole IP packet with an advert of priority 0, on an interface, to the group or
/// to one peer, so that the Backups wait Skew_Time and not Active_Down_Interval (RFC 9568, 6.4.2).
/// Opens a socket for it and never waits.
///
/// # Errors
/// If the socket cannot be opened, or the packet cannot leave.
pub fn send_release(ifindex: u32, packet: &[u8], to: IpAddr) -> Result<(), SocketError> {
    let socket = open_raw(ifindex, Family::of(to))?;
    send(&socket, packet, to)
        .map_err(|source| SocketError::Setup { step: "send priority 0", source })
}

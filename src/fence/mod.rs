//! Taking a node's virtual addresses away when no VRRP process does it, and telling the peers.
//!
//! Used by the daemon when its VRRP process dies, and by `mainstay vip fence` when both are dead.

mod vips;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;
use std::{fmt, io};

use serde::{Deserialize, Serialize};
use vrrp::Family;
use vrrp::config::{Checksum, Transport};
use vrrp::linux::farewell;
use vrrp::linux::fence::{Fence, FenceOutcome, Fenced};
use vrrp::linux::interface::AddressInfo;
use vrrp::linux::netlink::Netlink;
use vrrp::wire::{ChecksumForm, MAX_LEN, Outgoing, group};

pub use vips::{Spoken, Vip, Vips};

use crate::host;

/// What was done about one virtual router.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fencing {
    /// Its name.
    pub router: String,
    /// Its interface.
    pub interface: String,
    /// The addresses that were there and are gone.
    pub removed: Vec<IpAddr>,
    /// Whether the peers were told with an advertisement of priority 0.
    pub released: bool,
    /// Why addresses may still be there.
    pub errors: Vec<String>,
    /// Why the peers were not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untold: Option<String>,
}

impl Fencing {
    /// Whether there was nothing to do.
    pub fn is_idle(&self) -> bool {
        self.removed.is_empty() && !self.released && self.all_errors().next().is_none()
    }

    /// Whether an address may still be there.
    pub fn is_incomplete(&self) -> bool {
        !self.errors.is_empty()
    }

    /// All that went wrong.
    pub fn all_errors(&self) -> impl Iterator<Item = &String> {
        self.errors.iter().chain(&self.untold)
    }
}

/// Removes addresses; made beforehand, so that a fence costs no more than the removal.
pub struct Fencer(Fence);

impl Fencer {
    /// Opens the connection to the kernel. Needs a tokio runtime.
    ///
    /// # Errors
    /// If the process has no descriptor left.
    pub fn open() -> io::Result<Self> {
        Fence::open().map(Self)
    }

    /// Removes all addresses of `vips`, then sends priority 0 for each virtual router that lost
    /// one or whose name is in `active`, so that its peers wait Skew_Time only. An
    /// address owner keeps what mainstay did not install.
    ///
    /// `silent` is how long the VRRP process has advertised nothing. Peers that have waited for
    /// three intervals decide by themselves: priority 0 would then question the Active that they
    /// have found (RFC 9568, 6.4.2).
    pub async fn fence(
        &self,
        vips: &Vips,
        active: &BTreeSet<String>,
        silent: Duration,
    ) -> Vec<Fencing> {
        let mut fencings = self.remove(vips).await;
        for (vip, fencing) in vips.iter().zip(&mut fencings) {
            let was_active = !fencing.removed.is_empty() || active.contains(&vip.router);
            if !was_active || !is_awaited(vip, silent) || is_served(vip) {
                continue;
            }
            match release(vip) {
                Ok(()) => fencing.released = true,
                Err(error) => fencing.untold = Some(error),
            }
        }
        fencings
    }

    async fn remove(&self, vips: &Vips) -> Vec<Fencing> {
        let fenced: Vec<Fenced> = vips.iter().flat_map(to_remove).collect();
        let mut outcomes = self.0.remove(&fenced).await.into_iter().zip(&fenced);
        vips.iter()
            .map(|vip| {
                let mut fencing = Fencing {
                    router: vip.router.clone(),
                    interface: vip.interface.clone(),
                    ..Fencing::default()
                };
                for (outcome, fenced) in outcomes.by_ref().take(vip.addresses.iter().len()) {
                    match outcome {
                        FenceOutcome::Removed => fencing.removed.push(fenced.address),
                        FenceOutcome::Absent => {}
                        FenceOutcome::Failed(error) => {
                            let Fenced { interface, address, .. } = fenced;
                            fencing.errors.push(format!("{address} on {interface}: {error}"));
                        }
                    }
                }
                fencing
            })
            .collect()
    }
}

/// Where the addresses of a virtual router are, or should be.
fn place(vip: &Vip) -> String {
    let macvlan = || {
        let parent = interface_index(&vip.interface).ok()?;
        Some(host::device_name(vip.family, vip.vrid, parent))
    };
    vip.virtual_mac.then(macvlan).flatten().unwrap_or_else(|| vip.interface.clone())
}

fn to_remove(vip: &Vip) -> impl Iterator<Item = Fenced> {
    let (interface, only_ours) = (place(vip), vip.is_owner);
    let addresses = vip.addresses.iter();
    addresses.map(move |address| Fenced { interface: interface.clone(), address, only_ours })
}

/// Whether the peers still wait for the next advertisement. Their Active_Down_Interval is three
/// intervals and their own Skew_Time, which is not known here.
fn is_awaited(vip: &Vip, silent: Duration) -> bool {
    silent < vip.interval.duration() * 3
}

/// Whether this node still has an address of which it is the owner, and goes on serving it: the
/// next VRRP process is Active at once, and who took over meanwhile would be in its way.
fn is_served(vip: &Vip) -> bool {
    let present = || Netlink::open().and_then(|mut netlink| netlink.addresses(None));
    let is_one = |info: &AddressInfo| vip.addresses.iter().any(|it| it == info.address);
    vip.is_owner && present().is_ok_and(|present| present.iter().any(is_one))
}

/// Sends priority 0 for a virtual router.
fn release(vip: &Vip) -> Result<(), String> {
    let untold = |why: &dyn fmt::Display| format!("the peers were not told: {why}");
    let Some(spoken) = vip.spoken() else {
        return Err(untold(&"the address that it advertised from is unknown"));
    };
    let ifindex = interface_index(&vip.interface).map_err(|error| untold(&error))?;
    for destination in destinations(vip) {
        for checksum in forms(vip) {
            let mut buffer = [0; MAX_LEN];
            let advert = Outgoing {
                vrid: vip.vrid,
                priority: None,
                interval: vip.interval,
                addresses: vip.addresses.as_slice(),
                checksum,
            };
            let packet = advert.encode(spoken.source, destination, &mut buffer);
            farewell::send_release(ifindex, packet, destination).map_err(|error| untold(&error))?;
        }
    }
    Ok(())
}

/// To whom a virtual router advertises.
fn destinations(vip: &Vip) -> Vec<IpAddr> {
    match &vip.transport {
        Transport::Multicast => vec![group(vip.family)],
        Transport::Unicast { peers, .. } => peers.clone(),
    }
}

/// In which forms priority 0 is sent: the one that was last sent, if that is known. Otherwise,
/// where it is `auto`, both: a peer drops the one that it does not know, and priority 0 twice is
/// as once.
fn forms(vip: &Vip) -> Vec<ChecksumForm> {
    let (rfc, pseudo_header) = (ChecksumForm::Rfc9568, ChecksumForm::PseudoHeader);
    match (vip.family, vip.spoken_checksum, vip.checksum) {
        (Family::Ipv6, _, _) => vec![pseudo_header],
        (Family::Ipv4, Some(spoken), _) => vec![spoken],
        (Family::Ipv4, None, Checksum::Rfc9568) => vec![rfc],
        (Family::Ipv4, None, Checksum::PseudoHeader) => vec![pseudo_header],
        (Family::Ipv4, None, Checksum::Auto) => vec![rfc, pseudo_header],
    }
}

fn interface_index(name: &str) -> Result<u32, String> {
    let socket =
        rustix::net::socket(rustix::net::AddressFamily::UNIX, rustix::net::SocketType::DGRAM, None);
    socket
        .and_then(|socket| rustix::net::netdevice::name_to_index(socket, name))
        .map_err(|error| format!("{name}: {error}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn peers_that_have_waited_for_three_intervals_are_told_nothing() {
        let vip = vips::tests::vip("10.0.0.10", None);
        assert!(is_awaited(&vip, Duration::ZERO));
        assert!(is_awaited(&vip, Duration::from_millis(2990)));
        assert!(!is_awaited(&vip, Duration::from_secs(3)));
        assert!(!is_awaited(&vip, Duration::MAX));
    }

    #[test]
    fn the_form_that_was_spoken_is_enough() {
        let both = [ChecksumForm::Rfc9568, ChecksumForm::PseudoHeader];
        let vip = vips::tests::vip("10.0.0.10", None);
        assert_eq!(forms(&vip), both);
        for form in both {
            assert_eq!(forms(&Vip { spoken_checksum: Some(form), ..vip.clone() }), [form]);
        }
        assert_eq!(forms(&Vip { family: Family::Ipv6, ..vip }).len(), 1);
    }

    #[test]
    fn each_peer_is_told_where_there_is_no_group() {
        let vip = vips::tests::vip("10.0.0.10", None);
        assert_eq!(destinations(&vip), [group(Family::Ipv4)]);
        let peers: Vec<IpAddr> = ["10.0.0.12", "10.0.0.13"].map(|it| it.parse().unwrap()).to_vec();
        let transport = Transport::Unicast { peers: peers.clone(), source: None };
        assert_eq!(destinations(&Vip { transport, ..vip }), peers);
    }

    #[test]
    fn of_an_address_owner_only_what_mainstay_installed_is_removed() {
        let vip = vips::tests::vip("10.0.0.10", None);
        assert!(to_remove(&vip).all(|fenced| !fenced.only_ours));
        assert!(to_remove(&Vip { is_owner: true, ..vip }).all(|fenced| fenced.only_ours));
    }

    #[test]
    fn untold_peers_leave_no_address_behind() {
        let fencing = Fencing { untold: Some("x".to_owned()), ..Fencing::default() };
        assert!(!fencing.is_incomplete() && !fencing.is_idle());
        let fencing = Fencing { errors: vec!["x".to_owned()], ..Fencing::default() };
        assert!(fencing.is_incomplete() && !fencing.is_idle());
    }
}

//! Taking a node's virtual addresses away when no VRRP process does it, and telling the peers.
//!
//! Used by the daemon when its VRRP process dies, and by `mainstay vip fence` when both are dead.

mod vips;

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vrrp::config::Checksum;
use vrrp::linux::farewell;
use vrrp::linux::fence::{Fence, FenceOutcome, Fenced};
use vrrp::wire::{ChecksumForm, GROUP_V4, MAX_IPV4_LEN, Outgoing};

pub use vips::{Vip, Vips, move_aside};

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
    /// one or whose name is in `active`, so that its peers wait Skew_Time only.
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
            if !was_active || !is_awaited(vip, silent) {
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
        let addresses_of = |vip: &Vip| vip.addresses.iter().collect::<Vec<_>>();
        let fenced: Vec<Fenced> = vips
            .iter()
            .flat_map(|vip| {
                let interface = vip.interface.clone();
                let fenced = move |address| Fenced {
                    interface: interface.clone(),
                    address,
                    only_ours: false,
                };
                addresses_of(vip).into_iter().map(fenced)
            })
            .collect();
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

/// Whether the peers still wait for the next advertisement. Their Active_Down_Interval is three
/// intervals and their own Skew_Time, which is not known here.
fn is_awaited(vip: &Vip, silent: Duration) -> bool {
    silent < vip.interval.duration() * 3
}

/// Sends priority 0 for a virtual router.
fn release(vip: &Vip) -> Result<(), String> {
    let Some(source) = vip.source else {
        return Err(
            "the peers were not told: the address that it advertised from is unknown".into()
        );
    };
    let ifindex = interface_index(&vip.interface)?;
    let IpAddr::V4(source) = source else {
        return Err("the peers were not told: IPv6 is not supported by this version".into());
    };
    for &form in forms(vip.checksum) {
        let mut buffer = [0; MAX_IPV4_LEN];
        let packet = farewell_packet(vip, source, form, &mut buffer);
        farewell::send_release(ifindex, packet, IpAddr::V4(GROUP_V4))
            .map_err(|error| format!("the peers were not told: {error}"))?;
    }
    Ok(())
}

fn farewell_packet<'b>(
    vip: &Vip,
    source: Ipv4Addr,
    checksum: ChecksumForm,
    buffer: &'b mut [u8; MAX_IPV4_LEN],
) -> &'b [u8] {
    let advert = Outgoing {
        vrid: vip.vrid,
        priority: None,
        interval: vip.interval,
        addresses: vip.addresses.as_slice(),
        checksum,
    };
    advert.encode_ipv4(source, GROUP_V4, buffer)
}

/// Which form the peers understand is known to the VRRP process alone where it is `auto`: both are
/// sent then. A peer drops the one that it does not know, and priority 0 twice is as once.
const fn forms(checksum: Checksum) -> &'static [ChecksumForm] {
    match checksum {
        Checksum::Rfc9568 => &[ChecksumForm::Rfc9568],
        Checksum::PseudoHeader => &[ChecksumForm::PseudoHeader],
        Checksum::Auto => &[ChecksumForm::Rfc9568, ChecksumForm::PseudoHeader],
    }
}

fn interface_index(name: &str) -> Result<u32, String> {
    let socket =
        rustix::net::socket(rustix::net::AddressFamily::UNIX, rustix::net::SocketType::DGRAM, None);
    socket
        .and_then(|socket| rustix::net::netdevice::name_to_index(socket, name))
        .map_err(|error| format!("the peers were not told: {name}: {error}"))
}

#[cfg(test)]
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
    fn untold_peers_leave_no_address_behind() {
        let fencing = Fencing { untold: Some("x".to_owned()), ..Fencing::default() };
        assert!(!fencing.is_incomplete() && !fencing.is_idle());
        let fencing = Fencing { errors: vec!["x".to_owned()], ..Fencing::default() };
        assert!(fencing.is_incomplete() && !fencing.is_idle());
    }
}

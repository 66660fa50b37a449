//! What the link is told: gratuitous ARP and probes.

use std::io;

use super::Keeper;
use super::members::Member;
use super::ports::PortEntry;
use crate::linux::clock;
use crate::linux::messages::{PortId, SlotId};
use crate::proto::EventKind;
use crate::router::Announcement;
use crate::time::{Duration, Instant};

/// Pause before a full transmit queue is tried again.
const FULL_QUEUE_PAUSE: Duration = Duration::from_millis(10);

impl Keeper {
    /// Plans announcements; the first is made by the next [`Keeper::announce_due`].
    pub(super) fn announce(&mut self, id: SlotId, announcement: Announcement) {
        if let Some(member) = self.members.get_mut(&id) {
            member.plan_announcement(clock::now(), announcement);
        }
    }

    /// The interface has another Ethernet address: everybody has to learn it.
    pub(super) fn announce_all(&mut self, port: PortId) {
        let now = clock::now();
        for member in self.members.values_mut().filter(|member| member.port == port) {
            if member.is_active() && member.installed {
                member.plan_announcement(now, Announcement::Takeover);
            }
        }
    }

    /// Sends the announcements and probes that are due.
    pub(super) fn announce_due(&mut self, now: Instant) {
        let mut failed = Vec::new();
        for (&id, member) in &mut self.members {
            let probes = std::mem::take(&mut member.probe_due);
            let announces = member.announcements.poll_due(now);
            let Some(port) = self.ports.get_mut(&member.port) else {
                continue;
            };
            if probes {
                // What cannot be asked is not: the successor's own announcements follow anyway.
                for &address in member.addresses() {
                    let _ = port.probe(address);
                }
            }
            if announces && let Err(error) = announce_rest(member, port, now) {
                failed.push((id, error.to_string()));
            }
        }
        for (id, error) in failed {
            self.record(Some(id), EventKind::AnnounceFailed { error });
        }
    }
}

/// Announces the addresses, from where a full transmit queue ended it the last time.
fn announce_rest(member: &mut Member, port: &mut PortEntry, now: Instant) -> io::Result<()> {
    while let Some(&address) = member.addresses().get(member.announced) {
        if let Err(error) = port.announce(address) {
            if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) {
                member.announcements.plan(now + FULL_QUEUE_PAUSE);
                return Ok(());
            }
            member.announced = 0;
            return Err(error);
        }
        member.announced += 1;
    }
    member.announced = 0;
    Ok(())
}

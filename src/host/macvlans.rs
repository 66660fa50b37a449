//! Makes the macvlans and their settings, and undoes both. Each step may be the last before a crash:
//! the next daemon, or `mainstay vip fence`, goes on from there.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;

use supervisor::state_file::move_aside;
use vrrp::linux::interface::{LinkInfo, LinkKind};
use vrrp::linux::netlink::{Netlink, NetlinkError};

use super::record::{Changed, Record};
use super::survey::{Needed, Survey, with_our_names};
use super::sysctl::{self, PARENT, Setting};
use super::wanted::Wanted;
use crate::events::Entry;

/// More names are not listed in one event.
const MAX_LISTED: usize = 8;

/// The macvlans of this host's virtual routers, and the settings of the interfaces below them.
pub struct Macvlans {
    netlink: Netlink,
    path: PathBuf,
    record: Record,
    /// Whether the record was damaged.
    is_lost: bool,
}

/// What becomes of macvlans that are no longer wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// They stay: a VRRP process may be using them.
    Keep,
    /// They go.
    Remove,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Each thing.
    pub entries: Vec<Entry>,
    /// What is not as it should be.
    pub problems: Vec<String>,
    /// The links that it was about, by index, with their names and Ethernet addresses: if one
    /// changes, it is time for another look.
    pub watched: BTreeMap<u32, (String, Option<[u8; 6]>)>,
    /// The names under which one of them may appear.
    pub awaited: BTreeSet<String>,
}

impl Macvlans {
    /// With what the file at `path` says was done before.
    ///
    /// # Errors
    /// If the process has no descriptor left.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        let netlink = Netlink::open().map_err(io::Error::other)?;
        let record = Record::load(&path);
        let is_lost = record.is_err();
        Ok(Self { netlink, path, record: record.unwrap_or_default(), is_lost })
    }

    /// Whether nothing was done that has to be undone.
    pub fn is_idle(&self) -> bool {
        self.record.is_empty() && !self.is_lost
    }

    /// Makes what is wanted and not there. Goes on after a failure: it is among the problems.
    pub fn apply(&mut self, wanted: &[Wanted], others: Others) -> Outcome {
        let mut outcome = Outcome::default();
        let links = match self.netlink.links() {
            Ok(links) => links,
            Err(error) => {
                outcome.problems.push(format!("the links cannot be read: {error}"));
                return outcome;
            }
        };
        self.recover(&links, &mut outcome);
        let survey = Survey::new(&links, wanted);
        outcome.problems.extend(survey.problems.iter().cloned());
        outcome.watch(&links, wanted, &survey.needed);
        if let Err(error) = self.write_down(&survey) {
            outcome.problems.push(format!(
                "no macvlan is made, as {} cannot be written: {error}: free space there",
                self.path.display()
            ));
            return outcome;
        }
        if !survey.ipv4_parents().is_empty() {
            outcome.problems.extend(sysctl::obstacles());
            self.set_parents(&survey, &mut outcome);
        }
        self.make(&survey, &mut outcome);
        if others == Others::Remove {
            self.remove_others(&links, &survey, &mut outcome);
        }
        outcome
    }

    /// Undoes everything. What cannot be undone is among the problems and stays on record.
    pub fn clean_up(&mut self) -> Outcome {
        if self.is_idle() {
            return Outcome::default();
        }
        self.apply(&[], Others::Remove)
    }

    /// Makes up for a damaged record, as far as names tell.
    fn recover(&mut self, links: &[LinkInfo], outcome: &mut Outcome) {
        if std::mem::take(&mut self.is_lost) {
            let aside = move_aside(&self.path);
            let what = format!("{} made no sense: {aside}", self.path.display());
            outcome.entries.push(
                Entry::now("state_corrupt", what).because("changed sysctls cannot be restored"),
            );
            self.record.macvlans = with_our_names(links);
        }
    }

    /// Puts on record what is about to be changed.
    fn write_down(&mut self, survey: &Survey<'_>) -> io::Result<()> {
        let mut record = self.record.clone();
        record.macvlans.extend(survey.needed.iter().map(|it| it.name.clone()));
        for (ifindex, interface) in survey.ipv4_parents() {
            for Setting { key, value } in PARENT {
                if let Ok(original) = sysctl::read(interface, key)
                    && original < value
                    && record.changed(ifindex, key).is_none()
                {
                    let key = key.to_owned();
                    record.sysctls.push(Changed { ifindex, key, original, set: value });
                }
            }
        }
        self.put(record)
    }

    fn put(&mut self, record: Record) -> io::Result<()> {
        if record != self.record {
            record.save(&self.path)?;
            self.record = record;
        }
        Ok(())
    }

    fn set_parents(&self, survey: &Survey<'_>, outcome: &mut Outcome) {
        for interface in survey.ipv4_parents().into_values() {
            let mut set = Vec::new();
            for Setting { key, value } in PARENT {
                if sysctl::read(interface, key).is_ok_and(|it| it >= value) {
                    continue;
                }
                match sysctl::write(interface, key, value) {
                    Ok(()) => set.push(format!("{} = {value}", sysctl::dotted(interface, key))),
                    Err(error) => outcome.problems.push(error.to_string()),
                }
            }
            if !set.is_empty() {
                let entry = Entry::now("sysctl_set", format!("set {}", set.join(", ")));
                outcome.entries.push(entry.because(
                    "nobody may learn the interface's own Ethernet address for a virtual address",
                ));
            }
        }
    }

    /// Makes what is missing. It gets its MAC address last: by that the VRRP process knows it, and
    /// by then its settings are made.
    fn make(&mut self, survey: &Survey<'_>, outcome: &mut Outcome) {
        let missing = survey.missing();
        let mut failed = BTreeSet::new();
        let mut made = Vec::new();
        for (new, result) in missing.iter().zip(self.netlink.make_macvlans(&missing)) {
            match result {
                Ok(()) => made.push(new.name.as_str()),
                Err(error) => {
                    outcome.problems.push(format!("{} could not be made: {error}", new.name));
                    failed.insert(new.name.as_str());
                }
            }
        }
        let there = || survey.needed.iter().filter(|it| !failed.contains(it.name.as_str()));
        for needed in there() {
            outcome.problems.extend(sysctl::prepare(&needed.name, needed.wanted.family));
        }
        let macs: Vec<_> =
            there().filter(|it| !it.has_mac).map(|it| (it.name.clone(), it.wanted.mac())).collect();
        for ((name, _), result) in macs.iter().zip(self.netlink.set_macs(&macs)) {
            if let Err(error) = result {
                outcome.problems.push(format!("{name} did not get its MAC address: {error}"));
            }
        }
        if !made.is_empty() {
            let what = format!("made {}", macvlans(&made));
            outcome.entries.push(Entry::now("macvlan_made", what));
        }
    }

    /// Deletes the macvlans that nobody needs, and restores the settings of interfaces that have
    /// none any more.
    fn remove_others(&mut self, links: &[LinkInfo], survey: &Survey<'_>, outcome: &mut Outcome) {
        let needed: BTreeSet<&str> = survey.needed.iter().map(|it| it.name.as_str()).collect();
        let mut record = self.record.clone();
        let is_unneeded = |link: &&LinkInfo| {
            link.kind == LinkKind::Macvlan
                && record.macvlans.contains(&link.name)
                && !needed.contains(link.name.as_str())
        };
        let unneeded: Vec<&LinkInfo> = links.iter().filter(is_unneeded).collect();
        let left = self.delete(&unneeded, outcome);
        record.macvlans.retain(|name| needed.contains(name.as_str()) || left.contains(name));
        let parents = survey.ipv4_parents();
        record.sysctls.retain(|changed| {
            parents.contains_key(&changed.ifindex) || !restore(changed, links, outcome)
        });
        if let Err(error) = self.put(record) {
            // What is on record and no longer there will be passed over.
            tracing::warn!("cannot write {}: {error}", self.path.display());
        }
    }

    /// Deletes links; returns the names of those that are left.
    fn delete(&mut self, unneeded: &[&LinkInfo], outcome: &mut Outcome) -> BTreeSet<String> {
        let indices: Vec<u32> = unneeded.iter().map(|link| link.index).collect();
        let results = self.netlink.delete_links(&indices);
        let (mut left, mut gone) = (BTreeSet::new(), Vec::new());
        for (link, result) in unneeded.iter().zip(results) {
            match result {
                Ok(()) => gone.push(link.name.as_str()),
                Err(error) => {
                    left.insert(link.name.clone());
                    outcome.problems.push(undeleted(&link.name, error));
                }
            }
        }
        if !gone.is_empty() {
            let what = format!("deleted {}", macvlans(&gone));
            outcome.entries.push(Entry::now("macvlan_deleted", what));
        }
        left
    }
}

impl Outcome {
    fn watch(&mut self, links: &[LinkInfo], wanted: &[Wanted], needed: &[Needed<'_>]) {
        self.awaited = wanted.iter().map(|it| it.interface.clone()).collect();
        let ours: BTreeMap<&str, &Needed<'_>> =
            needed.iter().map(|it| (it.name.as_str(), it)).collect();
        for link in links {
            if self.awaited.contains(&link.name) {
                self.watched.insert(link.index, (link.name.clone(), link.mac));
            } else if let Some(needed) = ours.get(link.name.as_str()) {
                let mac = Some(needed.wanted.mac());
                self.watched.insert(link.index, (link.name.clone(), mac));
            }
        }
        self.awaited.extend(needed.iter().map(|it| it.name.clone()));
    }
}

/// Gives a setting its value from before, unless somebody else has changed it since. Returns
/// whether there is nothing left to do.
fn restore(changed: &Changed, links: &[LinkInfo], outcome: &mut Outcome) -> bool {
    let Some(link) = links.iter().find(|link| link.index == changed.ifindex) else { return true };
    // The record is a file: only what this program sets is written.
    let Some(setting) = PARENT.iter().find(|it| it.key == changed.key) else { return true };
    match sysctl::read(&link.name, setting.key) {
        Ok(value) if value == changed.set => {}
        _ => return true,
    }
    match sysctl::write(&link.name, setting.key, changed.original) {
        Ok(()) => {
            let name = sysctl::dotted(&link.name, setting.key);
            let what = format!("restored {name} = {}", changed.original);
            outcome.entries.push(Entry::now("sysctl_restored", what));
            true
        }
        Err(error) => {
            outcome.problems.push(error.to_string());
            false
        }
    }
}

fn undeleted(name: &str, error: NetlinkError) -> String {
    format!("{name} could not be deleted: {error}: delete it by hand with `ip link delete {name}`")
}

/// Macvlans as a sentence has them.
fn macvlans(names: &[&str]) -> String {
    let listed = names.iter().take(MAX_LISTED).copied().collect::<Vec<_>>().join(", ");
    match names {
        [_] => format!("the macvlan {listed}"),
        _ if names.len() <= MAX_LISTED => format!("the macvlans {listed}"),
        _ => format!("{} macvlans: {listed}, ...", names.len()),
    }
}

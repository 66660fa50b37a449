//! Looks at a master's certificates.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::PublicKeyData as _;

use super::entry::Need;
use super::files;
use super::issue::seconds;
use super::x509::{self, Facts};
use super::{Entry, Item, Name, Problem, Report, Settings, service_account_keys};

/// Before that much of its time is left, a certificate is not warned of.
const SOON: Duration = Duration::from_hours(30 * 24);

/// Looks at all certificates and keys of a master. Nothing is changed.
pub fn check(settings: &Settings, now: SystemTime) -> Report {
    let check = Check { settings, now: seconds(now) };
    let mut items: Vec<_> = Entry::ALL.into_iter().map(|it| check.entry(it)).collect();
    items.push(check.service_accounts());
    Report { folder: settings.folder.clone(), items }
}

struct Check<'a> {
    settings: &'a Settings,
    /// In seconds since 1970.
    now: i64,
}

impl Check<'_> {
    fn entry(&self, entry: Entry) -> Item {
        let mut item = Item {
            name: entry.to_string(),
            expires: None,
            names: Vec::new(),
            problems: Vec::new(),
        };
        let (path, key) = (self.settings.certificate(entry), self.settings.key(entry));
        let facts = match (path.exists(), key.exists()) {
            (false, false) => {
                item.problems.push(Problem::Missing);
                return item;
            }
            (false, true) => {
                item.problems.push(Problem::PrivateKeyOnly);
                None
            }
            (true, _) => self.certificate(entry, &path, &mut item),
        };
        if key.exists() {
            check_key(&key, facts.as_ref(), &mut item.problems);
        } else if entry.authority().is_some() {
            item.problems.push(Problem::KeyMissing(key));
        } else {
            item.problems.push(Problem::KeyElsewhere);
        }
        item
    }

    fn certificate(&self, entry: Entry, path: &Path, item: &mut Item) -> Option<Facts> {
        let read = files::certificates(path);
        let read = read.and_then(|chain| x509::facts(&chain[0]).map(|facts| (chain, facts)));
        let (chain, facts) = match read {
            Ok(read) => read,
            Err(why) => {
                item.problems.push(unusable(path.to_owned(), &why));
                return None;
            }
        };
        item.expires = Some(facts.not_after);
        item.names.clone_from(&facts.names);
        let problems = &mut item.problems;
        problems.extend(self.validity(entry, &facts));
        match entry.authority() {
            None if !facts.authority => problems.push(Problem::NoAuthority),
            None => {}
            Some(authority) => problems.extend(self.signature(&chain, authority)),
        }
        if entry.serves() && !facts.serves {
            problems.push(Problem::NotForServers);
        }
        if entry.connects() && !facts.connects {
            problems.push(Problem::NotForClients);
        }
        problems.extend(self.names(entry, &facts));
        Some(facts)
    }

    fn validity(&self, entry: Entry, facts: &Facts) -> Option<Problem> {
        let authority = entry.authority().is_none();
        let left = facts.not_after.saturating_sub(self.now);
        if left < 0 {
            Some(Problem::Expired { seconds: left.saturating_neg(), authority })
        } else if self.now < facts.not_before {
            Some(Problem::NotYetValid { seconds: facts.not_before.saturating_sub(self.now) })
        } else if left.cast_unsigned() < SOON.as_secs() {
            Some(Problem::ExpiresSoon { seconds: left, authority })
        } else {
            None
        }
    }

    /// If the authority cannot be read, that is told of the authority.
    fn signature(&self, chain: &[Vec<u8>], authority: Entry) -> Option<Problem> {
        let authority = self.settings.certificate(authority);
        let signed = x509::chains_to(chain, &files::certificates(&authority).ok()?);
        (!signed).then_some(Problem::NotSigned { authority })
    }

    fn names(&self, entry: Entry, facts: &Facts) -> Vec<Problem> {
        let Ok(wanted) = entry.names(self.settings) else { return Vec::new() };
        let missing = |of: Need| -> Vec<Name> {
            let lacks = |name: &Name| !facts.names.contains(name);
            let missing = wanted.iter().filter(|(name, need)| *need == of && lacks(name));
            missing.map(|(name, _)| name.clone()).collect()
        };
        let (essential, useful) = (missing(Need::Essential), missing(Need::Useful));
        let mut problems = Vec::new();
        if !essential.is_empty() {
            problems.push(Problem::NameMissing(essential));
        }
        if !useful.is_empty() {
            problems.push(Problem::UsefulNameMissing(useful));
        }
        problems
    }

    fn service_accounts(&self) -> Item {
        let (private, public) = service_account_keys(&self.settings.folder);
        let mut problems = Vec::new();
        match (private.exists(), public.exists()) {
            (false, false) => problems.push(Problem::Missing),
            (false, true) => problems.push(Problem::KeyMissing(private)),
            (true, false) => problems.push(Problem::PrivateKeyOnly),
            (true, true) => {
                check_key(&private, None, &mut problems);
                problems.extend(check_public_key(&public, &private));
            }
        }
        Item { name: "sa".into(), expires: None, names: Vec::new(), problems }
    }
}

fn check_key(path: &Path, of: Option<&Facts>, problems: &mut Vec<Problem>) {
    match files::private_key(path) {
        Err(why) => problems.push(unusable(path.to_owned(), &why)),
        Ok(key) if of.is_some_and(|it| it.public_key != key.public_key_raw()) => {
            problems.push(Problem::KeyOfAnother);
        }
        Ok(_) => {}
    }
    let Ok(metadata) = fs::metadata(path) else { return };
    let mode = metadata.permissions().mode() & 0o777;
    // A group may be let in on purpose.
    if mode & 0o007 != 0 {
        problems.push(Problem::KeyReadable { path: path.to_owned(), mode });
    }
}

/// If the private key cannot be read, that is told already.
fn check_public_key(public: &Path, private: &Path) -> Option<Problem> {
    let private = files::private_key(private).ok()?;
    match files::public_key(public) {
        Err(why) => Some(unusable(public.to_owned(), &why)),
        Ok(key) => (key != private.subject_public_key_info()).then_some(Problem::KeyOfAnother),
    }
}

fn unusable(path: PathBuf, why: &files::Unusable) -> Problem {
    Problem::Unusable { path, why: why.to_string() }
}

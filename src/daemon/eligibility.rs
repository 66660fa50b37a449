//! Which virtual router may hold its addresses: what its checks say, and whether it is drained.
//!
//! Pure: it decides what the VRRP process is told and when; [`super::actor`] tells it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;
use vrrp::proto::Request;
use vrrp::router::Eligibility;

use crate::health::Standing;

/// What the VRRP process is told counts for so long, should this daemon fall silent.
const LIFETIME: Duration = Duration::from_secs(15);
/// After this long it is told again.
const RENEWAL: Duration = Duration::from_secs(5);

/// The eligibility of all virtual routers of this node.
#[derive(Debug, Default)]
pub struct Eligibilities {
    routers: BTreeMap<String, Judged>,
    standings: BTreeMap<String, Standing>,
}

/// A virtual router.
#[derive(Debug, Default)]
struct Judged {
    checks: Vec<String>,
    /// What its checks say, all together.
    verdict: Verdict,
    is_drained: bool,
    /// What the VRRP process was last told, and when.
    told: Option<(Eligibility, Instant)>,
}

/// What the checks of a virtual router say, all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Verdict {
    /// Nothing yet; the VRRP process, which is older than this daemon, knows an earlier verdict.
    Inherited,
    /// Not all of them are known to be healthy.
    #[default]
    Sick,
    /// All is well; also where there are no checks.
    Healthy,
}

impl Eligibilities {
    /// Takes the virtual routers of a configuration, each with the names of its checks. One that
    /// was there before keeps its verdict until all its checks have spoken: a new check moves
    /// nothing before it has looked.
    pub fn plan<'a>(&mut self, routers: impl IntoIterator<Item = (&'a str, &'a [String])>) {
        let mut before = std::mem::take(&mut self.routers);
        for (name, checks) in routers {
            let mut router = before.remove(name).unwrap_or_default();
            router.checks = checks.to_vec();
            router.judge(&self.standings);
            self.routers.insert(name.to_owned(), router);
        }
        let named: BTreeSet<&String> = self.routers.values().flat_map(|it| &it.checks).collect();
        self.standings.retain(|check, _| named.contains(check));
    }

    /// A VRRP process that is older than this daemon runs: what it knows of a virtual router whose
    /// checks have not spoken stands until they have.
    pub fn adopt(&mut self) {
        for router in self.routers.values_mut() {
            let spoken = router.checks.iter().any(|it| self.standings.contains_key(it));
            if !spoken && !router.checks.is_empty() {
                router.verdict = Verdict::Inherited;
            }
        }
    }

    /// The VRRP process says what it last heard of each virtual router. Heeded where it is older than
    /// this daemon and no check has spoken; one that it does not know has to prove itself.
    pub fn inherit(&mut self, known: impl Fn(&str) -> Option<Eligibility>) {
        for (name, router) in &mut self.routers {
            if router.verdict == Verdict::Inherited {
                router.verdict = match known(name) {
                    Some(Eligibility::Healthy) => Verdict::Healthy,
                    // A drain is known here, or over; what the checks said meanwhile is not known.
                    Some(Eligibility::Degraded | Eligibility::Drained) | None => Verdict::Sick,
                };
            }
        }
    }

    /// A VRRP process runs that has heard nothing.
    pub fn start_anew(&mut self) {
        for router in self.routers.values_mut() {
            router.told = None;
            if router.verdict == Verdict::Inherited {
                router.verdict = Verdict::Sick;
            }
        }
    }

    /// Tells everything again: the connection, or the configuration there, is a new one.
    pub fn tell_anew(&mut self) {
        self.routers.values_mut().for_each(|router| router.told = None);
    }

    /// A check has a verdict. Whether it is another than before.
    pub fn judge(&mut self, check: &str, standing: Standing) -> bool {
        let before = match standing {
            Standing::Unknown => self.standings.remove(check),
            known => self.standings.insert(check.to_owned(), known),
        };
        for router in self.routers.values_mut().filter(|it| it.has(check)) {
            router.judge(&self.standings);
        }
        before.unwrap_or(Standing::Unknown) != standing
    }

    /// An operator, or a stop, drains a virtual router, or no longer does.
    pub fn set_drained(&mut self, router: &str, is_drained: bool) {
        if let Some(router) = self.routers.get_mut(router) {
            router.is_drained = is_drained;
        }
    }

    /// The eligibility of a virtual router; `None` while only the VRRP process knows it.
    #[cfg(test)]
    pub fn of(&self, router: &str) -> Option<Eligibility> {
        self.routers.get(router)?.eligibility()
    }

    /// The virtual routers that a check decides on.
    pub fn routers_of(&self, check: &str) -> Vec<String> {
        let judged = self.routers.iter().filter(|(_, router)| router.has(check));
        judged.map(|(name, _)| name.clone()).collect()
    }

    /// The checks that decide on any of some virtual routers.
    pub fn checks_of(&self, routers: &BTreeSet<String>) -> BTreeSet<String> {
        let named = routers.iter().filter_map(|name| self.routers.get(name));
        named.flat_map(|router| router.checks.iter().cloned()).collect()
    }

    /// What the VRRP process has to be told now, which then counts as told: what it does not know,
    /// and what it would forget.
    pub fn due(&mut self, now: Instant) -> Vec<Request> {
        let mut requests = Vec::new();
        for (name, router) in &mut self.routers {
            let Some(eligibility) = router.eligibility() else { continue };
            let expires = router.expires();
            let is_fresh = |(told, at): (Eligibility, Instant)| {
                let age = now.saturating_duration_since(at);
                told == eligibility && (!expires || age < RENEWAL)
            };
            if router.told.is_some_and(is_fresh) {
                continue;
            }
            router.told = Some((eligibility, now));
            let lifetime = u64::try_from(LIFETIME.as_millis()).ok();
            let ttl_ms = lifetime.filter(|_| expires);
            requests.push(Request::Eligibility { router: name.clone(), eligibility, ttl_ms });
        }
        requests
    }
}

impl Judged {
    fn has(&self, check: &str) -> bool {
        self.checks.iter().any(|it| it == check)
    }

    fn eligibility(&self) -> Option<Eligibility> {
        match self.verdict {
            _ if self.is_drained => Some(Eligibility::Drained),
            Verdict::Healthy => Some(Eligibility::Healthy),
            Verdict::Sick => Some(Eligibility::Degraded),
            Verdict::Inherited => None,
        }
    }

    /// Whether it is worth nothing once nobody looks any more. What an operator wants, and the lack
    /// of checks, stay as they are.
    fn expires(&self) -> bool {
        !self.is_drained && !self.checks.is_empty()
    }

    /// One that is sick decides; else all have to have spoken.
    fn judge(&mut self, standings: &BTreeMap<String, Standing>) {
        let standing = |check| standings.get(check).copied().unwrap_or(Standing::Unknown);
        let mut all = self.checks.iter().map(standing);
        if all.clone().any(|it| it == Standing::Sick) {
            self.verdict = Verdict::Sick;
        } else if all.all(|it| it == Standing::Healthy) {
            self.verdict = Verdict::Healthy;
        }
    }
}

#[cfg(test)]
#[path = "eligibility_tests.rs"]
mod tests;

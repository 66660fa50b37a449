//! Which events somebody wants to see.

use serde::{Deserialize, Serialize};

use super::Record;
use crate::timestamp::Timestamp;

/// Which events; all unless something is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Those after this number.
    #[serde(default)]
    pub after: u64,
    /// Those about this virtual router, its checks included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub router: Option<String>,
    /// Those with one of these codes; commas stand between them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Those from this time on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

impl Filter {
    /// Whether an event is wanted.
    pub fn admits(&self, record: &Record) -> bool {
        let is_code = |codes: &str| codes.split(',').any(|code| code.trim() == record.code);
        record.seq > self.after
            && self.since.is_none_or(|since| record.at >= since)
            && self.code.as_deref().is_none_or(is_code)
            && self.router.as_deref().is_none_or(|router| record.concerns(router))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::events::{Entry, Log};

    #[test]
    fn all_conditions_have_to_hold() {
        let log = Log::new(Timestamp::from_unix_nanos(0));
        let at = |seconds: u64| Timestamp::from_unix_nanos(seconds * 1_000_000_000);
        let detail = serde_json::json!({ "virtual_routers": ["api", "web"] });
        log.push(Entry { at: at(10), ..Entry::now("transition", "") }.of("api"));
        log.push(Entry { at: at(20), ..Entry::now("transition", "") }.of("web"));
        log.push(Entry { at: at(30), ..Entry::now("check_sick", "") }.with(detail));
        log.push(Entry { at: at(40), ..Entry::now("reloaded", "") });
        let wanted = |filter: Filter| -> Vec<u64> {
            log.after(0).iter().filter(|it| filter.admits(it)).map(|it| it.seq).collect()
        };
        let some = |text: &str| Some(text.to_owned());
        let all = Filter::default();
        assert_eq!(wanted(all.clone()), [1, 2, 3, 4]);
        assert_eq!(wanted(Filter { after: 2, ..all.clone() }), [3, 4]);
        assert_eq!(wanted(Filter { router: some("api"), ..all.clone() }), [1, 3]);
        assert_eq!(wanted(Filter { code: some("reloaded, transition"), ..all.clone() }), [1, 2, 4]);
        assert_eq!(wanted(Filter { since: Some(at(20)), ..all.clone() }), [2, 3, 4]);
        let both = Filter { router: some("web"), code: some("transition"), ..all };
        assert_eq!(wanted(both), [2]);
    }
}

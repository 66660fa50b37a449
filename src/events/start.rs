//! The first event of a daemon: how the one before it ended.

use serde_json::{Value, json};

use super::{Entry, Record};

/// Which start of the kernel this is: what `CLOCK_MONOTONIC` counts from.
pub fn boot_id() -> String {
    // Without it a restart of the node is told as one of the daemon.
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

impl Entry {
    /// A daemon starts. `earlier` are the events of those before it.
    pub fn started(version: &str, pid: u32, boot: &str, earlier: &[Record]) -> Self {
        let entry = Self::now("daemon_started", format!("mainstay {version} starts"))
            .with(json!({ "version": version, "pid": pid, "boot_id": boot }));
        match how_it_ended(boot, earlier) {
            Some(how) => entry.because(how),
            None => entry,
        }
    }
}

fn how_it_ended(boot: &str, earlier: &[Record]) -> Option<&'static str> {
    let is = |codes: &'static [&str]| move |it: &&Record| codes.contains(&it.code.as_str());
    let last = earlier.iter().rev().find(is(&["daemon_started", "left", "stopped"]))?;
    let start = earlier.iter().rev().find(is(&["daemon_started"]));
    let then = start.and_then(|it| it.detail.get("boot_id")).and_then(Value::as_str);
    let is_reboot = then.is_some_and(|then| then != boot);
    Some(match (last.code.as_str(), is_reboot) {
        ("stopped", false) => "the one before it was stopped",
        ("stopped", true) => "the one before it was stopped, and the node has booted since",
        ("left", false) => "the one before it left its VRRP process to this one",
        ("left", true) => "the node has booted",
        (_, false) => "the one before it ended without a word: it was killed, or has crashed",
        (_, true) => "the node has booted; the one before it ended without a word, as in a crash",
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::events::Log;
    use crate::timestamp::Timestamp;

    fn why(last: Option<&str>, boot: &str) -> Option<String> {
        let log = Log::new(Timestamp::from_unix_nanos(0));
        log.push(Entry::started("0.1.0", 70, "first boot", &[]));
        if let Some(code) = last {
            log.push(Entry::now(code, ""));
        }
        Entry::started("0.1.0", 71, boot, &log.after(0)).why
    }

    #[test]
    fn the_first_of_all_knows_of_nothing_before() {
        assert_eq!(Entry::started("0.1.0", 70, "boot", &[]).why, None);
    }

    #[test]
    fn the_end_of_the_one_before_is_told() {
        let cases = [
            (Some("stopped"), "first boot", "was stopped"),
            (Some("left"), "first boot", "left its VRRP process"),
            (None, "first boot", "was killed, or has crashed"),
            (None, "second boot", "the node has booted; the one before it ended without a word"),
            (Some("stopped"), "second boot", "was stopped, and the node has booted"),
        ];
        for (last, boot, expected) in cases {
            let why = why(last, boot).unwrap();
            assert!(why.contains(expected), "{why}");
        }
    }
}

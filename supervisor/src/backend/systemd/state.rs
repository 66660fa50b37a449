//! What systemd says of a unit, and how that reads.

use std::time::Duration;

use rustix::process::Signal;
use zbus::OwnedVariant;

use super::bus::Properties;

/// A unit at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) loaded: Loaded,
    pub(super) activity: Activity,
    /// Whether it has said that it is up.
    pub(super) up: bool,
    /// Which run this is, or was, in hexadecimal digits; empty if it never ran.
    pub(super) invocation: String,
    /// When the run began: nanoseconds on the monotonic clock.
    pub(super) since: Duration,
    /// When the run began: since 1970.
    pub(super) since_epoch: Duration,
    /// The unit's file; empty if there is none.
    pub(super) file: String,
    /// Whether files have changed since systemd read them.
    pub(super) stale: bool,
}

/// Whether systemd knows the unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Loaded {
    Yes,
    /// There is no such unit.
    NotFound,
    /// Forbidden by the operator.
    Masked,
    /// The file is wrong.
    Wrong(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activity {
    /// Its processes run, be it that it has not said yet that it is up.
    Runs,
    /// On its way down.
    Stopping,
    /// Waits until systemd starts it again.
    Restarting,
    /// Nothing of it runs.
    Down,
}

impl State {
    pub(super) fn of(unit: &Properties) -> Self {
        let activity = match (text(unit, "ActiveState").as_str(), text(unit, "SubState").as_str()) {
            ("activating", "auto-restart" | "auto-restart-queued") => Activity::Restarting,
            ("active" | "activating" | "reloading" | "refreshing" | "maintenance", _) => {
                Activity::Runs
            }
            ("deactivating", _) => Activity::Stopping,
            _ => Activity::Down,
        };
        let loaded = match text(unit, "LoadState").as_str() {
            "not-found" => Loaded::NotFound,
            "masked" => Loaded::Masked,
            "loaded" | "merged" | "stub" => Loaded::Yes,
            other => Loaded::Wrong(other.to_owned()),
        };
        Self {
            loaded,
            activity,
            up: matches!(text(unit, "ActiveState").as_str(), "active" | "reloading" | "refreshing"),
            invocation: hexadecimal(&bytes(unit, "InvocationID")),
            since: Duration::from_micros(number(unit, "InactiveExitTimestampMonotonic")),
            since_epoch: Duration::from_micros(number(unit, "InactiveExitTimestamp")),
            file: text(unit, "FragmentPath"),
            stale: flag(unit, "NeedDaemonReload"),
        }
    }

    /// Whether this run goes on.
    pub(super) fn runs(&self, invocation: &str) -> bool {
        matches!(self.activity, Activity::Runs | Activity::Stopping)
            && self.invocation == invocation
    }
}

/// How a service's last run came to its end, in words, and whether that was well. `None` while systemd knows nothing of it.
pub(super) fn ending(service: &Properties) -> Option<(String, bool)> {
    let status = integer(service, "ExecMainStatus");
    let process = match integer(service, "ExecMainCode") {
        // What systemd says in the place of a program that did not get that far.
        1 if (200..=243).contains(&status) => {
            Some(format!("not executed: code {status} of `man systemd.exec`; see the journal"))
        }
        1 => Some(format!("exited with code {status}")),
        2 | 3 => Some(format!("killed by {}", signal(status))),
        _ => None,
    };
    let how = match text(service, "Result").as_str() {
        "" => return None,
        "success" => {
            return Some((process.unwrap_or_else(|| "stopped by somebody, or ended".into()), true));
        }
        "exit-code" | "signal" => process.unwrap_or_else(|| "failed".into()),
        "core-dump" => format!("{} and left a core dump", process.unwrap_or_default()),
        "oom-kill" => "killed by the kernel: out of memory".into(),
        "watchdog" => "killed by systemd: its watchdog was not fed".into(),
        "timeout" => "killed by systemd: it took too long to start or stop".into(),
        "start-limit-hit" => "not started by systemd: too many starts in a short time".into(),
        "protocol" => "did not follow the protocol of its Type=".into(),
        "resources" => "not started by systemd: a resource is missing; see `journalctl -u`".into(),
        "exec-condition" => "not started: its ExecCondition= does not hold".into(),
        other => format!("failed: {other}"),
    };
    Some((how, false))
}

/// How often systemd itself has started a service again.
pub(super) fn restarts(service: &Properties) -> u32 {
    service.get("NRestarts").and_then(|it| u32::try_from(it).ok()).unwrap_or_default()
}

fn signal(number: i32) -> String {
    let name = match Signal::from_named_raw(number) {
        Some(Signal::KILL) => "SIGKILL",
        Some(Signal::TERM) => "SIGTERM",
        Some(Signal::INT) => "SIGINT",
        Some(Signal::HUP) => "SIGHUP",
        Some(Signal::QUIT) => "SIGQUIT",
        Some(Signal::ABORT) => "SIGABRT",
        Some(Signal::SEGV) => "SIGSEGV",
        Some(Signal::BUS) => "SIGBUS",
        Some(Signal::ILL) => "SIGILL",
        Some(Signal::FPE) => "SIGFPE",
        Some(Signal::PIPE) => "SIGPIPE",
        _ => return format!("signal {number}"),
    };
    name.to_owned()
}

fn text(of: &Properties, name: &str) -> String {
    let text = |it: &OwnedVariant| <&str>::try_from(it).map(str::to_owned).ok();
    of.get(name).and_then(text).unwrap_or_default()
}

fn number(of: &Properties, name: &str) -> u64 {
    of.get(name).and_then(|it| u64::try_from(it).ok()).unwrap_or_default()
}

fn integer(of: &Properties, name: &str) -> i32 {
    of.get(name).and_then(|it| i32::try_from(it).ok()).unwrap_or_default()
}

fn flag(of: &Properties, name: &str) -> bool {
    of.get(name).and_then(|it| bool::try_from(it).ok()).unwrap_or_default()
}

fn bytes(of: &Properties, name: &str) -> Vec<u8> {
    of.get(name).and_then(|it| it.try_clone().ok()?.try_into().ok()).unwrap_or_default()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}

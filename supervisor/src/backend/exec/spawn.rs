//! Starting a process, and saying how it ended.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::process::{INSTANCE, SPEC, UNIT};
use super::{ExecSpec, Place, cgroup, log};
use crate::backend::{Ended, Fault};
use crate::unit::Name;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Starts the unit's process. May take as long as the disk that the program is on.
pub fn spawn(
    unit: &Name,
    spec: &ExecSpec,
    spec_hash: &str,
    place: &Place,
    log: &Path,
) -> Result<Child, Fault> {
    let cannot_log = |error: io::Error| {
        Fault::passing(format!("its log {} cannot be written: {error}", log.display()))
    };
    fs::DirBuilder::new().recursive(true).mode(0o750).create(&place.logs).map_err(cannot_log)?;
    log::rotate(log).map_err(cannot_log)?;
    // The process writes to the file itself: it must go on when mainstay does not.
    let output = OpenOptions::new().append(true).create(true).mode(0o640).open(log);
    let output = output.map_err(cannot_log)?;
    let child = Command::new(&spec.program)
        .args(&spec.args)
        .env_clear()
        .env("PATH", PATH)
        .envs(&spec.env)
        .env(UNIT, unit.as_str())
        .env(INSTANCE, &place.instance)
        .env(SPEC, spec_hash)
        .current_dir(&spec.dir)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(output.try_clone().map_err(cannot_log)?)
        .stderr(output)
        .spawn();
    let child = child.map_err(|error| cannot_run(spec, &error))?;
    settle(unit, spec, child.id());
    Ok(child)
}

/// What a process gets that must not be as protected as mainstay is; `None`: mainstay is not protected.
fn protected() -> Option<i16> {
    let own = fs::read_to_string("/proc/self/oom_score_adj").ok()?;
    own.trim().starts_with('-').then_some(0)
}

fn cannot_run(spec: &ExecSpec, error: &io::Error) -> Fault {
    let (program, dir) = (spec.program.display(), spec.dir.display());
    Fault::passing(match error.kind() {
        io::ErrorKind::NotFound if !spec.dir.is_dir() => {
            format!("there is no directory {dir} to run in: make it")
        }
        io::ErrorKind::NotFound => {
            format!("{program} is not installed: install it, or set its path in the configuration")
        }
        io::ErrorKind::PermissionDenied => {
            format!("{program} may not be run in {dir} ({error}): make it executable")
        }
        _ => format!("{program} cannot be run: {error}"),
    })
}

/// Puts the process in its cgroup and under its limits. It runs already: what it does first is not covered.
fn settle(unit: &Name, spec: &ExecSpec, pid: u32) {
    let refused = |what: &str, error: &io::Error| {
        tracing::warn!(%unit, %error, "the kernel refused {what}; the unit runs without");
    };
    if let Err(error) = cgroup::place(unit, pid) {
        refused("a cgroup of its own", &error);
    }
    if let Some(score) = spec.oom_score_adj.or_else(protected) {
        let path = format!("/proc/{pid}/oom_score_adj");
        if let Err(error) = fs::write(path, score.to_string()) {
            refused("its oom_score_adj", &error);
        }
    }
    if let Some(most) = spec.open_files {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        if let Err(error) = prlimit(pid, Resource::Nofile, limit) {
            refused("its limit of open files", &error.into());
        }
    }
}

/// How a process ended; `None` if it was not our child, so that nobody told us.
pub fn ended(status: Option<ExitStatus>) -> Ended {
    let success = status.is_some_and(|it| it.success());
    let reason = match status.map(|it| (it.code(), it.signal())) {
        Some((Some(code), _)) => format!("exited with code {code}"),
        Some((None, Some(signal))) => format!("killed by {}", signal_name(signal)),
        _ => "ended; an earlier mainstay had started it, so its exit code is unknown".to_owned(),
    };
    Ended { reason, success }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

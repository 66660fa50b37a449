//! The start of the VRRP process.

use std::os::fd::OwnedFd;
use std::sync::{Arc, mpsc};
use std::thread;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::advertiser::Advertiser;
use super::keeper::{Keeper, KeeperError};
use super::lateness::Lateness;
use super::mailbox::mailbox;
use super::messages::{EFFECTS, ORDERS};
use super::{confine, rt};
use crate::proto::ProcessStatus;

/// The advertising thread's stack, and how much of it is touched before it counts.
const STACK: usize = 256 * 1024;
const STACK_TOUCHED: usize = 64 * 1024;

/// Why the VRRP process could not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Out of descriptors, or signals cannot be taken.
    #[error("the VRRP process could not start: {0}")]
    Start(#[from] std::io::Error),
    /// The keeper failed.
    #[error(transparent)]
    Keeper(#[from] KeeperError),
    /// The advertising thread ended, which it does on an error only.
    #[error("the advertising thread failed: {0}")]
    Advertiser(std::io::Error),
}

/// Runs the VRRP process until the daemon asks it to stop. `listener` is a SEQPACKET unix socket
/// that listens for the daemon; `build` is the version of the program.
///
/// # Errors
/// [`RunError`].
pub fn run(listener: OwnedFd, build: &str) -> Result<(), RunError> {
    let signals = take_signals()?;
    raise_descriptor_limit();
    let (orders, orders_in) = mailbox(ORDERS).map_err(std::io::Error::from)?;
    let (effects, effects_in) = mailbox(EFFECTS).map_err(std::io::Error::from)?;
    let lateness = Arc::new(Lateness::default());
    let advertiser = Advertiser::new(orders_in, effects, Arc::clone(&lateness))?;
    let (ready, is_ready) = mpsc::channel();
    thread::Builder::new().name("advertiser".to_owned()).stack_size(STACK).spawn(move || {
        rt::touch_stack(STACK_TOUCHED);
        let mut warnings = Vec::new();
        note(&mut warnings, rt::set_realtime(rt::ADVERTISER, "adverts may be"));
        note(&mut warnings, confine::drop_capabilities());
        // The other side waits for exactly this.
        let _ = ready.send(warnings);
        if let Err(error) = advertiser.run() {
            // Without it there is no router: the daemon fences and starts anew.
            eprintln!("mainstay vrrp: {}", RunError::Advertiser(error));
            std::process::exit(1);
        }
    })?;
    let mut warnings = is_ready.recv().unwrap_or_default();
    note(&mut warnings, rt::lock_memory());
    // Best effort: without it the keeper is an ordinary thread among others.
    let _ = rustix::process::setpriority_process(None, -10);
    note(&mut warnings, confine::drop_capabilities());
    note(&mut warnings, confine::no_new_privileges());
    let process = ProcessStatus {
        pid: std::process::id(),
        build: build.to_owned(),
        ..ProcessStatus::default()
    };
    let mut keeper = Keeper::new(listener, signals, orders, effects_in, lateness, process)?;
    note(&mut warnings, confine::filter_system_calls());
    warnings.dedup();
    keeper.warn(warnings);
    Ok(keeper.run()?)
}

/// SIGTERM and SIGINT come as events; a broken pipe as an error.
fn take_signals() -> std::io::Result<SignalFd> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGHUP);
    signals.thread_block()?;
    Ok(SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?)
}

/// As many descriptors as the hard limit allows: each interface needs some, and the usual soft
/// limit is for programs that use select(2).
fn raise_descriptor_limit() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit { current: maximum, maximum };
    // Never refused.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// What the process does without, in words; none of it stops it.
fn note<E: std::fmt::Display>(warnings: &mut Vec<String>, result: Result<(), E>) {
    if let Err(error) = result {
        warnings.push(error.to_string());
    }
}

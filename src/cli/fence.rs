//! `mainstay vip fence`: the last resort, when the daemon is dead.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Signal, pidfd_send_signal};
use supervisor::state_file::move_aside;
use tokio::time::{sleep, timeout};
use vrrp::proto::{Reply, Request};

use super::args::{FenceArgs, Instance};
use super::client::{Client, block_on};
use super::output;
use crate::config;
use crate::daemon::lock::{self, Lock, LockError};
use crate::daemon::{Plan, systemd};
use crate::events::list;
use crate::exit::{Exit, Failure};
use crate::fence::{Fencer, Fencing, Vips};
use crate::host::{self, Undone};
use crate::runtime_dir::RuntimeDir;
use crate::vrrp_process::{Greeting, Identity, Link, LinkError, VrrpProcess, greet, watch};

/// How long the VRRP process may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long it may take to stop all virtual routers.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// Removes the virtual addresses of this node unless somebody lives who looks after them.
pub fn run(instance: &Instance, args: &FenceArgs) -> Result<Exit, Failure> {
    let directory = instance.runtime_dir()?;
    if !directory.path().exists() {
        return nothing_on_record();
    }
    directory.check().map_err(Failure::usage)?;
    block_on(fence(instance, &directory, args.if_dead))
}

async fn fence(
    instance: &Instance,
    directory: &RuntimeDir,
    if_dead: bool,
) -> Result<Exit, Failure> {
    // Held until the end: neither a daemon nor another fence acts meanwhile.
    let _lock = match acquire(directory).await? {
        Ok(lock) => lock,
        Err(pid) if if_dead => {
            return say(&format!("mainstay runs, as process {pid}: nothing to do\n"));
        }
        Err(_) => {
            // A daemon whose VRRP process is dead fences once more; otherwise it refuses.
            let client = Client::new(directory.api_socket());
            let fencings: Vec<Fencing> = client.post("/v1/fence", Exit::Refused).await?;
            return report(&fencings, &Undone::default());
        }
    };
    let silent = match look(directory).await? {
        Found::Alive(pid, link) if if_dead => {
            if !is_stopped_by_systemd().await {
                return say(&format!("the VRRP process {pid} is alive: nothing to do\n"));
            }
            stop(pid, link).await;
            say(&format!("the unit is stopped: stopped the VRRP process {pid}\n"))?;
            Duration::ZERO
        }
        Found::Alive(pid, _) => {
            return Err(Failure::new(
                Exit::Refused,
                format!(
                    "the VRRP process {pid} is alive and would put the addresses back: start \
                     mainstay, which takes it over, or stop it with `kill {pid}`"
                ),
            ));
        }
        Found::Frozen(pidfd) => {
            kill(pidfd).await;
            // Nobody knows since when.
            Duration::MAX
        }
        Found::Nobody => Duration::ZERO,
    };
    let vips = load(instance, directory);
    let fencings = match &vips {
        Ok(vips) if !vips.is_empty() => {
            let fencer = Fencer::open().context("cannot talk to the kernel")?;
            fencer.fence(vips, &BTreeSet::new(), silent).await
        }
        _ => Vec::new(),
    };
    // Only now: the peers are waiting for the addresses.
    let undone = host::undo(directory.host()).context("cannot talk to the kernel")?;
    match vips {
        Ok(vips) if vips.is_empty() && undone.is_empty() => nothing_on_record(),
        Ok(_) => report(&fencings, &undone),
        Err(failure) => report(&[], &undone).and(Err(failure)),
    }
}

/// Takes the lock, or says which daemon holds it. Another fence is waited for.
async fn acquire(directory: &RuntimeDir) -> Result<Result<Lock, String>, Failure> {
    let start = Instant::now();
    loop {
        match Lock::acquire(&directory.lock(), lock::Role::Fence) {
            Ok(lock) => return Ok(Ok(lock)),
            Err(LockError::Held(holder)) => {
                let is_daemon = holder.role == lock::Role::Daemon;
                if is_daemon || start.elapsed() >= lock::PATIENCE {
                    return Ok(Err(holder.pid));
                }
                sleep(lock::RETRY).await;
            }
            Err(error) => return Err(Failure::new(Exit::Failed, error.to_string())),
        }
    }
}

/// Who was found.
enum Found {
    /// A VRRP process that answers.
    Alive(u32, Box<Link>),
    /// A VRRP process that does not.
    Frozen(OwnedFd),
    /// None.
    Nobody,
}

async fn look(directory: &RuntimeDir) -> Result<Found, Failure> {
    let socket = directory.vrrp_socket();
    // Once more if the connection ends: it may have given way to another one.
    for _ in 0..2 {
        let greeting = greet(&socket, PATIENCE)
            .await
            .with_context(|| format!("cannot connect to {}", socket.display()))?;
        let Greeting::Alive { mut link, welcome, .. } = greeting else { break };
        match timeout(PATIENCE, beat(&mut link)).await {
            Ok(Ok(())) => return Ok(Found::Alive(welcome.pid, link)),
            Ok(Err(_)) => {}
            Err(_) => break,
        }
    }
    // The socket's credentials would name the daemon, which made it: the record names the process.
    let recorded = Identity::load(&directory.vrrp_pid());
    Ok(recorded.and_then(|identity| identity.open()).map_or(Found::Nobody, Found::Frozen))
}

/// Waits for a sign of life of the loop that sends the advertisements.
async fn beat(link: &mut Link) -> Result<(), LinkError> {
    link.send(&Request::Ping { seq: 0 })?;
    loop {
        if let Reply::Pong { .. } = link.next().await? {
            return Ok(());
        }
    }
}

/// Whether systemd is stopping the unit that this process runs for, and no restart follows: the
/// daemon had no time to stop its VRRP process, and nobody will look after it.
async fn is_stopped_by_systemd() -> bool {
    std::env::var_os("INVOCATION_ID").is_some()
        && systemd::intent().await.job.as_deref() == Some("stop")
}

/// Stops a VRRP process in order; ends it if that takes too long.
async fn stop(pid: u32, mut link: Box<Link>) {
    let Ok(mut process) = VrrpProcess::adopt(pid) else { return };
    // If it cannot be asked it is dying.
    let _ = link.send(&Request::Shutdown);
    let end = async {
        // What it says has to be read, or it waits with its end.
        while link.next().await.is_ok() {}
        process.ended().await
    };
    if timeout(STOP_PATIENCE, end).await.is_err() {
        process.kill();
        // One that does not end now will not run again either.
        let _ = timeout(PATIENCE, process.ended()).await;
    }
}

async fn kill(pidfd: OwnedFd) {
    // Fails only if it has ended.
    let _ = pidfd_send_signal(&pidfd, Signal::KILL);
    if let Ok(pidfd) = watch(pidfd) {
        // One that does not end now will not run again either.
        let _ = timeout(PATIENCE, pidfd.readable()).await;
    }
}

/// What is on record; if that is damaged, what the configuration says.
fn load(instance: &Instance, directory: &RuntimeDir) -> Result<Vips, Failure> {
    let path = directory.vips();
    let damage = match Vips::load(&path) {
        Ok(vips) => return Ok(vips),
        Err(error) => format!("{} cannot be read ({error})", path.display()),
    };
    let plan = planned(instance).map_err(|failure| {
        let help = "remove the addresses by hand with `ip address del`";
        Failure::new(
            Exit::Failed,
            format!("{damage}, nor can the configuration: {help}\n{failure}"),
        )
    })?;
    let aside = move_aside(&path);
    output::complain(&Failure::new(
        Exit::Failed,
        format!(
            "{damage}: {aside}; removing the addresses of {} instead",
            instance.config.display()
        ),
    ));
    Ok(Vips::of(&plan.routers, &std::collections::BTreeMap::new()))
}

fn planned(instance: &Instance) -> Result<Plan, Failure> {
    let config = config::load(&instance.config).map_err(Failure::usage)?;
    Plan::of(&config, &instance.node()?, &instance.state_dir).map_err(Failure::usage)
}

fn report(fencings: &[Fencing], undone: &Undone) -> Result<Exit, Failure> {
    let mut text = String::new();
    let mut errors = Vec::new();
    for fencing in fencings {
        let Fencing { router, interface, removed, released, .. } = fencing;
        let told = if *released { ", told the peers" } else { "" };
        match removed.as_slice() {
            [] => text.push_str(&format!("{router}: no address was left on {interface}{told}\n")),
            _ => {
                let removed = list(removed);
                text.push_str(&format!("{router}: removed {removed} from {interface}{told}\n"));
            }
        }
        errors.extend(fencing.all_errors().map(|error| format!("{router}: {error}")));
    }
    undone.done.iter().for_each(|done| text.push_str(&format!("{done}\n")));
    errors.extend(undone.problems.iter().cloned());
    output::write(text.as_bytes())?;
    if errors.is_empty() {
        Ok(Exit::Ok)
    } else {
        Err(Failure::new(Exit::Failed, errors.join("\n")))
    }
}

fn nothing_on_record() -> Result<Exit, Failure> {
    say("no addresses are on record: nothing to do\n")
}

fn say(text: &str) -> Result<Exit, Failure> {
    output::write(text.as_bytes())
}

//! `mainstay vip fence`: the last resort, when the daemon is dead.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::Context;
use rustix::process::{Signal, pidfd_send_signal};
use tokio::time::timeout;
use vrrp::proto::{Reply, Request};

use super::args::{FenceArgs, Instance};
use super::client::{Client, block_on};
use super::output;
use crate::daemon::held_by;
use crate::events::list;
use crate::exit::{Exit, Failure};
use crate::fence::{Fencer, Fencing, Vips};
use crate::runtime_dir::RuntimeDir;
use crate::vrrp_process::{Greeting, Identity, Link, greet, watch};

/// How long the VRRP process may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Removes the virtual addresses of this node unless somebody lives who looks after them.
pub fn run(instance: &Instance, args: &FenceArgs) -> Result<Exit, Failure> {
    let directory = instance.runtime_dir()?;
    block_on(fence(&directory, args.if_dead))
}

async fn fence(directory: &RuntimeDir, if_dead: bool) -> Result<Exit, Failure> {
    if let Some(pid) = held_by(&directory.lock()) {
        if if_dead {
            return say(&format!("mainstay runs, as process {pid}: nothing to do\n"));
        }
        // A daemon whose VRRP process is dead fences once more; otherwise it refuses.
        let client = Client::new(directory.api_socket());
        let fencings: Vec<Fencing> = client.post("/v1/fence", Exit::Refused).await?;
        return report(&fencings);
    }
    match look(directory).await? {
        Found::Alive(pid) if if_dead => {
            return say(&format!("the VRRP process {pid} is alive: nothing to do\n"));
        }
        Found::Alive(pid) => {
            return Err(Failure::new(
                Exit::Refused,
                format!(
                    "the VRRP process {pid} is alive and would put the addresses back: start \
                     mainstay, which takes it over, or stop it with `kill {pid}`"
                ),
            ));
        }
        Found::Frozen(pidfd) => kill(pidfd).await,
        Found::Nobody => {}
    }
    let path = directory.vips();
    let vips = Vips::load(&path).with_context(|| format!("cannot read {}", path.display()))?;
    if vips.is_empty() {
        return say("no addresses are on record: nothing to do\n");
    }
    let fencer = Fencer::open().context("cannot talk to the kernel")?;
    report(&fencer.fence(&vips, &BTreeSet::new()).await)
}

/// Who was found.
enum Found {
    /// A VRRP process that answers.
    Alive(u32),
    /// A VRRP process that does not.
    Frozen(OwnedFd),
    /// None.
    Nobody,
}

async fn look(directory: &RuntimeDir) -> Result<Found, Failure> {
    let socket = directory.vrrp_socket();
    let greeting = greet(&socket, PATIENCE)
        .await
        .with_context(|| format!("cannot connect to {}", socket.display()))?;
    if let Greeting::Alive { mut link, welcome, .. } = greeting
        && beats(&mut link).await
    {
        return Ok(Found::Alive(welcome.pid));
    }
    // The socket's credentials would name the daemon, which made it: the record names the process.
    let recorded = Identity::load(&directory.vrrp_pid());
    Ok(recorded.and_then(|identity| identity.open()).map_or(Found::Nobody, Found::Frozen))
}

/// Whether the loop that sends the advertisements lives.
async fn beats(link: &mut Link) -> bool {
    if link.send(&Request::Ping { seq: 0 }).is_err() {
        return false;
    }
    let pong = async {
        loop {
            match link.next().await {
                Ok(Reply::Pong { .. }) => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    };
    timeout(PATIENCE, pong).await.unwrap_or(false)
}

async fn kill(pidfd: OwnedFd) {
    // Fails only if it has ended.
    let _ = pidfd_send_signal(&pidfd, Signal::KILL);
    if let Ok(pidfd) = watch(pidfd) {
        // One that does not end now will not run again either.
        let _ = timeout(PATIENCE, pidfd.readable()).await;
    }
}

fn report(fencings: &[Fencing]) -> Result<Exit, Failure> {
    let mut text = String::new();
    let mut errors = Vec::new();
    for Fencing { router, interface, removed, released, errors: found } in fencings {
        let told = if *released { ", told the peers" } else { "" };
        match removed.as_slice() {
            [] => text.push_str(&format!("{router}: no address was left on {interface}{told}\n")),
            _ => {
                let removed = list(removed);
                text.push_str(&format!("{router}: removed {removed} from {interface}{told}\n"));
            }
        }
        errors.extend(found.iter().map(|error| format!("{router}: {error}")));
    }
    output::write(text.as_bytes())?;
    if errors.is_empty() {
        Ok(Exit::Ok)
    } else {
        Err(Failure::new(Exit::Failed, errors.join("\n")))
    }
}

fn say(text: &str) -> Result<Exit, Failure> {
    output::write(text.as_bytes())
}

//! The daemon: `mainstay run`.
//!
//! One actor, [`Daemon`], owns all state and handles one thing after another: what the VRRP
//! process says, its death, signals, requests of the API and the tick of the heartbeat. What it
//! decides by is kept pure and apart: [`backoff`], [`drain`], [`eligibility`], [`heartbeat`],
//! [`plan`], [`stop::Decision`].
//!
//! It runs on one thread, so that nothing stands between the death of the VRRP process and the
//! fence but this loop.

mod actor;
mod attach;
mod backoff;
mod drain;
mod draining;
mod eligibility;
mod guard;
mod health;
mod heartbeat;
pub mod lock;
mod plan;
mod privileges;
mod reload;
mod replies;
mod report;
mod signals;
mod stop;
pub mod systemd;
mod units;
mod vrrp;

use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::setpriority_process;
use tokio::net::UnixListener;
use tokio::sync::mpsc;

use actor::Daemon;
pub use actor::{Command, Reloaded};
pub use drain::{DrainRequest, Mark, Step, Steps, UndrainRequest};
pub use draining::DrainError;
pub use lock::{Lock, LockError};
pub use plan::{Plan, Shown, spec, travels};
pub use reload::ReloadError;

use crate::config::{self, NodeName};
use crate::events::{Entry, Log, boot_id};
use crate::exit::{Exit, Failure};
use crate::runtime_dir::RuntimeDir;
use crate::timestamp::Timestamp;
use crate::{api, cli, metrics};

/// What the daemon is asked to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// The configuration file.
    pub config: PathBuf,
    /// Which node this is.
    pub node: NodeName,
    /// Where its sockets are.
    pub runtime_dir: RuntimeDir,
    /// What it remembers across reboots.
    pub state_dir: PathBuf,
}

/// How many requests of the API may wait.
const MAX_COMMANDS: usize = 64;
/// How long the exit waits for what is written to disk.
const EXIT_PATIENCE: Duration = Duration::from_secs(1);
/// The guard has to come first when the VRRP process dies on a busy node.
const NICENESS: i32 = -10;

/// Runs the daemon until it is told to stop.
///
/// # Errors
/// If the configuration is wrong, a capability is missing, or another daemon runs already.
pub fn run(options: Options) -> Result<Exit, Failure> {
    let config = config::load(&options.config).map_err(Failure::usage)?;
    let plan = Plan::of(&config, &options.node, &options.state_dir).map_err(Failure::usage)?;
    privileges::check().map_err(Failure::usage)?;
    make_directory(options.runtime_dir.path(), 0o755)?;
    options.runtime_dir.check().map_err(Failure::usage)?;
    make_directory(&options.state_dir, 0o700)?;
    let _lock = acquire(&options.runtime_dir.lock())?;
    // A nicety: without it the guard is only slower on a busy node.
    let _ = setpriority_process(None, NICENESS);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    let exit = runtime.block_on(serve(options, plan));
    // A disk that hangs keeps nobody from leaving.
    runtime.shutdown_timeout(EXIT_PATIENCE);
    Ok(exit?)
}

async fn serve(options: Options, plan: Plan) -> anyhow::Result<Exit> {
    let (commands, requests) = mpsc::channel(MAX_COMMANDS);
    let log = Log::open(&options.state_dir, Timestamp::now()).context("cannot start")?;
    let boot = boot_id();
    log.push(Entry::started(cli::VERSION, std::process::id(), &boot, &log.after(0)));
    let api_socket = options.runtime_dir.api_socket();
    let listener = listen(&api_socket)
        .with_context(|| format!("cannot listen on {}", api_socket.display()))?;
    let mut metrics = metrics::Server::new(commands.clone());
    metrics.listen(plan.metrics);
    tokio::spawn(api::serve(listener, commands.clone(), log.clone()));
    tracing::info!(
        node = %options.node,
        role = %plan.role,
        config = %options.config.display(),
        "mainstay {} starts",
        cli::VERSION
    );
    let channel = (commands, requests);
    let exit = Daemon::start(options, plan, log.clone(), channel, metrics).await?.run().await;
    log.finish();
    remove(&api_socket);
    exit
}

fn make_directory(path: &Path, mode: u32) -> anyhow::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .with_context(|| format!("cannot make the directory {}", path.display()))
}

fn acquire(path: &Path) -> Result<Lock, Failure> {
    let start = Instant::now();
    loop {
        match Lock::acquire(path, lock::Role::Daemon) {
            Ok(lock) => return Ok(lock),
            Err(LockError::Held(holder))
                if holder.role == lock::Role::Fence && start.elapsed() < lock::PATIENCE =>
            {
                std::thread::sleep(lock::RETRY);
            }
            Err(error) => return Err(Failure::new(Exit::Failed, error.to_string())),
        }
    }
}

/// Listens for the API: for this user and group alone; who connects is asked who they are.
fn listen(path: &Path) -> io::Result<UnixListener> {
    remove(path);
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
    Ok(listener)
}

/// Removes a file that need not be there.
fn remove(path: &Path) {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!("cannot remove {}: {error}", path.display());
        }
        _ => {}
    }
}

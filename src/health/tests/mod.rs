//! Checks against real servers on loopback, real programs and real interfaces.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod authority;
mod local;
mod names;
mod owner;
mod server;
mod victim;
mod web;
mod whole;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::probe::Prober;
use super::sample::Sample;
use crate::config::{self, Check};

/// Longer than anything takes that happens at all.
const PATIENCE: Duration = Duration::from_secs(20);

/// The checks that the text of a configuration says.
fn checks(sections: &str) -> Vec<Check> {
    let text = format!(
        "[cluster]\nname = \"c\"\n[[node]]\nname = \"m1\"\nrole = \"master\"\n\
         addresses = [\"10.0.0.11\"]\n{sections}"
    );
    config::parse(&text, "f.toml").unwrap_or_else(|error| panic!("{error}")).checks
}

/// The check that these keys say.
fn check(keys: &str) -> Check {
    checks(&format!("[[check]]\nname = \"c\"\n{keys}\n")).remove(0)
}

fn prober(keys: &str) -> Prober {
    Prober::new(&check(keys))
}

/// What one probe of this check finds.
async fn probe(keys: &str) -> Sample {
    let check = check(keys);
    Prober::new(&check).probe(check.timeout).await
}

/// A directory of a test's own.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("mainstay-health-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// Writes a file in one step, as who renews certificates should.
    fn write(&self, name: &str, content: &str) -> PathBuf {
        let (path, new) = (self.0.join(name), self.0.join("new"));
        std::fs::write(&new, content).unwrap();
        std::fs::rename(new, &path).unwrap();
        path
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs a test on a thread in a network namespace of its own, in which only loopback is up.
fn in_namespace<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    use nix::sched::{CloneFlags, unshare};
    let thread = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).unwrap();
        run("mount --make-rprivate /");
        run("ip link set lo up");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test());
        runtime.shutdown_background();
    });
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

/// Runs a command of words without quotes.
fn run(command: &str) {
    let mut words = command.split_whitespace();
    let status = std::process::Command::new(words.next().unwrap()).args(words).status().unwrap();
    assert!(status.success(), "{command}: {status}");
}

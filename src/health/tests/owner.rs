//! The process that serves, and its end.

use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, TcpStream};

use nix::sys::signal::Signal;
use rustix::fs::OFlags;
use rustix::process::{PidfdFlags, getpid, pidfd_open};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use tokio::time::timeout;

use super::server::{Server, ok};
use super::victim::Victim;
use super::*;
use crate::health::sample::Outcome;

/// Whether the kernel tells of the end of threads: since 6.9. Says so if not.
fn threads_are_told() -> bool {
    let told = pidfd_open(getpid(), PidfdFlags::from_bits_retain(OFlags::EXCL.bits())).is_ok();
    if !told {
        eprintln!("skipped: this kernel has no descriptors of threads");
    }
    told
}

fn http(port: u16) -> Prober {
    prober(&format!("http = \"http://127.0.0.1:{port}/\""))
}

/// Probes, all of which pass, until that process is watched.
async fn until_watched(prober: &mut Prober, process: Option<i32>) {
    let waits = timeout(PATIENCE, async {
        loop {
            let sample = prober.probe(PATIENCE).await;
            assert_eq!(sample.outcome, Outcome::Pass, "{sample:?}");
            // Meanwhile it looks.
            let _ = timeout(Duration::from_millis(20), prober.alarm()).await;
            if prober.watched() == process {
                return;
            }
        }
    });
    assert!(waits.await.is_ok(), "{:?} is watched", prober.watched());
}

#[tokio::test]
async fn the_process_that_serves_is_watched() {
    if !threads_are_told() {
        return;
    }
    let directory = Directory::new();
    let victim = Victim::large(&directory, 0);
    let tcp = prober(&format!("tcp = \"127.0.0.1:{}\"", victim.port));
    for mut prober in [http(victim.port), tcp] {
        until_watched(&mut prober, Some(victim.pid())).await;
    }
}

#[tokio::test]
async fn a_server_in_this_process_is_not_watched() {
    let server = Server::start(None, ok()).await;
    let mut prober = http(server.port);
    for _ in 0..3 {
        assert_eq!(prober.probe(PATIENCE).await.outcome, Outcome::Pass);
        assert!(timeout(Duration::from_millis(50), prober.alarm()).await.is_err());
        assert_eq!(prober.watched(), None);
    }
}

#[tokio::test]
async fn threads_that_end_while_the_process_lives_are_no_death() {
    if !threads_are_told() {
        return;
    }
    let directory = Directory::new();
    let mut victim = Victim::large(&directory, 0);
    let mut prober = http(victim.port);
    until_watched(&mut prober, Some(victim.pid())).await;
    for _ in 0..3 {
        victim.end_a_thread();
        assert!(timeout(Duration::from_millis(100), prober.alarm()).await.is_err());
        assert_eq!(prober.watched(), Some(victim.pid()));
    }
    // All that were watched beside: the next connection finds what is left.
    until_watched(&mut prober, Some(victim.pid())).await;
}

#[tokio::test]
async fn a_large_process_that_is_killed_is_dead_before_its_sockets_are_closed() {
    if !threads_are_told() {
        return;
    }
    let directory = Directory::new();
    let mut found = Vec::new();
    // On a busy machine this test itself may be late.
    for _ in 0..8 {
        let victim = Victim::large(&directory, 256);
        let mut prober = http(victim.port);
        until_watched(&mut prober, Some(victim.pid())).await;
        let mut witness = TcpStream::connect((Ipv4Addr::LOCALHOST, victim.port)).unwrap();
        witness.set_nonblocking(true).unwrap();
        victim.signal(Signal::SIGKILL);
        timeout(PATIENCE, prober.alarm()).await.unwrap();
        let end = witness.read(&mut [0]).map_err(|error| error.kind());
        let sample = prober.probe(PATIENCE).await;
        let dead = format!("the server's process {} (", victim.pid());
        if end == Err(ErrorKind::WouldBlock) && sample.outcome == Outcome::Refused {
            assert!(sample.words.starts_with(&dead), "{sample:?}");
            assert!(sample.words.ends_with(") has died"), "{sample:?}");
            // Told once.
            assert!(timeout(Duration::from_millis(20), prober.alarm()).await.is_err());
            return;
        }
        found.push((end, sample));
    }
    panic!("{found:?}");
}

/// A cgroup of a test's own.
struct Cgroup(PathBuf);

impl Cgroup {
    /// `None` where there are none of version 2.
    fn new() -> Option<Self> {
        let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let line = table.lines().find(|it| it.contains(" - cgroup2 "))?;
        let mount = Path::new(line.split(' ').nth(4)?);
        let path = mount.join(format!("mainstay-health-{}", std::process::id()));
        std::fs::create_dir(&path).ok()?;
        Some(Self(path))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// What the unit file allows.
const OF_THE_UNIT: CapabilitySet = CapabilitySet::NET_ADMIN
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::SYS_NICE)
    .union(CapabilitySet::IPC_LOCK)
    .union(CapabilitySet::SYS_RESOURCE)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::KILL);

#[test]
fn with_the_capabilities_of_the_unit_it_is_who_is_alone_in_its_cgroup() {
    let Some(cgroup) = Cgroup::new().filter(|_| threads_are_told()) else {
        eprintln!("skipped: no cgroup of version 2 can be made");
        return;
    };
    let path = cgroup.0.clone();
    // Only this thread, and those that it starts. It could not remove the cgroup.
    let thread = std::thread::spawn(move || {
        let all = capabilities(None).unwrap().permitted;
        let few = all.intersection(OF_THE_UNIT);
        let inheritable = CapabilitySet::empty();
        set_capabilities(None, CapabilitySets { effective: few, permitted: few, inheritable })
            .unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(in_cgroup(&path));
    });
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

async fn in_cgroup(cgroup: &Path) {
    let directory = Directory::new();
    let victim = Victim::in_cgroup(cgroup, &directory);
    let mut prober = http(victim.port);
    until_watched(&mut prober, Some(victim.pid())).await;
    // With a second one there it could be either.
    let mut second = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    std::fs::write(cgroup.join("cgroup.procs"), second.id().to_string()).unwrap();
    until_watched(&mut prober, None).await;
    second.kill().unwrap();
    second.wait().unwrap();
}

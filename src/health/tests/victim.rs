//! A server in a process of its own, to be killed or stopped: this test binary again, in which one
//! "test" serves for as long as it lives.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio_rustls::rustls::ServerConfig;

use super::authority::{Authority, Certified};
use super::server::{Server, ok};
use super::*;

const SERVE: &str = "MAINSTAY_TEST_SERVE";
/// So many megabytes it uses.
const MEMORY: &str = "MAINSTAY_TEST_MEMORY";
/// So many threads it has beside; each ends when it can read a byte.
const THREADS: &str = "MAINSTAY_TEST_THREADS";
const READY: &str = "serving on port ";

/// The server's part. An ordinary run has nothing to serve.
#[tokio::test]
async fn serve() {
    let Some(directory) = std::env::var_os(SERVE).map(PathBuf::from) else { return };
    let read = |name: &str| std::fs::read_to_string(directory.join(name)).ok();
    let server = match read("cert").zip(read("key")) {
        Some((cert, key)) => Server::start(Some(secure(&Certified { cert, key })), ok()).await,
        None => Server::start(None, ok()).await,
    };
    let count = |name| std::env::var(name).map_or(0, |it| it.parse::<usize>().unwrap());
    let memory = vec![1_u8; count(MEMORY) << 20];
    for _ in 0..count(THREADS) {
        std::thread::spawn(|| std::io::stdin().read_exact(&mut [0]));
    }
    println!("{READY}{}", server.port);
    std::future::pending::<()>().await;
    drop(memory);
}

fn secure(certified: &Certified) -> Arc<ServerConfig> {
    // Any authority: clients are not asked who they are.
    Authority::new().server(certified, false)
}

/// The other process.
pub struct Victim {
    child: Child,
    pub port: u16,
}

impl Victim {
    /// Over TLS if the directory has `cert` and `key`.
    pub fn start(directory: &Directory) -> Self {
        Self::spawn(Command::new(std::env::current_exe().unwrap()), directory)
    }

    /// One with many threads.
    pub fn large(directory: &Directory, megabytes: usize) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env(MEMORY, megabytes.to_string()).env(THREADS, "4");
        Self::spawn(command, directory)
    }

    /// One with many threads, in this cgroup.
    pub fn in_cgroup(cgroup: &Path, directory: &Directory) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ >\"$0/cgroup.procs\" && exec \"$@\""]).arg(cgroup);
        command.arg(std::env::current_exe().unwrap()).env(THREADS, "4");
        Self::spawn(command, directory)
    }

    fn spawn(mut command: Command, directory: &Directory) -> Self {
        let mut child = command
            .args(["health::tests::victim::serve", "--exact", "--nocapture"])
            .env(SERVE, directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.find_map(|line| Some(line.ok()?.split_once(READY)?.1.parse().unwrap()));
        Self { child, port: port.unwrap() }
    }

    pub fn pid(&self) -> i32 {
        self.child.id().try_into().unwrap()
    }

    pub fn end_a_thread(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"x").unwrap();
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

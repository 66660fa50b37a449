//! A server in a process of its own, to be killed or stopped: this test binary again, in which one
//! "test" serves for as long as it lives.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio_rustls::rustls::ServerConfig;

use super::authority::{Authority, Certified};
use super::server::{Server, ok};
use super::*;

const SERVE: &str = "MAINSTAY_TEST_SERVE";
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
    println!("{READY}{}", server.port);
    std::future::pending::<()>().await;
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
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["health::tests::victim::serve", "--exact", "--nocapture"])
            .env(SERVE, directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.find_map(|line| Some(line.ok()?.split_once(READY)?.1.parse().unwrap()));
        Self { child, port: port.unwrap() }
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

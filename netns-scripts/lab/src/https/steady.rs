//! A client that opens a connection for each request, at a steady pace.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{Call, HttpsLog, Outcome, Request, get};
use crate::{API_PORT, Family, Lab, LabError, Stamp, sleep_until, within};

/// A real apiserver answers it to everybody.
const QUESTION: &str = "/version";
/// A real client waits longer; a SYN that was lost is sent again after one second.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Asks the VIP by HTTPS, until it is stopped.
#[derive(Debug)]
pub struct Https {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<HttpsLog>,
}

impl Https {
    /// Asks the VIP of `family` from the client's namespace each `period`, for `bound` at most.
    ///
    /// # Errors
    /// If the namespace or the certificates are not there.
    pub fn start(
        lab: &Lab,
        family: Family,
        period: Duration,
        bound: Duration,
    ) -> Result<Self, LabError> {
        let config = lab.pki()?.client().map_err(LabError::instrument("reading certificates"))?;
        let call = Call::new(SocketAddr::from((family.vip(), API_PORT)), config, TIMEOUT);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        // Its threads stay in the namespace where it begins.
        let begin = || thread::Builder::new().spawn(move || run(&call, period, bound, &stopped));
        let thread = within(&lab.namespace("client"), begin)?
            .map_err(LabError::instrument("starting a client"))?;
        Ok(Self { stop, thread })
    }

    /// Ends it, after the last answers.
    ///
    /// # Errors
    /// If its thread panicked.
    pub fn stop(self) -> Result<HttpsLog, LabError> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| LabError::Invalid("the client's thread panicked".into()))
    }
}

fn run(call: &Call, period: Duration, bound: Duration, stop: &AtomicBool) -> HttpsLog {
    let (sender, requests) = mpsc::channel();
    let start = Stamp::now();
    let mut due = start;
    while due < start + bound && !stop.load(Ordering::Relaxed) {
        sleep_until(due);
        let (call, sender) = (call.clone(), sender.clone());
        // A thread of its own: one that hangs delays no other.
        let begun: io::Result<_> = thread::Builder::new().stack_size(128 << 10).spawn(move || {
            let sent = Stamp::now();
            let outcome = outcome(get(&call, QUESTION));
            // Nobody waits any more.
            let _ = sender.send(Request { sent, done: Stamp::now(), outcome });
        });
        if let Err(error) = begun {
            eprintln!("a request could not be made: {error}");
        }
        due = due + period;
    }
    drop(sender);
    HttpsLog::new(requests.into_iter().collect())
}

fn outcome(result: Result<(u16, String), String>) -> Outcome {
    match result {
        // A real one does not tell its name.
        Ok((200, body)) => Outcome::Answered(body.parse().ok()),
        Ok((code, _)) => Outcome::Failed(format!("status {code}")),
        Err(error) => Outcome::Failed(error),
    }
}

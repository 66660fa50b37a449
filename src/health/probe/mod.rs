//! How to look at what a check is about: one module for each kind.
//!
//! A probe never waits for longer than its timeout, holds this thread up for no time worth
//! mentioning, and says what it found in words. What may hang in the kernel or in libc (files, name
//! resolution, the start of a program) runs on threads of its own, one at a time for each check.

#![allow(clippy::result_large_err, reason = "what went well is as large, and rare")]

mod connect;
mod etcd;
mod exec;
mod held;
mod http;
mod interface;
mod owner;
mod process;
mod tcp;
mod tls;

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::sample::Sample;
use super::stall;
use super::status::{Latency, micros};
use crate::config::{Check, Probe};

/// What a check looks at, and what is kept open to hear of its end.
pub enum Prober {
    Web(Box<http::Web>),
    Tcp(Box<tcp::Tcp>),
    Exec(Box<exec::Exec>),
    Interface(interface::Interface),
    Process(process::Process),
    Etcd(Box<etcd::Etcd>),
}

/// How far a probe has come; what is said about it when its time is up.
#[derive(Debug)]
pub struct Progress {
    started: Instant,
    stage: &'static str,
    latency: Latency,
}

impl Progress {
    fn new() -> Self {
        Self { started: Instant::now(), stage: "it did not start", latency: Latency::default() }
    }

    /// A stage starts: what is to be said if it does not end.
    fn enter(&mut self, stage: &'static str) -> Instant {
        self.stage = stage;
        Instant::now()
    }
}

impl Prober {
    pub fn new(check: &Check) -> Self {
        match &check.probe {
            Probe::Https(url, tls) => Self::Web(Box::new(http::Web::new(url, Some(tls)))),
            Probe::Http(url) => Self::Web(Box::new(http::Web::new(url, None))),
            Probe::Tcp(endpoint) => Self::Tcp(Box::new(tcp::Tcp::new(endpoint))),
            Probe::Exec(command) => Self::Exec(Box::new(exec::Exec::new(&check.name, command))),
            Probe::Interface(name) => Self::Interface(interface::Interface::new(name)),
            Probe::Process(name) => Self::Process(process::Process::new(name)),
            Probe::Etcd(member) => Self::Etcd(Box::new(etcd::Etcd::new(member))),
        }
    }

    /// Looks once. What it had begun may be dropped at any time.
    pub async fn probe(&mut self, limit: Duration) -> Sample {
        let mut progress = Progress::new();
        let (outcome, stalled) =
            stall::watch(timeout(limit, self.attempt(&mut progress, limit))).await;
        let sample = match outcome {
            Ok(Ok(sample) | Err(sample)) => sample,
            Err(_) => {
                self.give_up();
                Sample::timeout(format!("no answer within {limit:?}: {}", progress.stage))
            }
        };
        let total_us = micros(progress.started.elapsed());
        Sample { latency: Latency { total_us, ..progress.latency }, stalled, ..sample }
    }

    /// `Err` for what ends the probe early; both are samples.
    async fn attempt(
        &mut self,
        progress: &mut Progress,
        limit: Duration,
    ) -> Result<Sample, Sample> {
        match self {
            Self::Web(web) => web.attempt(progress, limit).await,
            Self::Tcp(tcp) => tcp.attempt(progress, limit).await,
            Self::Exec(exec) => exec.attempt(progress).await,
            Self::Interface(interface) => interface.attempt(progress).await,
            Self::Process(process) => process.attempt(progress).await,
            Self::Etcd(etcd) => etcd.attempt(progress).await,
        }
    }

    fn give_up(&self) {
        if let Self::Exec(exec) = self {
            exec.give_up();
        }
    }

    /// Which process is watched as the one that serves.
    #[cfg(test)]
    pub fn watched(&self) -> Option<i32> {
        match self {
            Self::Web(web) => web.watched(),
            Self::Tcp(tcp) => tcp.watched(),
            _ => None,
        }
    }

    /// Waits until something happens to what the check looks at; for ever where nothing tells.
    /// Nothing is lost if the wait is given up.
    pub async fn alarm(&mut self) {
        match self {
            Self::Web(web) => web.alarm().await,
            Self::Tcp(tcp) => tcp.alarm().await,
            // Of a member that ends its unit tells.
            Self::Exec(_) | Self::Etcd(_) => std::future::pending().await,
            Self::Interface(interface) => interface.alarm().await,
            Self::Process(process) => process.alarm().await,
        }
    }
}

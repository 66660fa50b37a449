//! The VRRP process as the daemon holds it.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use vrrp::proto::{Reply, Request};

use super::heartbeat::{self, Heartbeat};
use crate::events::Entry;
use crate::vrrp_process::{End, Link, LinkError, VrrpProcess};

/// An answer that takes longer than this is not as usual.
pub const OVERDUE: Duration = heartbeat::INTERVAL.saturating_mul(2);

/// Whether a VRRP process runs.
#[derive(Debug)]
pub enum Vrrp {
    /// None is needed.
    Idle,
    /// One runs, or has just died.
    Running(Box<Running>),
    /// One died and is to be started again.
    Waiting {
        /// When.
        until: Instant,
        /// How the last one ended.
        why: String,
    },
}

/// A VRRP process that runs.
#[derive(Debug)]
pub struct Running {
    /// The process.
    pub process: VrrpProcess,
    /// The connection; `None` while it is lost.
    pub link: Option<Link>,
    /// The version of its program, once it has said so.
    pub build: Option<String>,
    /// How far the conversation is.
    pub stage: Stage,
    /// Since when it has been in this stage.
    pub since: Instant,
    /// Whether it still answers.
    pub heartbeat: Heartbeat,
    /// When it was started or taken over.
    pub started: Instant,
    /// When it was killed, if it was.
    pub killed: Option<Instant>,
    /// Whether it said that all addresses are withdrawn and all peers told.
    pub said_bye: bool,
    /// What was done when its connection ended, to be told with how it ended.
    pub fenced: Vec<Entry>,
}

/// How far the conversation with a VRRP process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It has not said who it is.
    Greeting,
    /// It has the configuration and has not confirmed it.
    Configuring,
    /// It has the configuration in force.
    Serving,
    /// It speaks another version: it is left alone, and only its death is acted on.
    Foreign,
}

/// Something that a VRRP process, or the want of one, leads to.
#[derive(Debug)]
pub enum Happening {
    /// It has ended.
    Ended(End),
    /// It says something.
    Says(Box<Reply>),
    /// The connection is lost.
    LinkLost(LinkError),
    /// It is time to start one.
    Due,
}

impl Vrrp {
    /// What happens next. Loses nothing when it is cancelled.
    pub async fn next(&mut self) -> Happening {
        match self {
            Self::Idle => std::future::pending().await,
            Self::Waiting { until, .. } => {
                sleep_until(*until).await;
                Happening::Due
            }
            Self::Running(running) => running.next().await,
        }
    }

    /// The process, if one runs.
    pub fn running(&mut self) -> Option<&mut Running> {
        match self {
            Self::Running(running) => Some(running),
            Self::Idle | Self::Waiting { .. } => None,
        }
    }

    /// Whether a process runs that takes requests of this version.
    pub fn is_attached(&self) -> bool {
        match self {
            Self::Running(running) => running.link.is_some() && running.is_talking(),
            Self::Idle | Self::Waiting { .. } => false,
        }
    }

    /// Sends a request if there is somebody to send it to.
    pub fn send(&mut self, request: &Request) {
        if let Self::Running(running) = self {
            running.send(request);
        }
    }
}

impl Running {
    /// A process in its first stage.
    pub fn new(process: VrrpProcess, link: Option<Link>, heartbeat: Heartbeat) -> Self {
        let now = Instant::now();
        Self {
            process,
            link,
            build: None,
            stage: Stage::Greeting,
            since: now,
            heartbeat,
            started: now,
            killed: None,
            said_bye: false,
            fenced: Vec::new(),
        }
    }

    /// Goes to another stage.
    pub fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        self.since = Instant::now();
    }

    /// Sends a request. Of a connection that is broken, [`Running::next`] tells: what came before
    /// can still be read.
    pub fn send(&mut self, request: &Request) {
        if let Some(link) = &mut self.link
            && let Err(error) = link.send(request)
        {
            tracing::debug!("{error}");
        }
    }

    /// What it has said and nobody has read.
    pub fn drain(&mut self) -> Vec<Reply> {
        self.link.as_mut().map(Link::drain).unwrap_or_default()
    }

    /// How long it has been silent, as far as this daemon can tell.
    pub fn silence(&self, now: Instant) -> Duration {
        match self.stage {
            Stage::Greeting => now.saturating_duration_since(self.since),
            Stage::Configuring | Stage::Serving => self.heartbeat.silence(now),
            Stage::Foreign => Duration::ZERO,
        }
    }

    /// How long it has owed an answer, if that is longer than it ever takes.
    pub fn overdue(&self, now: Instant) -> Option<Duration> {
        let silence = self.silence(now);
        (self.is_talking() && silence >= OVERDUE).then_some(silence)
    }

    fn is_talking(&self) -> bool {
        matches!(self.stage, Stage::Configuring | Stage::Serving)
    }

    async fn next(&mut self) -> Happening {
        let Self { process, link, .. } = self;
        let says = async {
            match link {
                Some(link) => link.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // A flood of messages must not hide its death.
            biased;
            end = process.ended() => Happening::Ended(end),
            said = says => match said {
                Ok(reply) => Happening::Says(Box::new(reply)),
                Err(error) => Happening::LinkLost(error),
            },
        }
    }
}

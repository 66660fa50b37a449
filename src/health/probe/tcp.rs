//! A port that accepts connections.

use std::time::Duration;

use tokio::io::AsyncReadExt;

use super::Progress;
use super::connect::Connector;
use super::held::{Held, Task};
use super::owner::Ends;
use crate::config::Endpoint;
use crate::health::sample::Sample;

/// Whoever talks without being asked is listened to for so many bytes.
const MAX_TALK: usize = 64 * 1024;

pub struct Tcp {
    connector: Connector,
    held: Held<()>,
}

impl Tcp {
    pub fn new(endpoint: &Endpoint) -> Self {
        Self { connector: Connector::new(endpoint), held: Held::default() }
    }

    pub async fn attempt(
        &mut self,
        progress: &mut Progress,
        limit: Duration,
    ) -> Result<Sample, Sample> {
        let connected = tokio::select! {
            biased;
            words = self.held.death() => return Err(Sample::refused(words)),
            connected = self.connector.connect(progress, limit) => connected?,
        };
        let mut stream = connected.stream;
        let ends = Ends::of(&stream);
        let end = async move {
            let mut bytes = [0; 1024];
            let mut heard = 0;
            while let Ok(length @ 1..) = stream.read(&mut bytes).await {
                heard += length;
                if heard > MAX_TALK {
                    // Not its end, and nothing to go on listening to.
                    drop(stream);
                    return std::future::pending().await;
                }
            }
        };
        self.held.hold(ends, Task::spawn(end), ());
        Ok(Sample { warning: connected.warning, ..Sample::pass("it accepts connections") })
    }

    pub async fn alarm(&mut self) {
        self.held.end().await;
    }

    #[cfg(test)]
    pub fn watched(&self) -> Option<i32> {
        self.held.watched()
    }
}

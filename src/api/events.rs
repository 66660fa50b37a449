//! `GET /v1/events`: one JSON document per line, and more as they happen if asked to follow.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::response::Response;
use http_body_util::channel::{Channel, Sender};
use serde::Deserialize;
use tokio::time::timeout;

use super::Shared;
use super::ndjson::{self, answer};
use crate::events::{Filter, Log, Record};

/// An empty line this often tells whether the follower is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// How many writes may wait for a slow follower.
const MAX_WAITING: usize = 16;

/// How far they go.
#[derive(Debug, Deserialize)]
pub struct Extent {
    /// Those that are to come, too.
    #[serde(default)]
    follow: bool,
}

/// Answers with the events.
pub async fn events(
    State(shared): State<Shared>,
    Query(filter): Query<Filter>,
    Query(extent): Query<Extent>,
) -> Response {
    let body = if extent.follow {
        let (sender, body) = Channel::<Bytes, Infallible>::new(MAX_WAITING);
        tokio::spawn(follow(shared.log, filter, sender));
        Body::new(body)
    } else {
        Body::from(lines(&shared.log.after(filter.after), &filter))
    };
    answer(body)
}

async fn follow(log: Log, filter: Filter, mut sender: Sender<Bytes>) {
    let mut newest = log.subscribe();
    let mut after = filter.after;
    loop {
        newest.mark_unchanged();
        let records = log.after(after);
        if let Some(last) = records.last() {
            after = last.seq;
            let lines = lines(&records, &filter);
            if !lines.is_empty() && sender.send_data(lines).await.is_err() {
                return;
            }
        }
        let is_silent = match timeout(KEEP_ALIVE, newest.changed()).await {
            Ok(Ok(())) => false,
            Ok(Err(_)) => return,
            Err(_) => true,
        };
        if is_silent && sender.send_data(Bytes::from_static(b"\n")).await.is_err() {
            return;
        }
    }
}

fn lines(records: &[Record], filter: &Filter) -> Bytes {
    let admitted: Vec<&Record> = records.iter().filter(|it| filter.admits(it)).collect();
    ndjson::lines(&admitted)
}

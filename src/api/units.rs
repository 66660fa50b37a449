//! `POST /v1/operations`, `GET /v1/units` and `GET /v1/units/{unit}/logs`: what runs beneath the
//! virtual IPs.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use http_body_util::channel::{Channel, Sender};
use serde::Deserialize;
use tokio::sync::mpsc::{Receiver, UnboundedReceiver};
use tokio::time::timeout;

use super::{Shared, ask, ndjson, refuse, stopping};
use crate::daemon::Command;
use crate::units::{Operation, Progress, Step, Units};

/// How many writes may wait for a slow client.
const MAX_WAITING: usize = 16;
/// A line without words this often tells that there is somebody.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// No more lines of a log are shown than this, not counting those to come.
const MAX_LINES: u32 = 100_000;

/// Does what is asked for, one line for each step. It goes on if whoever asked has gone.
pub async fn operate(State(shared): State<Shared>, Json(operation): Json<Operation>) -> Response {
    match units(&shared).await {
        Ok(units) => {
            let (progress, steps) = Progress::new();
            units.perform(operation, progress);
            let (sender, body) = Channel::<Bytes, Infallible>::new(MAX_WAITING);
            tokio::spawn(tell(steps, sender));
            ndjson::answer(Body::new(body))
        }
        Err(refusal) => *refusal,
    }
}

/// All units with their states.
pub async fn list(State(shared): State<Shared>) -> Response {
    match units(&shared).await {
        Ok(units) => Json(units.statuses()).into_response(),
        Err(refusal) => *refusal,
    }
}

/// What of a log.
#[derive(Debug, Deserialize)]
pub struct Extent {
    /// How many of the last lines.
    #[serde(default)]
    lines: u32,
    /// Those that are to come, too.
    #[serde(default)]
    follow: bool,
}

/// What a unit has written, as plain text.
pub async fn logs(
    State(shared): State<Shared>,
    Path(unit): Path<String>,
    Query(extent): Query<Extent>,
) -> Response {
    let units = match units(&shared).await {
        Ok(units) => units,
        Err(refusal) => return *refusal,
    };
    let lines = extent.lines.min(MAX_LINES);
    match units.logs(&unit, lines, extent.follow).await {
        Ok(lines) => {
            let (sender, body) = Channel::<Bytes, Infallible>::new(MAX_WAITING);
            tokio::spawn(pass_on(lines, sender));
            Body::new(body).into_response()
        }
        Err(error) => refuse(StatusCode::UNPROCESSABLE_ENTITY, error),
    }
}

/// The units of this node, or the answer that there are none.
async fn units(shared: &Shared) -> Result<Units, Box<Response>> {
    match ask(shared, Command::Units).await {
        Some(Ok(units)) => Ok(units),
        Some(Err(error)) => Err(Box::new(refuse(StatusCode::UNPROCESSABLE_ENTITY, error))),
        None => Err(Box::new(stopping())),
    }
}

async fn tell(mut steps: UnboundedReceiver<Step>, mut sender: Sender<Bytes>) {
    loop {
        let step = match timeout(KEEP_ALIVE, steps.recv()).await {
            Ok(Some(step)) => step,
            Ok(None) => return,
            Err(_) => Step::silence(),
        };
        if sender.send_data(ndjson::lines(&[step])).await.is_err() {
            return;
        }
    }
}

async fn pass_on(mut lines: Receiver<Bytes>, mut sender: Sender<Bytes>) {
    while let Some(line) = lines.recv().await {
        if sender.send_data(line).await.is_err() {
            return;
        }
    }
}

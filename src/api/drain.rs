//! `POST /v1/drain` and `POST /v1/undrain`: one line for each step, until there is no more to tell.

use std::convert::Infallible;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::response::Response;
use http_body_util::channel::{Channel, Sender};

use super::peer::Peer;
use super::{Shared, ask, ndjson, refuse, stopping};
use crate::daemon::{Command, DrainError, DrainRequest, Steps, UndrainRequest};

/// How many steps may wait for a slow client.
const MAX_WAITING: usize = 16;

/// Drains virtual routers; without a body all of them.
pub async fn drain(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Option<Json<DrainRequest>>,
) -> Response {
    let mut request = request.map(|Json(request)| request).unwrap_or_default();
    request.by.get_or_insert(peer.name());
    answer(ask(&shared, |reply| Command::Drain(request, reply)).await)
}

/// Lets virtual routers take part again; without a body all of them.
pub async fn undrain(
    State(shared): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Option<Json<UndrainRequest>>,
) -> Response {
    let mut request = request.map(|Json(request)| request).unwrap_or_default();
    request.by.get_or_insert(peer.name());
    answer(ask(&shared, |reply| Command::Undrain(request, reply)).await)
}

fn answer(steps: Option<Result<Steps, DrainError>>) -> Response {
    match steps {
        Some(Ok(steps)) => {
            let (sender, body) = Channel::<Bytes, Infallible>::new(MAX_WAITING);
            tokio::spawn(tell(steps, sender));
            ndjson::answer(Body::new(body))
        }
        Some(Err(error)) => {
            let status = match error {
                DrainError::Unknown { .. } | DrainError::Nothing => {
                    StatusCode::UNPROCESSABLE_ENTITY
                }
                DrainError::Foreign => StatusCode::CONFLICT,
                DrainError::Stopping => StatusCode::SERVICE_UNAVAILABLE,
            };
            refuse(status, error.to_string())
        }
        None => stopping(),
    }
}

async fn tell(mut steps: Steps, mut sender: Sender<Bytes>) {
    while let Some(step) = steps.recv().await {
        if sender.send_data(ndjson::lines(&[step])).await.is_err() {
            return;
        }
    }
}

//! The API: HTTP on a unix socket, for the command line and for programs on this node.
//!
//! Only root and the daemon's own user may use it, whatever the socket's mode says: see
//! `docs/decisions/0005-api-access.md`.

mod drain;
mod events;
mod explain;
mod ndjson;
mod peer;
mod units;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};

use crate::daemon::{Command, ReloadError};
use crate::events::Log;

/// What a request that did not succeed is answered with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Why, and what to do.
    pub error: String,
}

/// What the handlers share.
#[derive(Clone, Debug)]
struct Shared {
    commands: mpsc::Sender<Command>,
    log: Log,
}

/// Answers requests for ever.
pub async fn serve(listener: UnixListener, commands: mpsc::Sender<Command>, log: Log) {
    let router = Router::new()
        .route("/v1/status", get(status))
        .route("/v1/events", get(events::events))
        .route("/v1/explain", get(explain::explain))
        .route("/v1/reload", post(reload))
        .route("/v1/fence", post(fence))
        .route("/v1/drain", post(drain::drain))
        .route("/v1/undrain", post(drain::undrain))
        .route("/v1/operations", post(units::operate))
        .route("/v1/units", get(units::list))
        .route("/v1/units/{unit}/logs", get(units::logs))
        .layer(middleware::from_fn(peer::authorize))
        .with_state(Shared { commands, log });
    let service = router.into_make_service_with_connect_info::<peer::Peer>();
    if let Err(error) = axum::serve(listener, service).await {
        tracing::error!("the API has stopped: {error}");
    }
}

async fn status(State(shared): State<Shared>) -> Response {
    match ask(&shared, Command::Status).await {
        Some(status) => Json(status).into_response(),
        None => stopping(),
    }
}

async fn reload(State(shared): State<Shared>) -> Response {
    match ask(&shared, Command::Reload).await {
        Some(Ok(reloaded)) => Json(reloaded).into_response(),
        Some(Err(error)) => {
            let status = match error {
                ReloadError::Wrong(_) => StatusCode::UNPROCESSABLE_ENTITY,
                ReloadError::NotInForce(_) => StatusCode::GATEWAY_TIMEOUT,
            };
            refuse(status, error.to_string())
        }
        None => stopping(),
    }
}

async fn fence(State(shared): State<Shared>) -> Response {
    match ask(&shared, Command::Fence).await {
        Some(Ok(fencings)) => Json(fencings).into_response(),
        Some(Err(error)) => refuse(StatusCode::CONFLICT, error),
        None => stopping(),
    }
}

/// The daemon's answer; `None` if it is on its way out.
async fn ask<T>(shared: &Shared, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
    let (reply, answer) = oneshot::channel();
    shared.commands.send(command(reply)).await.ok()?;
    answer.await.ok()
}

fn stopping() -> Response {
    refuse(StatusCode::SERVICE_UNAVAILABLE, "mainstay is stopping".to_owned())
}

fn refuse(status: StatusCode, error: String) -> Response {
    (status, Json(Refusal { error })).into_response()
}

//! `GET /v1/explain`: why the addresses are where they are.

use axum::Json;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use tokio::task::spawn_blocking;

use super::{Shared, ask, refuse, stopping};
use crate::daemon::Command;
use crate::explain::explain as account_for;
use crate::timestamp::Timestamp;

/// Which virtual router.
#[derive(Debug, Deserialize)]
pub struct Wanted {
    /// Its name; all if there is none.
    router: Option<String>,
}

/// Answers with an explanation.
pub async fn explain(State(shared): State<Shared>, Query(wanted): Query<Wanted>) -> Response {
    let Some(setup) = ask(&shared, Command::Setup).await else { return stopping() };
    let Some(mut status) = ask(&shared, Command::Status).await else { return stopping() };
    if let Some(name) = &wanted.router {
        status.virtual_routers.retain(|it| it.name == *name);
        if status.virtual_routers.is_empty() {
            let error = format!("no virtual router is named `{name}`: see `mainstay status`");
            return refuse(StatusCode::NOT_FOUND, error);
        }
    }
    // Thousands of virtual routers take their time, which the daemon's thread does not have.
    let log = shared.log;
    let explained =
        spawn_blocking(move || account_for(&status, &log.history(), &setup, Timestamp::now()));
    match explained.await {
        Ok(explanation) => Json(explanation).into_response(),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

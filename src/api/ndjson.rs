//! Answers of one JSON document per line.

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

const NDJSON: &str = "application/x-ndjson";

/// An answer of lines.
pub fn answer(body: Body) -> Response {
    ([(CONTENT_TYPE, NDJSON)], body).into_response()
}

/// One line for each document.
pub fn lines<T: Serialize>(documents: &[T]) -> Bytes {
    let mut text = String::new();
    for document in documents {
        // They are plain data, which always has a JSON form.
        text.push_str(&serde_json::to_string(document).unwrap_or_default());
        text.push('\n');
    }
    Bytes::from(text)
}

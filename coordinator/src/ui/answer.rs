//! Answers of the API: JSON, or an error with its hint.

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use lakewright_common::error::{Error, Kind};
use serde_json::{Value, json};

/// A JSON document, or the error instead.
pub(super) type Answer = std::result::Result<Json<Value>, Failure>;

/// An error, as an answer of the API.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    error: Error,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = match error.kind {
            Kind::Configuration | Kind::Data => StatusCode::BAD_REQUEST,
            Kind::Storage | Kind::Conflict | Kind::Workers => StatusCode::BAD_GATEWAY,
            Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self { status, error }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Self { status, error } = self;
        (status, Json(json!({ "error": { "message": error.to_string(), "hint": error.hint } }))).into_response()
    }
}

/// Returns the answer for something that does not exist.
pub(super) fn not_found(what: &str, name: &str) -> Failure {
    let error = Error::configuration(format!("{what} `{name}` does not exist"));
    Failure { status: StatusCode::NOT_FOUND, error }
}

/// Returns a text that the browser saves as the file `name`.
pub(super) fn download(name: &str, text: Vec<u8>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    (headers, text).into_response()
}

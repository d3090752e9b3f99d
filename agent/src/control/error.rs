//! How the API says no.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::explain::Busy;
use super::inventory::ChangeError;

/// What a request failed with. Serialises as `{"error": {"code": …, "message": …}}`.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    #[error("{0}")]
    BadRequest(String),
    #[error("this asks for root, or for the user that the daemon runs as")]
    Forbidden,
    #[error("this asks for root, or for a member of the auditors' group: see `weir.toml`")]
    NotForViewers,
    #[error("no identity of this name was ever seen")]
    UnknownIdentity,
    #[error("{0}")]
    Unchanged(ChangeError),
    #[error("there is nothing at this path")]
    NotFound,
    #[error("{0}")]
    Unknown(String),
    #[error(transparent)]
    Busy(#[from] Busy),
    #[error("this path doesn't take this method")]
    MethodNotAllowed,
    #[error("{0}")]
    Ledger(String),
}

/// The body of an answer that says no.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ErrorBody {
    pub(super) error: ErrorDetail,
}

/// What went wrong: a word for programs and a sentence for people.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ErrorDetail {
    pub(super) code: String,
    pub(super) message: String,
}

impl ApiError {
    const fn parts(&self) -> (StatusCode, &'static str) {
        match self {
            Self::BadRequest(_) => (StatusCode::BAD_REQUEST, "bad_request"),
            Self::Forbidden | Self::NotForViewers => (StatusCode::FORBIDDEN, "forbidden"),
            Self::UnknownIdentity => (StatusCode::NOT_FOUND, "unknown_identity"),
            Self::Unchanged(_) => (StatusCode::SERVICE_UNAVAILABLE, "not_written"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            Self::Unknown(_) => (StatusCode::NOT_FOUND, "unknown"),
            Self::Busy(_) => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            Self::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::Ledger(_) => (StatusCode::INTERNAL_SERVER_ERROR, "ledger_failed"),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code) = self.parts();
        let error = ErrorDetail { code: code.to_owned(), message: self.to_string() };
        (status, Json(ErrorBody { error })).into_response()
    }
}

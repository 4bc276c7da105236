//! Answers and errors in JSON.

use axum::{
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::{cache::overrides::OverrideError, inspect::DeskError};

/// Why an operator has no answer.
pub(super) struct Refused(pub(super) StatusCode, pub(super) String);

/// What a route gives.
pub(super) type Answer = Result<Response, Refused>;

impl Refused {
    pub(super) fn malformed(why: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, why.into())
    }
}

impl From<DeskError> for Refused {
    fn from(error: DeskError) -> Self {
        let status = match &error {
            DeskError::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
            DeskError::Unknown => StatusCode::NOT_FOUND,
            DeskError::Ciphertext => StatusCode::CONFLICT,
            DeskError::Override(error) => return (*error).into(),
        };
        Self(status, error.to_string())
    }
}

impl From<OverrideError> for Refused {
    fn from(error: OverrideError) -> Self {
        let status = match error {
            OverrideError::Unknown => StatusCode::NOT_FOUND,
            OverrideError::TooMany | OverrideError::Removed => StatusCode::CONFLICT,
            _ => StatusCode::BAD_REQUEST,
        };
        Self(status, error.to_string())
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        json_answer(self.0, &json!({"error": self.1}))
    }
}

pub(super) fn json_answer(status: StatusCode, value: &Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], format!("{value}\n")).into_response()
}

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

/// An answer that says no, in GitHub's words.
#[derive(Clone, Debug)]
pub(in crate::forge) struct Refusal {
    status: StatusCode,
    message: String,
    errors: Option<Value>,
}

/// What a handler answers.
pub(in crate::forge) type Answered = Result<Response, Refusal>;

impl Refusal {
    fn new(status: StatusCode, message: &str) -> Self {
        Self { status, message: message.to_owned(), errors: None }
    }

    pub(in crate::forge) fn bad_credentials() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Bad credentials")
    }

    pub(super) fn requires_authentication() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Requires authentication")
    }

    pub(in crate::forge) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not Found")
    }

    pub(super) fn branch_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "Branch not found")
    }

    pub(super) fn no_commit(reference: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, &format!("No commit found for the ref {reference}"))
    }

    pub(super) fn not_accessible() -> Self {
        Self::new(StatusCode::FORBIDDEN, "Resource not accessible by personal access token")
    }

    pub(in crate::forge) fn not_json() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Problems parsing JSON")
    }

    /// The body is JSON but not what is wanted.
    pub(in crate::forge) fn invalid_request(what: &str) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, &format!("Invalid request.\n\n{what}"))
    }

    /// A field's value will not do: `code` is GitHub's, as `missing_field` or `invalid`.
    pub(super) fn invalid_field(code: &str, field: &str) -> Self {
        Self::invalid(&json!({ "resource": "PullRequest", "field": field, "code": code }))
    }

    /// The whole will not do, for this reason.
    pub(super) fn custom(message: &str) -> Self {
        Self::invalid(&json!({ "resource": "PullRequest", "code": "custom", "message": message }))
    }

    fn invalid(error: &Value) -> Self {
        let refusal = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Validation Failed");
        Self { errors: Some(json!([error])), ..refusal }
    }
}

impl From<anyhow::Error> for Refusal {
    fn from(error: anyhow::Error) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error:#}"))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut body = json!({
            "message": self.message,
            "documentation_url": "https://docs.github.com/rest",
            "status": self.status.as_str(),
        });
        if let Some(errors) = self.errors {
            body["errors"] = errors;
        }
        (self.status, Json(body)).into_response()
    }
}

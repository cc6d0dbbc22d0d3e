//! Every error is a problem document (RFC 9457) with a stable type.

use std::fmt::Display;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use commands::{CommandError, StoreError};
use domain::{binding, credential, run, session, settings};
use projections::{NotACursor, ViewError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{bundles::BundleError, github::GitHubError};

/// Where the types are explained.
const TYPES: &str = "https://paddock.dev/problems/";

/// Why a request was not done.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// A stable name of the kind of problem.
    #[serde(rename = "type")]
    kind: String,
    /// The kind in words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// This problem in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// What is wrong with single fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    /// Where something is not allowed: what is missing, and who could give it.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<Box<Missing>>,
    #[serde(skip)]
    retry_after: Option<u32>,
    #[serde(skip)]
    refused: bool,
}

/// What would be needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Missing {
    /// What was asked for, by its permanent name.
    pub(crate) action: String,
    /// The least role that includes it.
    pub(crate) role: String,
    /// Where: global, session:<id> or credential:<id>.
    pub(crate) scope: String,
    /// The role that one has there.
    pub(crate) has: Option<String>,
    /// Who could give it: user:<id>, group:<name>, or words of the configuration.
    pub(crate) ask: Vec<String>,
}

/// What is wrong with one field.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct FieldError {
    /// Which.
    field: String,
    /// What.
    detail: String,
}

pub(crate) type Answer<T> = Result<T, Problem>;

impl Problem {
    pub(crate) fn new(status: StatusCode, kind: &str, title: &str) -> Self {
        Self {
            kind: format!("{TYPES}{kind}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: None,
            errors: vec![],
            missing: None,
            retry_after: None,
            refused: false,
        }
    }

    pub(crate) fn missing(self, missing: Missing) -> Self {
        Self { missing: Some(Box::new(missing)), refused: true, ..self }
    }

    pub(crate) fn detail(self, detail: impl Display) -> Self {
        Self { detail: Some(detail.to_string()), ..self }
    }

    /// What a field says is wrong.
    pub(crate) fn field(field: &str, detail: impl Display) -> Self {
        Self::invalid(StatusCode::UNPROCESSABLE_ENTITY, field, detail)
    }

    /// The form of the request is wrong there.
    pub(crate) fn malformed(field: &str, detail: impl Display) -> Self {
        Self::invalid(StatusCode::BAD_REQUEST, field, detail)
    }

    /// The request is as it should be, and refused: that goes on the actor's record.
    pub(crate) fn refused(
        status: StatusCode,
        code: &str,
        field: &str,
        detail: impl Display,
    ) -> Self {
        let errors = vec![FieldError { field: field.to_owned(), detail: detail.to_string() }];
        Self { errors, refused: true, ..Self::new(status, code, "The request is refused") }
    }

    /// What the settings refuse, with all that is wrong: that goes on the actor's record.
    pub(crate) fn settings(rejection: &settings::Rejection) -> Self {
        let status = match rejection {
            settings::Rejection::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            settings::Rejection::NoSuchProfile(_) => StatusCode::NOT_FOUND,
            settings::Rejection::DefaultProfile => StatusCode::CONFLICT,
        };
        let problem = match rejection {
            settings::Rejection::Invalid(faults) => {
                let errors = faults.iter().map(|fault| FieldError {
                    field: fault.field.clone(),
                    detail: fault.words.clone(),
                });
                let title = "The settings are not valid; nothing is changed";
                Self { errors: errors.collect(), ..Self::new(status, rejection.code(), title) }
            }
            other => Self::new(status, other.code(), &capitalised(&other.to_string())),
        };
        Self { refused: true, ..problem }
    }

    /// The stable code of the kind of problem.
    pub(crate) fn code(&self) -> &str {
        self.kind.strip_prefix(TYPES).unwrap_or(&self.kind)
    }

    /// The problem in one line, for those who are shown no document.
    pub(crate) fn words(&self) -> String {
        let fields = self.errors.iter().map(|error| format!("{}: {}", error.field, error.detail));
        let parts: Vec<String> =
            [self.title.clone()].into_iter().chain(self.detail.clone()).chain(fields).collect();
        parts.join(": ")
    }

    /// Whether it may go by itself.
    pub(crate) fn is_transient(&self) -> bool {
        self.status >= 500 || self.status == StatusCode::TOO_MANY_REQUESTS.as_u16()
    }

    /// The stable code of a refusal that no handler of commands has seen.
    pub(crate) fn refusal(&self) -> Option<&str> {
        self.kind.strip_prefix(TYPES).filter(|_| self.refused)
    }

    fn invalid(status: StatusCode, field: &str, detail: impl Display) -> Self {
        let mut problem = Self::new(status, "invalid-request", "The request is not valid");
        problem.errors = vec![FieldError { field: field.to_owned(), detail: detail.to_string() }];
        problem
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", &format!("There is no such {what}"))
    }

    pub(crate) fn too_large(field: &str, most: usize) -> Self {
        let mut problem = Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-large",
            "The request is larger than it may be",
        );
        let detail = format!("may have at most {most} bytes");
        problem.errors = vec![FieldError { field: field.to_owned(), detail }];
        problem
    }

    pub(crate) fn unauthenticated() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "Sign in first")
            .detail("send an API token as a bearer token, or open a sign-in link (`paddock login`)")
    }

    pub(crate) fn too_many() -> Self {
        let problem = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-requests",
            "Too much of this failed lately; try again in a minute",
        );
        Self { retry_after: Some(60), ..problem }
    }

    pub(crate) fn is_unauthenticated(&self) -> bool {
        self.status == StatusCode::UNAUTHORIZED.as_u16()
    }

    pub(crate) fn unavailable(kind: &str, title: &str) -> Self {
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, kind, title);
        Self { retry_after: Some(1), ..problem }
    }

    fn internal(error: &dyn std::error::Error) -> Self {
        // The chain is logged once, here at the boundary; the caller is told nothing of it.
        let mut chain = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            chain = format!("{chain}: {error}");
            source = error.source();
        }
        tracing::error!(error = %chain, "a request failed");
        Self::unavailable("unavailable", "The request cannot be done now; try again")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Session(rejection) => session_problem(&rejection),
            CommandError::Run(rejection) => run_problem(&rejection),
            CommandError::Settings(rejection) => Self::settings(&rejection),
            CommandError::Binding(rejection) => binding_problem(&rejection),
            CommandError::Credential(rejection) => credential_problem(&rejection),
            CommandError::IfMatch { actual } => Self::new(
                StatusCode::PRECONDITION_FAILED,
                "version-mismatch",
                "If-Match names another version",
            )
            .detail(format!("the version is {actual}")),
            CommandError::KeyReused => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency-key-reused",
                "The Idempotency-Key was used for another request",
            ),
            CommandError::Contended => {
                Self::unavailable("contended", "Others change the same thing; try again")
            }
            CommandError::Store(error) => Self::internal(&error),
        }
    }
}

fn session_problem(rejection: &session::Rejection) -> Problem {
    let status = match rejection {
        session::Rejection::NotFound => StatusCode::NOT_FOUND,
        session::Rejection::Exists
        | session::Rejection::Archived
        | session::Rejection::RunActive(_)
        | session::Rejection::NotTheActiveRun(_) => StatusCode::CONFLICT,
    };
    Problem::new(status, rejection.code(), &capitalised(&rejection.to_string()))
}

fn binding_problem(rejection: &binding::Rejection) -> Problem {
    let status = match rejection {
        binding::Rejection::NotFound => StatusCode::NOT_FOUND,
        binding::Rejection::Exists | binding::Rejection::LastAdmin => StatusCode::CONFLICT,
        binding::Rejection::RepositoriesMissing | binding::Rejection::RepositoriesUnexpected => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
    };
    Problem::new(status, rejection.code(), &capitalised(&rejection.to_string()))
}

fn credential_problem(rejection: &credential::Rejection) -> Problem {
    let status = match rejection {
        credential::Rejection::NotFound => StatusCode::NOT_FOUND,
        credential::Rejection::Exists | credential::Rejection::Revoked => StatusCode::CONFLICT,
    };
    Problem::new(status, rejection.code(), &capitalised(&rejection.to_string()))
}

fn run_problem(rejection: &run::Rejection) -> Problem {
    let status = match rejection {
        run::Rejection::NotFound => StatusCode::NOT_FOUND,
        run::Rejection::WrongAnswer(_) | run::Rejection::EgressReason => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        run::Rejection::NoSuchInput(_)
        | run::Rejection::Exists
        | run::Rejection::Ended
        | run::Rejection::Ending
        | run::Rejection::NoTurn
        | run::Rejection::Superseded { .. }
        | run::Rejection::NothingToPublish
        | run::Rejection::OtherCredential
        | run::Rejection::OutOfOrder => StatusCode::CONFLICT,
    };
    Problem::new(status, rejection.code(), &capitalised(&rejection.to_string()))
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

impl From<ViewError> for Problem {
    fn from(error: ViewError) -> Self {
        Self::internal(&error)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        Self::internal(&error)
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        Self::internal(&error)
    }
}

impl From<NotACursor> for Problem {
    fn from(error: NotACursor) -> Self {
        Self::malformed("cursor", error)
    }
}

impl From<BundleError> for Problem {
    fn from(error: BundleError) -> Self {
        match error {
            BundleError::NotFound => Self::not_found("artifact"),
            other => Self::internal(&other),
        }
    }
}

impl From<GitHubError> for Problem {
    fn from(error: GitHubError) -> Self {
        match &error {
            GitHubError::NotFound => {
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                Self::refused(status, "repository-not-found", "repo", error)
            }
            GitHubError::Unauthorised | GitHubError::Forbidden { .. } => Self::new(
                StatusCode::BAD_GATEWAY,
                "forge-refuses",
                "The forge refuses the installation's credential",
            )
            .detail(error),
            GitHubError::Withheld { .. } => {
                let status = StatusCode::UNPROCESSABLE_ENTITY;
                Self::refused(status, "credential-unusable", "credential", error)
            }
            GitHubError::Rejected { .. } => {
                Self::new(StatusCode::BAD_GATEWAY, "forge-refuses", "The forge refuses it")
                    .detail(error.in_words())
            }
            GitHubError::RateLimited { .. }
            | GitHubError::Unavailable { .. }
            | GitHubError::Unreadable { .. } => {
                Self::unavailable("forge-unavailable", "The forge does not answer").detail(error)
            }
        }
    }
}

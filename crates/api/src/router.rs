//! Every route of the public listener, in one place.

use axum::{
    Json, Router,
    extract::DefaultBodyLimit,
    http::{HeaderName, HeaderValue, Request, StatusCode},
    middleware::from_fn_with_state,
    routing::get,
};
use tower::ServiceBuilder;
use tower_http::{
    catch_panic::CatchPanicLayer,
    request_id::{MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer},
    trace::TraceLayer,
};
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    access::{self, guard},
    problem::Problem,
    repositories, request, runs, schemas, sessions,
    state::AppState,
};

#[derive(OpenApi)]
#[openapi(info(
    title = "Paddock",
    description = "Runs coding agents in fenced sandboxes and delivers their pull requests.",
))]
struct Api;

fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Api::openapi())
        .routes(routes!(sessions::list_sessions, sessions::create_session))
        .routes(routes!(sessions::get_session, sessions::rename_session, sessions::delete_session))
        .routes(routes!(sessions::archive_session))
        .routes(routes!(sessions::restore_session))
        .routes(routes!(sessions::fork_session))
        .routes(routes!(sessions::list_artifacts))
        .routes(routes!(sessions::get_artifact_content))
        .routes(routes!(runs::list_session_runs, runs::start_run))
        .routes(routes!(runs::list_runs))
        .routes(routes!(runs::get_run))
        .routes(routes!(runs::cancel_run))
        .routes(routes!(runs::interrupt_run))
        .routes(routes!(runs::finish_run))
        .routes(routes!(runs::publish_run))
        .routes(routes!(runs::prompt_run))
        .routes(routes!(runs::answer_input))
        .routes(routes!(runs::stream_output))
        .routes(routes!(runs::list_run_events))
        .routes(routes!(runs::get_run_changes))
        .routes(routes!(runs::list_run_egress))
        .routes(routes!(repositories::get_repository))
        .routes(routes!(repositories::list_branches))
        .routes(routes!(repositories::list_issues))
        .routes(routes!(repositories::get_issue))
        .routes(routes!(access::me))
        .routes(routes!(access::list_tokens, access::create_token))
        .routes(routes!(access::revoke_token))
        .routes(routes!(access::create_sign_in_link))
        .routes(routes!(schemas::get_schema))
}

/// The API's own description.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes().split_for_parts().1
}

/// The public listener.
pub fn router(state: AppState) -> Router {
    let (router, openapi) = routes().split_for_parts();
    let id = HeaderName::from_static(request::REQUEST_ID);
    let layers = ServiceBuilder::new()
        .layer(SetRequestIdLayer::new(id.clone(), RandomId(state.clone())))
        .layer(TraceLayer::new_for_http())
        .layer(PropagateRequestIdLayer::new(id))
        .layer(CatchPanicLayer::new())
        .layer(from_fn_with_state(state.clone(), guard))
        .layer(DefaultBodyLimit::max(request::MAX_BODY));
    router
        // Public: the description, and the one-time link, which is itself the credential.
        .route("/api/v1/openapi.json", get(async || Json(openapi)))
        .route("/login", get(access::login))
        .fallback(async || Problem::not_found("route"))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Not by this method")
        })
        .layer(layers)
        .with_state(state)
}

/// Gives each request an id where the caller did not.
#[derive(Clone)]
struct RandomId(AppState);

impl MakeRequestId for RandomId {
    fn make_request_id<B>(&mut self, _: &Request<B>) -> Option<RequestId> {
        let id = self.0.commands.context().id().to_string();
        HeaderValue::from_str(&id).ok().map(RequestId::new)
    }
}

//! Every route of the public listener, in one place.

use std::{any::Any, sync::LazyLock};

use axum::{
    Json, Router,
    extract::DefaultBodyLimit,
    http::{HeaderValue, Request, StatusCode},
    middleware::from_fn_with_state,
    response::{IntoResponse as _, Response},
};
use tower::ServiceBuilder;
use tower_http::{
    catch_panic::CatchPanicLayer,
    request_id::{MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer},
    trace::TraceLayer,
};
use utoipa::OpenApi as _;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    access::{self, Gate, PublicRoute, gate, guard},
    audit, events,
    openapi::{Api, openapi},
    page,
    problem::Problem,
    profiles, repositories,
    request::{self, REQUEST_ID},
    roles, runs, schemas, sessions, settings,
    state::AppState,
    system,
};

/// Every route there is. A route that is not in here is not in the API's description either.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Api::openapi())
        .routes(routes!(access::login))
        .routes(routes!(get_openapi))
        .routes(routes!(sessions::list_sessions, sessions::create_session))
        .routes(routes!(sessions::count_sessions))
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
        .routes(routes!(runs::get_run_transcript))
        .routes(routes!(runs::get_run_part))
        .routes(routes!(runs::list_run_events))
        .routes(routes!(runs::get_run_changes))
        .routes(routes!(runs::list_run_egress, runs::set_run_egress))
        .routes(routes!(profiles::list_profiles))
        .routes(routes!(settings::get_settings))
        .routes(routes!(settings::list_settings_history))
        .routes(routes!(settings::set_limits, settings::reset_limits))
        .routes(routes!(settings::set_allow_list, settings::reset_allow_list))
        .routes(routes!(settings::set_retention, settings::reset_retention))
        .routes(routes!(settings::set_profile, settings::remove_profile))
        .routes(routes!(repositories::get_repository))
        .routes(routes!(repositories::list_branches))
        .routes(routes!(repositories::list_issues))
        .routes(routes!(repositories::get_issue))
        .routes(routes!(events::stream_events))
        .routes(routes!(system::get_system))
        .routes(routes!(access::me))
        .routes(routes!(access::list_tokens, access::create_token))
        .routes(routes!(access::revoke_token))
        .routes(routes!(access::create_sign_in_link))
        .routes(routes!(access::sign_out))
        .routes(routes!(roles::list_role_bindings, roles::grant_role))
        .routes(routes!(roles::revoke_role))
        .routes(routes!(roles::explain_access))
        .routes(routes!(audit::list_audit_events))
        .routes(routes!(audit::get_audit_event))
        .routes(routes!(audit::list_audit_runs))
        .routes(routes!(audit::list_bindings_at))
        .routes(routes!(audit::get_checkpoint))
        .routes(routes!(audit::list_audit_keys))
        .routes(routes!(audit::get_tile))
        .routes(routes!(audit::get_inclusion_proof))
        .routes(routes!(audit::get_consistency_proof))
        .routes(routes!(audit::export_audit))
        .routes(routes!(audit::erase_texts))
        .routes(routes!(schemas::get_schema))
}

/// Shows this description.
#[utoipa::path(get, path = "/api/v1/openapi.json", operation_id = "getOpenApi", tag = "schemas",
    security(()),
    responses((status = 200, description = "An OpenAPI 3.1 document", content_type = "application/json")))]
async fn get_openapi(_: PublicRoute) -> Json<&'static utoipa::openapi::OpenApi> {
    static DESCRIPTION: LazyLock<utoipa::openapi::OpenApi> = LazyLock::new(openapi);
    Json(&DESCRIPTION)
}

/// The public listener.
pub fn router(state: AppState) -> Router {
    let layers = ServiceBuilder::new()
        .map_request(without_odd_ids)
        .layer(SetRequestIdLayer::new(REQUEST_ID, RandomId(state.clone())))
        .layer(TraceLayer::new_for_http().make_span_with(span))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(state.clone(), guard))
        .layer(DefaultBodyLimit::max(request::MAX_BODY));
    let (router, description) = routes().split_for_parts();
    let gate_keeper = Gate::new(state.clone(), description);
    router
        .route_layer(from_fn_with_state(gate_keeper, gate))
        .merge(page::router())
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Not by this method")
        })
        .layer(layers)
        .with_state(state)
}

/// Without its query: a sign-in link's token is in it.
fn span<B>(request: &Request<B>) -> tracing::Span {
    tracing::debug_span!("request", method = %request.method(), path = request.uri().path())
}

fn panicked(_: Box<dyn Any + Send>) -> Response {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something is wrong with Paddock")
        .into_response()
}

/// A request's id goes on the record: one that does not look like an id is replaced.
fn without_odd_ids<B>(mut request: Request<B>) -> Request<B> {
    let is_id = |value: &HeaderValue| {
        let bytes = value.as_bytes();
        (1..=100).contains(&bytes.len())
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    let mut values = request.headers().get_all(REQUEST_ID).iter();
    let fits = values.next().is_some_and(is_id) && values.next().is_none();
    if !fits {
        request.headers_mut().remove(REQUEST_ID);
    }
    request
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

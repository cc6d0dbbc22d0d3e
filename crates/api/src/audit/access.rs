use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    access::Caller, answer::ListBody, problem::Answer, request::Params, roles::BindingBody,
    state::AppState,
};

/// As of when.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct AsOfQuery {
    /// The time.
    at: DateTime<Utc>,
}

/// Lists the roles that held at a time, by what the record says.
#[utoipa::path(get, path = "/api/v1/audit/role-bindings", operation_id = "listBindingsAt", tag = "audit",
    params(AsOfQuery),
    responses((status = 200, description = "All of them", body = ListBody<BindingBody>)))]
pub(crate) async fn list_bindings_at(
    State(state): State<AppState>,
    _caller: Caller,
    Params(AsOfQuery { at }): Params<AsOfQuery>,
) -> Answer<Json<ListBody<BindingBody>>> {
    let rows = state.views.bindings_at(at).await?;
    Ok(Json(ListBody { items: BindingBody::list(&state, rows).await?, next: None }))
}

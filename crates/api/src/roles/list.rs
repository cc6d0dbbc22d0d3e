use axum::{Json, extract::State};
use domain::access::{Action, Resource, Scope};
use projections::Cursor;
use serde::Deserialize;
use utoipa::IntoParams;

pub(crate) use super::body::BindingBody;
use crate::{
    access::{Allowance, Caller, resource_of},
    answer::ListBody,
    problem::{Answer, Problem},
    request::{ListQuery, Params},
    state::AppState,
};

/// Which bindings.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct BindingsQuery {
    /// How many items, 1 to 200; 50 unless told otherwise.
    limit: Option<u32>,
    /// The `next` of the page before.
    cursor: Option<String>,
    /// `<stream>@<version>`: what the answer must include.
    at_least: Option<String>,
    /// Those of one scope: global, session:<id> or credential:<id>. All need a right to see all.
    scope: Option<String>,
}

/// Lists the roles that hold, what was given last first: who sees a session sees with whom it is shared.
#[utoipa::path(get, path = "/api/v1/role-bindings", operation_id = "listRoleBindings", tag = "access",
    params(BindingsQuery),
    responses((status = 200, description = "A part of the list", body = ListBody<BindingBody>)))]
pub(crate) async fn list_role_bindings(
    State(state): State<AppState>,
    caller: Caller,
    Params(query): Params<BindingsQuery>,
) -> Answer<Json<ListBody<BindingBody>>> {
    let BindingsQuery { limit, cursor, at_least, scope } = query;
    let scope = scope.as_deref().map(str::parse::<Scope>).transpose();
    let scope = scope.map_err(|error| Problem::malformed("scope", error))?;
    let allowance = Allowance::of(&state, &caller);
    let resource = resource_of(&state, scope.unwrap_or(Scope::Global)).await?;
    match resource {
        Some(Resource::Session { .. }) | None if matches!(scope, Some(Scope::Session(_))) => {
            allowance.on(Action::ReadSession, "session", resource.as_ref())?;
        }
        _ if matches!(scope, Some(Scope::Credential(_))) => {
            allowance.on(Action::ReadCredential, "credential", resource.as_ref())?;
        }
        _ => allowance.demand(Action::ReadBindings, &Resource::Installation)?,
    }
    let list = ListQuery { limit, cursor, at_least };
    state.at_least(list.at_least.as_deref()).await?;
    let page = state.views.bindings(scope, list.cursor.as_deref(), list.limit()?).await??;
    let items = BindingBody::list(&state, page.items).await?;
    Ok(Json(ListBody { items, next: page.next.as_ref().map(Cursor::encode) }))
}

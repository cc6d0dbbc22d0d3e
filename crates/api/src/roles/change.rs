use axum::extract::State;
use domain::{
    access::{Action, RepositoryPattern, Resource, Role, Scope},
    binding::Grant,
    ids::BindingId,
};
use serde::Deserialize;
use utoipa::ToSchema;

use super::words;
use crate::{
    access::{Allowance, resource_of},
    answer::{CommandBody, Done},
    problem::{Answer, Problem},
    request::{Asked, Id, Nothing},
    state::AppState,
};

/// The most repositories of one binding.
const MOST: usize = 100;

/// A role to be given.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewBinding {
    /// To whom: user:<id>, group:<name> or kubernetes:<user name>.
    subject: String,
    /// admin, maintainer or viewer.
    role: String,
    /// Where: global, session:<id> or credential:<id>.
    scope: String,
    /// The repositories that a maintainer of the installation works with: owner/name, owner/* or *.
    #[serde(default)]
    repositories: Vec<String>,
}

/// Gives somebody a role. Giving one over a session is sharing it.
#[utoipa::path(post, path = "/api/v1/role-bindings", operation_id = "grantRole", tag = "access",
    request_body = NewBinding,
    responses((status = 201, description = "It holds", body = CommandBody)))]
pub(crate) async fn grant_role(
    State(state): State<AppState>,
    asked: Asked<NewBinding>,
) -> Answer<Done> {
    const NAME: &str = "binding.grant";
    let grant = grant(&state, &asked.body).await?;
    let allowance = Allowance::of(&state, &asked.caller);
    let may = over(&state, &allowance, grant.scope, Some(grant.role), Action::GrantRole).await;
    asked.by.audited(&state, NAME, None, may).await?;
    let accepted = state.commands.grant_role(grant, asked.by.caused(vec![])).await?;
    known(&state).await;
    Ok(Done::created(accepted))
}

/// Takes a role that was given.
#[utoipa::path(delete, path = "/api/v1/role-bindings/{id}", operation_id = "revokeRole", tag = "access",
    params(("id" = Uuid, Path)),
    responses((status = 202, description = "It holds no longer", body = CommandBody)))]
pub(crate) async fn revoke_role(
    State(state): State<AppState>,
    Id(id): Id<BindingId>,
    asked: Asked<Nothing>,
) -> Answer<Done> {
    const NAME: &str = "binding.revoke";
    let allowance = Allowance::of(&state, &asked.caller);
    let binding = state.authority.binding(id);
    let (scope, role) =
        binding.map_or((Scope::Global, None), |held| (held.grant.scope, Some(held.grant.role)));
    let may = over(&state, &allowance, scope, role, Action::RevokeRole).await;
    asked.by.audited(&state, NAME, Some(id.into()), may).await?;
    let configured = state.authority.has_configured_admin();
    let accepted = state.commands.revoke_role(id, configured, asked.by.caused(vec![])).await?;
    known(&state).await;
    Ok(Done::accepted(accepted))
}

/// Whether somebody may give or take a role there: no higher one than their own.
async fn over(
    state: &AppState,
    allowance: &Allowance,
    scope: Scope,
    role: Option<Role>,
    on_installation: Action,
) -> Answer<()> {
    let (action, what) = match scope {
        Scope::Global => (on_installation, "page"),
        Scope::Session(_) => (Action::ShareSession, "session"),
        Scope::Credential(_) => (Action::ShareCredential, "credential"),
    };
    let resource = resource_of(state, scope).await?;
    allowance.on(action, what, resource.as_ref())?;
    match resource {
        Some(resource) if role > allowance.role_on(&resource) => {
            Err(allowance.forbidden(on_installation, &Resource::Installation))
        }
        Some(_) | None => Ok(()),
    }
}

/// What was decided a moment ago counts here at once, and elsewhere within a second.
async fn known(state: &AppState) {
    if let Err(error) = state.authority.refresh().await {
        tracing::warn!(%error, "a role was given or taken and does not count here yet");
    }
}

async fn grant(state: &AppState, new: &NewBinding) -> Answer<Grant> {
    let role = Role::ALL.into_iter().find(|role| role.as_str() == new.role);
    let role = role.ok_or_else(|| Problem::field("role", "is admin, maintainer or viewer"))?;
    let scope = new.scope.parse().map_err(|error| Problem::field("scope", error))?;
    if new.repositories.len() > MOST {
        return Err(Problem::field("repositories", format!("may be at most {MOST}")));
    }
    let patterns = new.repositories.iter().map(|text| text.trim().parse::<RepositoryPattern>());
    let mut repositories = patterns
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Problem::field("repositories", error))?;
    repositories.sort();
    repositories.dedup();
    let subject = words::subject(state, "subject", &new.subject).await?;
    Ok(Grant { subject, role, scope, repositories })
}

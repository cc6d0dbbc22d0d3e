use axum::{Json, extract::State};
use commands::access::{Because, Binding, Decision, Holder, Principal, Who};
use domain::access::{Action, On, RepositoryPattern, Resource, Subject};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{body::Names, words};
use crate::{
    access::{Allowance, Caller, LOCAL_ISSUER},
    problem::{Answer, Problem},
    request::Params,
    state::AppState,
};

/// What is to be explained.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExplainQuery {
    /// The action's permanent name, such as run.start.
    action: String,
    /// installation, repository:<owner>/<name>, session:<id>, run:<id> or credential:<id>.
    resource: String,
    /// Of whom: user:<id>, group:<name> or kubernetes:<user name>; oneself unless told otherwise.
    subject: Option<String>,
}

/// Why somebody may do something, or may not.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExplainBody {
    action: String,
    resource: String,
    /// Of whom.
    subject: String,
    allowed: bool,
    /// What allows it; empty where nothing does.
    because: Vec<ReasonBody>,
    /// What would allow it, where nothing does.
    missing: Option<MissingRole>,
    /// Everybody who may, and why; null for those who may not know.
    who: Option<Vec<HolderBody>>,
}

/// The role that would be needed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MissingRole {
    role: String,
    /// In this scope or a wider one.
    scope: String,
}

/// What allows something.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReasonBody {
    kind: ReasonKind,
    /// In words.
    words: String,
    /// The binding, where it is one.
    binding: Option<Uuid>,
}

/// What kind of reason it is.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReasonKind {
    /// A role was given.
    Binding,
    /// It is theirs.
    Owner,
    /// The installation's configuration says so.
    Configuration,
    /// Everybody may who is somebody.
    Anybody,
}

/// Somebody who may do something.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HolderBody {
    /// Who; null where it is whoever the configuration names, or everybody.
    subject: Option<String>,
    because: ReasonBody,
}

/// Says whether somebody may do something, and why or what is missing; and, to those who could change it, who
/// else may.
#[utoipa::path(get, path = "/api/v1/access/explain", operation_id = "explainAccess", tag = "access",
    params(ExplainQuery),
    responses((status = 200, description = "The explanation", body = ExplainBody)))]
pub(crate) async fn explain_access(
    State(state): State<AppState>,
    caller: Caller,
    Params(query): Params<ExplainQuery>,
) -> Answer<Json<ExplainBody>> {
    let action = Action::named(&query.action)
        .ok_or_else(|| Problem::malformed("action", "is not the name of an action"))?;
    let allowance = Allowance::of(&state, &caller);
    allowance.demand(Action::ExplainAccess, &Resource::Installation)?;
    let resource = resource(&state, &allowance, action, &query.resource).await?;
    let knows = allowance.may(Action::ReadBindings, &Resource::Installation)
        || match resource.on() {
            On::Session => allowance.may(Action::ShareSession, &resource),
            On::Credential => allowance.may(Action::ShareCredential, &resource),
            On::Installation | On::Repository => false,
        };
    let own = allowance.who().clone();
    let who = match &query.subject {
        None => own,
        Some(text) => {
            let subject = words::subject(&state, "subject", text).await?;
            if own.subjects().next() == Some(subject.clone()) {
                own
            } else if knows {
                principal(&state, &subject).await?
            } else {
                return Err(allowance.forbidden(Action::ReadBindings, &Resource::Installation));
            }
        }
    };
    let holders = knows.then(|| state.authority.who_may(action, &resource));
    Ok(Json(explained(&state, &query, &who, action, &resource, holders).await?))
}

/// What is asked about, if one may know that it is there.
async fn resource(
    state: &AppState,
    allowance: &Allowance,
    action: Action,
    text: &str,
) -> Answer<Resource> {
    let (what, resource) = words::resource(state, text).await?;
    match resource.as_ref().map(Resource::on) {
        Some(On::Session) | None => {
            allowance.on(Action::ReadSession, what, resource.as_ref())?;
        }
        Some(On::Credential) => allowance.on(Action::ReadCredential, what, resource.as_ref())?,
        Some(On::Installation | On::Repository) => {}
    }
    let resource = resource.ok_or_else(|| Problem::not_found(what))?;
    if resource.on() == action.on() {
        return Ok(resource);
    }
    let place = match action.on() {
        On::Installation => "installation",
        On::Repository => "repository:<owner>/<name>",
        On::Session => "session:<id> or run:<id>",
        On::Credential => "credential:<id>",
    };
    Err(Problem::malformed("resource", format!("{action} is done to {place}")))
}

/// Somebody else, with what is known of them.
async fn principal(state: &AppState, subject: &Subject) -> Answer<Principal> {
    Ok(match subject {
        Subject::User(id) => {
            let person = sqlx::query!(
                "select groups, case when issuer <> $2 then subject end as subject
                 from runtime.person where id = $1",
                id.0,
                LOCAL_ISSUER,
            )
            .fetch_optional(state.pool())
            .await?;
            let (groups, name) =
                person.map_or((None, None), |person| (person.groups, person.subject));
            let groups = groups.unwrap_or_default().into_iter().collect();
            let name = name.map(Into::into);
            Principal { groups, name, ..Principal::of(Who::User(*id)) }
        }
        Subject::Kubernetes(id) => Principal::of(Who::Kubernetes(*id)),
        Subject::Group(name) => {
            let nobody = Principal::of(Who::User(domain::ids::UserId(Uuid::nil())));
            Principal { groups: [name.clone()].into(), ..nobody }
        }
    })
}

async fn explained(
    state: &AppState,
    query: &ExplainQuery,
    who: &Principal,
    action: Action,
    resource: &Resource,
    holders: Option<Vec<Holder>>,
) -> Answer<ExplainBody> {
    let decision = state.authority.decide(who, action, resource);
    let own: Vec<Subject> = who.subjects().collect();
    let subjects = holders.iter().flatten().filter_map(|holder| holder.subject.as_ref());
    let names = Names::of(state, own.iter().chain(subjects)).await?;
    let reason = |because: &Because| reason(state, &names, because);
    let (because, missing) = match &decision {
        Decision::Allowed(because) => (because.iter().map(reason).collect(), None),
        Decision::Denied { role, scope, .. } => {
            let (role, scope) = (role.as_str().to_owned(), scope.to_string());
            (vec![], Some(MissingRole { role, scope }))
        }
    };
    let holder = |holder: &Holder| HolderBody {
        subject: holder.subject.as_ref().map(|subject| names.subject(subject)),
        because: reason(&holder.because),
    };
    Ok(ExplainBody {
        action: action.as_str().to_owned(),
        resource: query.resource.clone(),
        subject: query
            .subject
            .clone()
            .unwrap_or_else(|| own.first().map(|own| names.subject(own)).unwrap_or_default()),
        allowed: decision.is_allowed(),
        because,
        missing,
        who: holders.map(|holders| holders.iter().map(holder).collect()),
    })
}

fn reason(state: &AppState, names: &Names, because: &Because) -> ReasonBody {
    let (kind, words, binding) = match because {
        Because::Binding(id) => {
            let words = state.authority.binding(*id).map(|binding| bound(names, &binding));
            let gone = || "a binding that was revoked just now".to_owned();
            (ReasonKind::Binding, words.unwrap_or_else(gone), Some(id.0))
        }
        Because::Owner => (ReasonKind::Owner, "it is theirs".to_owned(), None),
        Because::Configuration(words) => (ReasonKind::Configuration, words.clone(), None),
        Because::Anybody => {
            (ReasonKind::Anybody, "everybody who is signed in may".to_owned(), None)
        }
    };
    ReasonBody { kind, words, binding }
}

/// A binding in words.
fn bound(names: &Names, binding: &Binding) -> String {
    let grant = &binding.grant;
    let subject = names.subject(&grant.subject);
    let limits = match &grant.repositories[..] {
        [] => String::new(),
        repositories => {
            let names: Vec<&str> = repositories.iter().map(RepositoryPattern::as_str).collect();
            format!(" for {}", names.join(", "))
        }
    };
    format!("{subject} has the role {} in {}{limits}", grant.role, grant.scope)
}

//! The door in front of every route: who asks, what for, and whether they may.

use std::{collections::HashMap, sync::Arc};

use axum::{
    RequestPartsExt as _,
    extract::{FromRequestParts as _, MatchedPath, RawPathParams, Request, State},
    http::{Method, StatusCode, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use domain::{
    access::{Action, On, Resource},
    event::Actor,
    ids::{CredentialId, RunId, SessionId},
    stream::StreamId,
};

use super::{Allowance, Caller, KnownCaller, rules::Rule, rules::rule_of};
use crate::{
    openapi::operations,
    problem::{Answer, Problem},
    request::REQUEST_ID,
    state::AppState,
};

/// The rule of every route.
#[derive(Clone)]
pub(crate) struct Gate {
    state: AppState,
    rules: Arc<HashMap<(Method, String), Rule>>,
}

/// What a path is about.
struct Target {
    /// In words, and in the code of a refusal.
    what: &'static str,
    stream: Option<StreamId>,
    /// None where there is no such thing.
    resource: Option<Resource>,
}

impl Gate {
    /// The rules of the routes that `description` has.
    ///
    /// # Panics
    ///
    /// If a route has no rule.
    pub(crate) fn new(state: AppState, mut description: utoipa::openapi::OpenApi) -> Self {
        let mut rules = HashMap::new();
        for (path, item) in &mut description.paths.paths {
            for (method, operation) in operations(item) {
                let name = operation.operation_id.clone().unwrap_or_default();
                let rule = rule_of(&name).unwrap_or_else(|| {
                    panic!("{name} has no rule: say in access/rules.rs what it takes")
                });
                let method = crate::openapi::method_name(&method).parse().expect("a method");
                rules.insert((method, path.clone()), rule);
            }
        }
        Self { state, rules: Arc::new(rules) }
    }

    fn rule(&self, method: &Method, path: &str) -> Option<Rule> {
        let method = if method == Method::HEAD { Method::GET } else { method.clone() };
        self.rules.get(&(method, path.to_owned())).copied()
    }

    async fn pass(&self, parts: &mut Parts) -> Answer<()> {
        let path = parts.extract::<MatchedPath>().await.ok();
        let rule = path.as_ref().and_then(|path| self.rule(&parts.method, path.as_str()));
        let action = match rule {
            Some(Rule::Public) => return Ok(()),
            // Nothing is served that nobody thought of.
            None => return Err(Problem::not_found("page")),
            Some(Rule::OnKnown(action)) => {
                let KnownCaller(caller) =
                    KnownCaller::from_request_parts(parts, &self.state).await?;
                parts.extensions.insert(caller);
                Some(action)
            }
            Some(rule @ (Rule::On(_) | Rule::Inside(_))) => {
                let caller = Caller::from_request_parts(parts, &self.state).await?;
                parts.extensions.insert(caller);
                if let Rule::On(action) = rule { Some(action) } else { None }
            }
        };
        let Some(action) = action else { return Ok(()) };
        let caller = Caller::from_request_parts(parts, &self.state).await?;
        // What is not an id is the handler's to refuse, by the parameter's name.
        let Some(target) = self.target(action, parts).await? else { return Ok(()) };
        let allowance = Allowance::of(&self.state, &caller);
        let decided = allowance.on(action, target.what, target.resource.as_ref());
        if let Err(problem) = &decided {
            self.refused(parts, &caller, action, target.stream, problem).await?;
        }
        decided
    }

    /// What the path is about; none where it is not in the form of one.
    async fn target(&self, action: Action, parts: &mut Parts) -> Answer<Option<Target>> {
        let path = parts.extract::<MatchedPath>().await.ok();
        let path = path.as_ref().map_or("", |path| path.as_str());
        let Ok(params) = parts.extract::<RawPathParams>().await else { return Ok(None) };
        let param = |wanted: &str| {
            params.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.to_owned())
        };
        let authority = &self.state.authority;
        let id = param("id").unwrap_or_default();
        Ok(match action.on() {
            On::Installation => {
                let resource = Some(Resource::Installation);
                Some(Target { what: "page", stream: None, resource })
            }
            On::Repository => {
                let name = format!(
                    "{}/{}",
                    param("owner").unwrap_or_default(),
                    param("name").unwrap_or_default()
                );
                name.parse().ok().map(|repo| Target {
                    what: "repository",
                    stream: None,
                    resource: Some(Resource::Repository(repo)),
                })
            }
            On::Session if path.starts_with("/api/v1/runs/{id}") => match id.parse::<RunId>() {
                Ok(run) => {
                    let resource = authority.run(run).await?;
                    Some(Target { what: "run", stream: Some(run.into()), resource })
                }
                Err(_) => None,
            },
            On::Session => {
                let is_artifact = path.starts_with("/api/v1/artifacts/{id}");
                let (what, id) = match id.split_once('.') {
                    Some((session, _)) if is_artifact => ("artifact", session),
                    Some(_) | None => ("session", &id[..]),
                };
                match id.parse::<SessionId>() {
                    Ok(session) => {
                        let resource = authority.session(session).await?;
                        Some(Target { what, stream: Some(session.into()), resource })
                    }
                    Err(_) => None,
                }
            }
            On::Credential => match id.parse::<CredentialId>() {
                Ok(id) => {
                    let resource = authority.credential(id).await?;
                    Some(Target { what: "credential", stream: Some(id.into()), resource })
                }
                Err(_) => None,
            },
        })
    }

    /// A command that was denied is on the actor's record; a read leaves no trace there.
    async fn refused(
        &self,
        parts: &Parts,
        caller: &Caller,
        action: Action,
        target: Option<StreamId>,
        problem: &Problem,
    ) -> Answer<()> {
        if parts.method.is_safe() {
            return Ok(());
        }
        let request = parts.headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
        let (actor, code) = (Actor::User(caller.user), problem.code());
        let request = request.unwrap_or_default();
        let commands = &self.state.commands;
        Ok(commands.refused(actor, action.as_str(), target, code, request).await?)
    }
}

/// Lets a request on to its handler, or answers why not.
pub(crate) async fn gate(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match gate.pass(&mut parts).await {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(problem) => problem.into_response(),
    }
}

impl Allowance {
    /// Whether a thing that may not be there may be acted on. Of what somebody may not see it is not said
    /// that it is there.
    pub(crate) fn on(
        &self,
        action: Action,
        what: &'static str,
        resource: Option<&Resource>,
    ) -> Answer<()> {
        let is_secret = |resource: &Resource| match resource {
            Resource::Session { .. } => !self.may(Action::ReadSession, resource),
            Resource::Credential { .. } => !self.may(Action::ReadCredential, resource),
            Resource::Installation | Resource::Repository(_) => false,
        };
        match resource {
            Some(resource) if self.may(action, resource) => Ok(()),
            Some(resource) if !is_secret(resource) => Err(self.forbidden(action, resource)),
            Some(_) | None => Err(absent(action, what)),
        }
    }
}

/// There is no such thing, or none that they may know of.
fn absent(action: Action, what: &str) -> Problem {
    let reads =
        [Action::ReadSession, Action::ReadRun, Action::ReadArtifact, Action::ReadCredential];
    if reads.contains(&action) {
        return Problem::not_found(what);
    }
    let title = format!("There is no such {what}");
    Problem::new(StatusCode::NOT_FOUND, &format!("{what}-not-found"), &title)
}

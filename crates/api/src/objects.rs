//! Sessions and runs that are asked for by objects on the cluster rather than over HTTP: the same rules.

use commands::{
    Idempotency,
    access::{Principal, Who},
};
use domain::{
    access::Action,
    event::Actor,
    ids::{RunId, SessionId, UserId},
};

use crate::{
    access::Allowance,
    problem::{Answer, Problem},
    request::By,
    runs::{NewRun, start},
    sessions::{NewSession, create},
    state::AppState,
};

/// Takes requests that somebody else has authenticated. Cheap to clone.
#[derive(Clone)]
pub struct Objects(AppState);

/// Who asks, and how the request is recognised when it comes again.
#[derive(Clone, Debug)]
pub struct Asker {
    /// Who.
    pub actor: Actor,
    /// Whose what is made will be.
    pub owner: UserId,
    /// The name of the request.
    pub key: Idempotency,
}

/// A session that is asked for.
#[derive(Clone, Debug)]
pub struct SessionWanted {
    /// The repository, as owner/name.
    pub repo: String,
    /// The branch to merge into.
    pub base: Option<String>,
    /// What it is about.
    pub title: Option<String>,
    /// The issue to work on.
    pub issue: Option<u64>,
}

/// A run that is asked for.
#[derive(Clone, Debug)]
pub struct RunWanted {
    /// What the agent is to do.
    pub prompt: String,
    /// The harness profile.
    pub profile: Option<String>,
    /// The egress mode.
    pub egress: Option<String>,
    /// Why it is to reach more than GitHub.
    pub egress_reason: Option<String>,
    /// Whether its pull request begins as a draft.
    pub draft: bool,
}

/// Why a request is not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Asking again will not help.
    #[error("{words}")]
    No {
        /// The stable code of the refusal.
        code: String,
        /// Why.
        words: String,
    },
    /// It cannot be done now.
    #[error("{0}")]
    Later(String),
}

impl Objects {
    /// Takes requests for what `state` serves.
    #[must_use]
    pub fn new(state: AppState) -> Self {
        Self(state)
    }

    /// Starts a line of work.
    ///
    /// # Errors
    ///
    /// Where it is refused, as it would be over HTTP, or the forge or the database does not answer.
    pub async fn session(&self, asker: Asker, wanted: SessionWanted) -> Result<SessionId, Refusal> {
        let SessionWanted { repo, base, title, issue } = wanted;
        let allowance = self.allowance(asker.owner);
        let new = NewSession { repo, title, issue, base };
        let made = create(&self.0, &by(asker), &allowance, &new).await;
        Ok(SessionId(settled(made)?.target))
    }

    /// Whether somebody of that name can ask for anything at all: of whom that is not true nothing is
    /// looked at.
    #[must_use]
    pub fn may_ask(&self, name: UserId) -> bool {
        let who = Principal::of(Who::Kubernetes(name));
        let allowance = Allowance::by(&self.0, who);
        !allowance.bindings().is_empty() || self.0.authority.is_requester(name)
    }

    fn allowance(&self, name: UserId) -> Allowance {
        Allowance::by(&self.0, Principal::of(Who::Kubernetes(name)))
    }

    /// Starts a run of a session.
    ///
    /// # Errors
    ///
    /// As [`session`](Self::session).
    pub async fn run(
        &self,
        asker: Asker,
        session: SessionId,
        wanted: RunWanted,
    ) -> Result<RunId, Refusal> {
        let new = NewRun {
            prompt: wanted.prompt,
            profile: wanted.profile,
            egress: wanted.egress,
            egress_reason: wanted.egress_reason,
            draft: wanted.draft,
            deadline_seconds: None,
            linger_seconds: None,
            input_timeout_seconds: None,
            credential: None,
        };
        let allowance = self.allowance(asker.owner);
        let by = by(asker);
        let allowed = match self.0.authority.session(session).await {
            Ok(resource) => allowance.on(Action::StartRun, "session", resource.as_ref()),
            Err(error) => Err(error.into()),
        };
        let target = Some(session.into());
        let allowed = by.audited(&self.0, Action::StartRun.as_str(), target, allowed).await;
        settled(allowed)?;
        let made = start(&self.0, &by, &allowance, session, new).await;
        Ok(RunId(settled(made)?.target))
    }
}

fn by(asker: Asker) -> By {
    By {
        actor: asker.actor,
        owner: asker.owner,
        request: String::new(),
        idempotency: Some(asker.key),
        if_match: None,
    }
}

fn settled<T>(answer: Answer<T>) -> Result<T, Refusal> {
    answer.map_err(|problem: Problem| {
        let words = problem.words();
        if problem.is_transient() {
            return Refusal::Later(words);
        }
        Refusal::No { code: problem.code().to_owned(), words }
    })
}

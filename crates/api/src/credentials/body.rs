use chrono::{DateTime, Utc};
use commands::KnownCredential;
use domain::{
    access::{Action, Resource, Subject},
    credential::{Checked, Kind, Outcome, Reason},
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{access::Allowance, names, problem::Answer, roles::Names, state::AppState};

/// A credential: its state, never its value.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CredentialBody {
    id: Uuid,
    name: String,
    kind: CredentialKind,
    /// The number of the GitHub App, where it is one.
    app: Option<u64>,
    /// Whose it is: user:<id>; null where it is shared.
    owner: Option<String>,
    /// What people call them, where that is known.
    owner_name: Option<String>,
    state: CredentialState,
    /// Which value counts: 1 is the first.
    generation: u32,
    /// Since when.
    value_since: DateTime<Utc>,
    /// When that value expires, where the forge said.
    expires_at: Option<DateTime<Utc>>,
    /// What the forge said of it; null where it was never asked.
    verified: Option<VerifiedBody>,
    /// Who registered it, as in the time line of a run.
    registered_by: String,
    registered_at: DateTime<Utc>,
    revoked_at: Option<DateTime<Utc>>,
    /// Whether it is the one that your runs use unless told otherwise.
    is_default: bool,
    version: u64,
    /// What you may ask of it.
    allowed_actions: Vec<CredentialAction>,
}

/// What the forge said of a credential.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VerifiedBody {
    at: DateTime<Utc>,
    /// The repository that it was tried on.
    repo: Option<String>,
    outcome: CredentialOutcome,
    /// Whether it may push there; null where that is not known.
    push: Option<bool>,
    /// In words.
    words: String,
}

names::plain! {
    /// What kind of credential it is.
    CredentialKind { Pat, ClassicPat, App }
    /// Whether it can be used.
    CredentialState { Active, Expired, Revoked }
    /// What came of asking the forge.
    CredentialOutcome { Works, Refused, Unknown }
    /// What may be asked of a credential.
    CredentialAction { Use, Verify, Rotate, Revoke, Share }
}

impl CredentialBody {
    /// Credentials, as somebody sees them.
    pub(super) async fn list(
        state: &AppState,
        to: &Allowance,
        all: &[KnownCredential],
    ) -> Answer<Vec<Self>> {
        let owners: Vec<Subject> = all
            .iter()
            .filter_map(|known| known.credential.registered.owner)
            .map(Subject::User)
            .collect();
        let names = Names::of(state, &owners).await?;
        // Where they would have to name one, none is.
        let default = super::choose(state, to, None).await.ok().flatten();
        let now = state.commands.context().now();
        let body = |known: &KnownCredential| {
            let is_default = default == Some(known.id);
            Self::with(known, to, &names, is_default, now)
        };
        Ok(all.iter().map(body).collect())
    }

    fn with(
        known: &KnownCredential,
        to: &Allowance,
        names: &Names,
        is_default: bool,
        now: DateTime<Utc>,
    ) -> Self {
        let registered = &known.credential.registered;
        let owner = registered.owner.map(Subject::User);
        let expires_at = known.credential.expires_at();
        let state = match (&known.revoked, expires_at) {
            (Some(_), _) => CredentialState::Revoked,
            (None, Some(at)) if at <= now => CredentialState::Expired,
            (None, _) => CredentialState::Active,
        };
        let verified = known.checked_at.zip(known.credential.checked.as_ref());
        Self {
            id: known.id.0,
            name: registered.name.to_string(),
            kind: match registered.kind {
                Kind::Pat => CredentialKind::Pat,
                Kind::ClassicPat => CredentialKind::ClassicPat,
                Kind::App { .. } => CredentialKind::App,
            },
            app: match registered.kind {
                Kind::App { app } => Some(app),
                Kind::Pat | Kind::ClassicPat => None,
            },
            owner: owner.as_ref().map(|owner| names.subject(owner)),
            owner_name: owner.as_ref().and_then(|owner| names.name(owner)),
            state,
            generation: known.credential.generation.0,
            value_since: known.value_since,
            expires_at,
            verified: verified.map(|(at, checked)| VerifiedBody::of(at, checked)),
            registered_by: known.registered_by.to_string(),
            registered_at: known.registered_at,
            revoked_at: known.revoked.map(|(at, _)| at),
            is_default,
            version: known.version.0,
            allowed_actions: allowed(to, &known.resource(), state),
        }
    }
}

fn allowed(to: &Allowance, resource: &Resource, state: CredentialState) -> Vec<CredentialAction> {
    use CredentialAction as A;
    let all = [
        (A::Use, Action::UseCredential, state == CredentialState::Active),
        (A::Verify, Action::VerifyCredential, state != CredentialState::Revoked),
        (A::Rotate, Action::RotateCredential, state != CredentialState::Revoked),
        (A::Revoke, Action::RevokeCredential, state != CredentialState::Revoked),
        (A::Share, Action::ShareCredential, state != CredentialState::Revoked),
    ];
    let may = |(name, action, now)| (now && to.may(action, resource)).then_some(name);
    all.into_iter().filter_map(may).collect()
}

impl VerifiedBody {
    fn of(at: DateTime<Utc>, checked: &Checked) -> Self {
        let repo = checked.repo.as_ref().map(ToString::to_string);
        let on = repo.as_deref().unwrap_or("the repository");
        let (outcome, push, words) = match checked.outcome {
            Outcome::Works { push: Some(true), .. } => {
                (CredentialOutcome::Works, Some(true), format!("it may push to {on}"))
            }
            Outcome::Works { push: Some(false), .. } => {
                let words = format!("it can read {on} and may not push to it");
                (CredentialOutcome::Works, Some(false), words)
            }
            Outcome::Works { push: None, .. } => {
                let words = "the forge takes it; it was tried on no repository".to_owned();
                (CredentialOutcome::Works, None, words)
            }
            Outcome::Refused { reason } => (CredentialOutcome::Refused, None, in_words(reason, on)),
            Outcome::Unknown { reason } => {
                let words = format!("could not verify: {}", in_words(reason, on));
                (CredentialOutcome::Unknown, None, words)
            }
        };
        Self { at, repo, outcome, push, words }
    }
}

fn in_words(reason: Reason, on: &str) -> String {
    match reason {
        Reason::BadCredential => "the forge refuses it: wrong, expired or revoked there".to_owned(),
        Reason::Forbidden => format!("the forge does not let it do this on {on}"),
        Reason::RepositoryNotFound => format!("{on} is not there, or it may not see it"),
        Reason::NotInstalled => format!("the app is not installed on {on}"),
        Reason::RateLimited => "the forge takes no more requests now; try again later".to_owned(),
        Reason::Unreachable => "the forge cannot be reached or fails; try again later".to_owned(),
        Reason::Unreadable => "the forge answered something that makes no sense".to_owned(),
        Reason::StoreAway => "its value cannot be read from the secret store".to_owned(),
    }
}

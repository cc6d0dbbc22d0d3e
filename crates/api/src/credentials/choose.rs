use axum::http::StatusCode;
use commands::KnownCredential;
use domain::{
    access::{Action, Role, Scope},
    ids::CredentialId,
};

use crate::{
    access::Allowance,
    problem::{Answer, Problem},
    state::AppState,
};

/// What names the installation's own token in place of a credential.
const INSTALLATION: &str = "installation";

/// Which credential somebody's requests to the forge carry: the one that they name, else the only one of theirs,
/// else the installation's own (none).
pub(crate) async fn choose(
    state: &AppState,
    allowance: &Allowance,
    named: Option<&str>,
) -> Answer<Option<CredentialId>> {
    match named {
        Some(INSTALLATION) => Ok(None),
        Some(text) => {
            let id: CredentialId = text.parse().map_err(|_| {
                Problem::field("credential", "is a credential's id, or installation")
            })?;
            named_one(state, allowance, id).await.map(Some)
        }
        None => only_one(state, allowance).await,
    }
}

async fn named_one(
    state: &AppState,
    allowance: &Allowance,
    id: CredentialId,
) -> Answer<CredentialId> {
    let known = state.commands.known_credential(id).await?;
    let resource = known.as_ref().map(KnownCredential::resource);
    allowance.on(Action::UseCredential, "credential", resource.as_ref())?;
    let now = state.commands.context().now();
    match known.and_then(|known| known.unusable(now).map(|why| (known, why))) {
        None => Ok(id),
        Some((known, why)) => {
            let words = format!("{} cannot be used: {why}", known.credential.registered.name);
            Err(unusable("credential-unusable", &words))
        }
    }
}

/// Theirs are those that they own and those that a binding over the credential itself gave them: not every one that
/// a role over the installation would let them use.
async fn only_one(state: &AppState, allowance: &Allowance) -> Answer<Option<CredentialId>> {
    let now = state.commands.context().now();
    let given: Vec<CredentialId> = allowance
        .bindings()
        .iter()
        .filter(|binding| binding.grant.role >= Role::Maintainer)
        .filter_map(|binding| match binding.grant.scope {
            Scope::Credential(id) => Some(id),
            Scope::Global | Scope::Session(_) => None,
        })
        .collect();
    let all = state.commands.credentials().await?;
    let is_theirs = |known: &&KnownCredential| {
        known.credential.registered.owner == Some(allowance.who().id()) || given.contains(&known.id)
    };
    let mut theirs = all
        .iter()
        .filter(is_theirs)
        .filter(|known| known.unusable(now).is_none())
        .filter(|known| allowance.may(Action::UseCredential, &known.resource()));
    match (theirs.next(), theirs.next()) {
        (None, _) => Ok(None),
        (Some(known), None) => Ok(Some(known.id)),
        (Some(_), Some(_)) if state.credentials.has_installations_own() => Ok(None),
        (Some(first), Some(second)) => {
            let name = |known: &KnownCredential| known.credential.registered.name.to_string();
            let words = format!(
                "you may use several ({}, {} …), and the installation has none: name one",
                name(first),
                name(second)
            );
            Err(unusable("credential-ambiguous", &words))
        }
    }
}

fn unusable(code: &str, words: &str) -> Problem {
    Problem::refused(StatusCode::UNPROCESSABLE_ENTITY, code, "credential", words)
}

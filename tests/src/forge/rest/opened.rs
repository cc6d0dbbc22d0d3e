use std::{collections::HashMap, sync::Arc};

use axum::{
    extract::{FromRequestParts, Path},
    http::request::Parts,
};

use super::Refusal;
use crate::forge::{Forge, Rights, bare::Bare, state::Repository, token::Caller};

/// The repository that a request names, for a caller who may see it.
pub(in crate::forge) struct Opened {
    pub(super) forge: Arc<Forge>,
    pub(super) repo: Repository,
    pub(super) bare: Bare,
    pub(super) rights: Rights,
    names: HashMap<String, String>,
    is_known: bool,
}

impl Opened {
    /// What the path has under that name; empty where it has nothing.
    pub(super) fn name(&self, name: &str) -> &str {
        self.names.get(name).map_or("", String::as_str)
    }

    /// The number in the path.
    pub(super) fn number(&self) -> Result<u64, Refusal> {
        self.name("number").parse().map_err(|_| Refusal::not_found())
    }

    /// Refuses those who may only look.
    pub(super) fn to_write(&self) -> Result<(), Refusal> {
        match (self.rights, self.is_known) {
            (Rights::Write, _) => Ok(()),
            (Rights::Read, true) => Err(Refusal::not_accessible()),
            (Rights::Read, false) => Err(Refusal::requires_authentication()),
        }
    }
}

impl FromRequestParts<Arc<Forge>> for Opened {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, forge: &Arc<Forge>) -> Result<Self, Refusal> {
        let caller = Caller::of(forge, &parts.headers);
        if matches!(caller, Caller::Wrong) {
            return Err(Refusal::bad_credentials());
        }
        let Ok(Path(names)) =
            Path::<HashMap<String, String>>::from_request_parts(parts, forge).await
        else {
            return Err(Refusal::not_found());
        };
        let name = |name: &str| names.get(name).map_or("", String::as_str);
        let found = forge.find(name("owner"), name("name"));
        let (repo, bare) = found.ok_or_else(Refusal::not_found)?;
        let rights = caller.rights_to(&repo).ok_or_else(Refusal::not_found)?;
        let is_known = matches!(caller, Caller::Known(..));
        Ok(Self { forge: Arc::clone(forge), repo, bare, rights, names, is_known })
    }
}

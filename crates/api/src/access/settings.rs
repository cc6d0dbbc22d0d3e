use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use chrono::TimeDelta;

use super::{
    LOCAL_ISSUER,
    known::Known,
    limit::Limit,
    live::Rights,
    oidc::{Failure, Oidc},
};

/// How people come in, as it was configured.
#[derive(Clone, Debug)]
pub struct AccessSettings {
    /// Whether one-time links are offered: on a machine of one's own alone.
    pub links: bool,
    /// How long a browser may rest before it is signed out.
    pub idle: TimeDelta,
    /// How long it stays signed in at most.
    pub absolute: TimeDelta,
}

impl AccessSettings {
    /// On a machine of one's own.
    #[must_use]
    pub const fn local() -> Self {
        Self { links: true, ..Self::shared() }
    }

    /// Where people sign in at a provider.
    #[must_use]
    pub const fn shared() -> Self {
        Self { links: false, idle: TimeDelta::hours(12), absolute: TimeDelta::days(7) }
    }
}

/// Who may come in. Cheap to clone.
#[derive(Clone)]
pub struct Access(Arc<Inner>);

struct Inner {
    settings: AccessSettings,
    known: Known,
    rights: Rights,
    guesses: Limit,
    oidc: Option<Oidc>,
    failures: Mutex<BTreeMap<&'static str, u64>>,
}

impl Access {
    /// By these settings.
    #[must_use]
    pub fn new(settings: AccessSettings, oidc: Option<Oidc>) -> Self {
        let guesses = Limit::new(30);
        let (known, rights) = (Known::default(), Rights::default());
        let failures = Failure::ALL.into_iter().map(|failure| (failure.code(), 0)).collect();
        let failures = Mutex::new(failures);
        Self(Arc::new(Inner { settings, known, rights, guesses, oidc, failures }))
    }

    /// How it was configured.
    #[must_use]
    pub fn settings(&self) -> &AccessSettings {
        &self.0.settings
    }

    /// Rung when somebody may do less than before: live streams are looked at anew at once.
    #[must_use]
    pub fn rights(&self) -> &Rights {
        &self.0.rights
    }

    /// The provider at which people sign in, where there is one.
    #[must_use]
    pub fn oidc(&self) -> Option<&Oidc> {
        self.0.oidc.as_ref()
    }

    /// Whose word counts of who somebody is.
    pub(super) fn issuer(&self) -> &str {
        self.oidc().map_or(LOCAL_ISSUER, |oidc| &oidc.settings().issuer)
    }

    /// How many sign-ins failed in this process, by why.
    #[must_use]
    pub fn failures(&self) -> BTreeMap<&'static str, u64> {
        self.0.failures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One more failed.
    pub(super) fn count(&self, failure: Failure) {
        let mut failures = self.0.failures.lock().unwrap_or_else(PoisonError::into_inner);
        *failures.entry(failure.code()).or_default() += 1;
    }

    pub(super) fn known(&self) -> &Known {
        &self.0.known
    }

    /// Wrong one-time secrets.
    pub(super) fn guesses(&self) -> &Limit {
        &self.0.guesses
    }
}

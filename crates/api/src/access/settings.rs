use std::sync::Arc;

use chrono::TimeDelta;

use super::{known::Known, limit::Limit, live::Rights};

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
}

impl Access {
    /// By these settings.
    #[must_use]
    pub fn new(settings: AccessSettings) -> Self {
        let guesses = Limit::new(30);
        let (known, rights) = (Known::default(), Rights::default());
        Self(Arc::new(Inner { settings, known, rights, guesses }))
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

    pub(super) fn known(&self) -> &Known {
        &self.0.known
    }

    /// Wrong one-time secrets.
    pub(super) fn guesses(&self) -> &Limit {
        &self.0.guesses
    }
}

use crate::settings::{Limits, Profile, Retention};

/// What can be asked of the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// How many runs may be active at once; none: as configuration says again.
    ChangeLimits(Option<Limits>),
    /// Which hosts runs may reach; none: as configuration says again.
    ChangeAllowList(Option<Vec<String>>),
    /// What a harness profile gives. Makes it where there is none.
    ChangeProfile {
        /// Its name.
        name: String,
        /// What it gives.
        profile: Box<Profile>,
    },
    /// Takes a harness profile away.
    RemoveProfile {
        /// Its name.
        name: String,
        /// Whether configuration has one of that name.
        configured: bool,
    },
    /// How long things are kept; none: as configuration says again.
    ChangeRetention(Option<Retention>),
}

use domain::settings::{
    DEFAULT_PROFILE, Fault, Limits, Profile, Retention, checked_hosts, checked_name,
};
use serde::Serialize;

use crate::profiles::Profiles;

/// What configuration says: what holds until somebody changes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Configured {
    /// How many runs may be active at once.
    pub limits: Layer<Limits>,
    /// Which hosts runs may reach.
    pub allow_list: Layer<Vec<String>>,
    /// The harness profiles.
    pub profiles: Profiles,
    /// How long things are kept.
    pub retention: Layer<Retention>,
    /// Where runs are.
    pub place: Place,
}

/// A value with whether configuration gave it; otherwise it is the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Layer<T> {
    /// The value.
    pub value: T,
    /// Whether configuration gave some of it.
    pub given: bool,
}

/// Where an installation's runs are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// In sandboxes on this machine.
    #[default]
    Machine,
    /// In pods of a cluster.
    Cluster,
}

impl Place {
    /// What of a profile cannot be had here. Somebody who asks for a stronger wall or for other tools must not
    /// get less without a word.
    pub(crate) fn faults(self, profile: &Profile) -> Vec<Fault> {
        let fault =
            |field: &str, words: &str| Fault { field: field.to_owned(), words: words.to_owned() };
        let here = self == Self::Machine;
        let image = (here && profile.image.is_some()).then(|| {
            let words = "there are no images here: runs are sandboxes on this machine, with its own programs; \
                 leave it out";
            fault("image", words)
        });
        let runtime_class = (here && profile.runtime_class.is_some()).then(|| {
            let words = "there is no RuntimeClass here: runs are sandboxes on this machine, not pods; leave it \
                 out";
            fault("runtime_class", words)
        });
        image.into_iter().chain(runtime_class).collect()
    }
}

impl Configured {
    /// What is wrong with it, each with where it is.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = self.limits.value.faults();
        faults.extend(self.retention.value.faults());
        let of = |name: &str, fault: Fault| Fault {
            field: format!("profiles.{name}.{}", fault.field),
            words: fault.words,
        };
        faults.extend(
            checked_hosts(&self.allow_list.value).err().into_iter().flatten().map(|fault| Fault {
                field: fault.field.replace("hosts", "egress_allow"),
                ..fault
            }),
        );
        for (name, profile) in self.profiles.all() {
            let own = checked_name(&name).into_iter().chain(profile.faults());
            faults.extend(own.map(|fault| of(&name, fault)));
        }
        faults
    }

    /// Whether it has a profile of that name.
    pub(crate) fn has_profile(&self, name: &str) -> bool {
        name == DEFAULT_PROFILE || self.profiles.get(name).is_some()
    }
}

use chrono::{DateTime, Utc};
use domain::settings::{Limits, Retention};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Effective, effective::Source, words};
use crate::profiles::ProfileBody;

/// Where a value is from.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SourceBody {
    /// `default`, `configuration` (flags, environment or file), or `changed` by somebody.
    kind: &'static str,
    /// Who changed it: `user:<id>`, `system:operator`, …
    actor: Option<String>,
    /// When.
    time: Option<DateTime<Utc>>,
    /// The version of the settings that changed it.
    version: Option<u64>,
}

impl From<Source> for SourceBody {
    fn from(source: Source) -> Self {
        let none = |kind| Self { kind, actor: None, time: None, version: None };
        match source {
            Source::Default => none("default"),
            Source::Configuration => none("configuration"),
            Source::Changed(since) => Self {
                kind: "changed",
                actor: Some(since.actor.to_string()),
                time: Some(since.time),
                version: Some(since.version.0),
            },
        }
    }
}

/// How many runs may be active at once.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "they are the names of the interface")]
pub(crate) struct LimitsValues {
    /// In the whole installation; 0 to 10,000. With 0 every new run waits.
    pub(crate) max_runs: u32,
    /// Of one person; 0 to 10,000.
    pub(crate) max_runs_per_owner: u32,
    /// Of one session: always 1, because its bundle is one line. To work in parallel, fork the session.
    #[serde(default = "one")]
    pub(crate) max_runs_per_session: u32,
}

const fn one() -> u32 {
    1
}

impl From<Limits> for LimitsValues {
    fn from(limits: Limits) -> Self {
        let Limits { max_runs, max_runs_per_owner } = limits;
        Self { max_runs, max_runs_per_owner, max_runs_per_session: 1 }
    }
}

/// Which hosts runs may reach beside the forge and the model.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AllowListValues {
    /// Each is `example.org`, `.example.org` (every name below it) or one of them with `:port`; at most 500.
    pub(crate) hosts: Vec<String>,
}

/// How long what runs leave behind is kept.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetentionValues {
    /// How many minutes a bundle stays that a newer one of the same run superseded; 10 to 525,600.
    pub(crate) superseded_bundle_minutes: u32,
    /// How many days a session's older bundles stay, never the one it goes on from; 1 to 36,500. Null: as long as
    /// the session.
    pub(crate) bundle_days: Option<u32>,
    /// How many days a run's output stays after its end, with what was recorded of its terminal; 1 to 36,500.
    /// Null: as long as the session.
    pub(crate) output_days: Option<u32>,
    /// How many hours an upload that broke off may be gone on with; 1 to 8,760.
    pub(crate) partial_upload_hours: u32,
}

impl From<Retention> for RetentionValues {
    fn from(of: Retention) -> Self {
        Self {
            superseded_bundle_minutes: of.superseded_bundle_minutes,
            bundle_days: of.bundle_days,
            output_days: of.output_days,
            partial_upload_hours: of.partial_upload_hours,
        }
    }
}

impl From<RetentionValues> for Retention {
    fn from(of: RetentionValues) -> Self {
        Self {
            superseded_bundle_minutes: of.superseded_bundle_minutes,
            bundle_days: of.bundle_days,
            output_days: of.output_days,
            partial_upload_hours: of.partial_upload_hours,
        }
    }
}

/// The limits, as they hold.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LimitsSection {
    value: LimitsValues,
    source: SourceBody,
    /// What holds where nobody changes it.
    configured: LimitsValues,
    /// When a change has its effect, and on which runs.
    effect: &'static str,
}

/// The allow-list, as it holds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AllowListSection {
    value: AllowListValues,
    source: SourceBody,
    /// What holds where nobody changes it.
    configured: AllowListValues,
    /// When a change has its effect, and on which runs.
    effect: &'static str,
}

/// The retention, as it holds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RetentionSection {
    value: RetentionValues,
    source: SourceBody,
    /// What holds where nobody changes it.
    configured: RetentionValues,
    /// When a change has its effect, and on which runs.
    effect: &'static str,
}

/// The harness profiles, as they hold.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProfilesSection {
    items: Vec<ProfileBody>,
    /// When a change has its effect, and on which runs.
    effect: &'static str,
}

/// The settings of the installation, as they hold.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SettingsBody {
    /// The version of the settings: what `If-Match` is about.
    version: u64,
    /// Where runs are: `machine` or `cluster`.
    place: &'static str,
    limits: LimitsSection,
    allow_list: AllowListSection,
    profiles: ProfilesSection,
    retention: RetentionSection,
}

impl SettingsBody {
    pub(super) fn of(effective: &Effective) -> Self {
        let configured = &effective.configured;
        let profiles = effective.profiles().into_iter();
        Self {
            version: effective.version().0,
            place: words::place(configured.place),
            limits: LimitsSection {
                value: effective.limits().into(),
                source: effective.limits_source().into(),
                configured: configured.limits.value.into(),
                effect: words::LIMITS,
            },
            allow_list: AllowListSection {
                value: AllowListValues { hosts: effective.allow_list() },
                source: effective.allow_list_source().into(),
                configured: AllowListValues { hosts: configured.allow_list.value.clone() },
                effect: words::ALLOW_LIST,
            },
            profiles: ProfilesSection {
                items: profiles.map(|(name, p)| ProfileBody::of(effective, name, p)).collect(),
                effect: words::PROFILES,
            },
            retention: RetentionSection {
                value: effective.retention().into(),
                source: effective.retention_source().into(),
                configured: configured.retention.value.into(),
                effect: words::RETENTION,
            },
        }
    }
}

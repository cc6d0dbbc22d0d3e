use std::sync::Arc;

use commands::Commands;
use domain::stream::StreamId;
use projections::Views;
use sqlx::PgPool;
use url::Url;

use crate::{
    access::Known, bundles::Bundles, gateway::Decisions, github::GitHub, link::Links,
    output::Outputs, profiles::Profiles, pulls::PullChecks, system::System,
};

/// What the public API works with. Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// Where commands go.
    pub commands: Commands,
    /// Where reads come from.
    pub views: Views,
    /// The forge.
    pub github: GitHub,
    /// Stored output.
    pub outputs: Outputs,
    /// Stored bundles.
    pub bundles: Bundles,
    /// The gateways' decisions.
    pub decisions: Decisions,
    /// The links held by this process.
    pub links: Links,
    /// When which pull request was looked at.
    pub pulls: PullChecks,
    /// How the installation's parts are.
    pub system: System,
    /// Who was let in lately.
    pub known: Known,
    /// What was decided by configuration.
    pub settings: Arc<Settings>,
}

/// What was decided by configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address that people use.
    pub public_url: Url,
    /// The harness profiles.
    pub profiles: Profiles,
}

impl AppState {
    pub(crate) fn pool(&self) -> &PgPool {
        self.commands.pool()
    }
}

/// The stream in a `?at_least=<stream>@<version>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AtLeast {
    pub(crate) stream: StreamId,
    pub(crate) version: domain::ids::StreamVersion,
}

impl std::str::FromStr for AtLeast {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "is not <stream>@<version>, as a command answers them";
        let (stream, version) = text.split_once('@').ok_or(FORM)?;
        Ok(Self {
            stream: stream.parse().map_err(|_| FORM)?,
            version: version.parse().map_err(|_| FORM)?,
        })
    }
}

use std::sync::Arc;

use commands::{Commands, access::Authority};
use domain::{github::Repository, stream::StreamId};
use projections::Views;
use sqlx::PgPool;
use url::Url;

use crate::{
    access::{Access, Allowance},
    bundles::Bundles,
    credentials::Credentials,
    gateway::Decisions,
    github::GitHub,
    link::Links,
    output::Outputs,
    problem::Answer,
    pulls::PullChecks,
    settings::{Configured, Installation},
    system::System,
};

/// What the public API works with. Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    /// Where commands go.
    pub commands: Commands,
    /// Who may do what.
    pub authority: Authority,
    /// Where reads come from.
    pub views: Views,
    /// The forge.
    pub github: GitHub,
    /// What requests to it carry, where that is not the installation's own token.
    pub credentials: Credentials,
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
    /// Who may come in.
    pub access: Access,
    /// What was decided by configuration.
    pub settings: Arc<Settings>,
}

/// What was decided by configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The address that people use.
    pub public_url: Url,
    /// What people may change while it runs, as configuration has it.
    pub configured: Arc<Configured>,
    /// Whether runs can be given more than GitHub: there is a door at the gateway for them.
    pub egress_full: bool,
}

impl AppState {
    pub(crate) fn pool(&self) -> &PgPool {
        self.commands.pool()
    }

    /// The forge, as somebody's requests about a repository reach it.
    pub(crate) async fn forge_for(
        &self,
        allowance: &Allowance,
        repo: &Repository,
    ) -> Answer<GitHub> {
        // Where somebody has several, the installation's own token has to do to look.
        let credential = crate::credentials::choose(self, allowance, None).await.unwrap_or(None);
        Ok(self.credentials.forge_with(credential, repo).await?)
    }

    /// Where the settings that people may change are asked for.
    pub(crate) fn installation(&self) -> Installation {
        Installation::new(self.commands.clone(), self.settings.configured.clone())
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

//! How people come in.

use anyhow::{Context as _, bail};
use serde::Serialize;
use url::Url;

use super::{Secret, Settings, is_private, read_secret, required};

/// How people come in.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SignIn {
    /// Whether one-time links are offered.
    pub(crate) links: bool,
    pub(crate) oidc: Option<Oidc>,
    pub(crate) idle_minutes: u32,
    pub(crate) max_hours: u32,
}

/// The OpenID provider at which they sign in.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Oidc {
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: Option<Secret>,
    pub(crate) groups_claim: String,
    pub(crate) scopes: Option<Vec<String>>,
}

impl Oidc {
    /// What the settings say of it; nothing where no issuer is named.
    pub(super) fn of(settings: &Settings) -> anyhow::Result<Option<Self>> {
        let Some(issuer) = settings.oidc_issuer.clone() else {
            if settings.oidc_client_id.is_some() {
                bail!("PADDOCK_OIDC_CLIENT_ID is set and PADDOCK_OIDC_ISSUER is not");
            }
            return Ok(None);
        };
        let url = Url::parse(&issuer).with_context(|| format!("oidc_issuer = {issuer}"))?;
        if !is_private(&url) || url.query().is_some() || url.fragment().is_some() {
            bail!("oidc_issuer = {issuer}: it is an https address without ? and #");
        }
        let client_secret = match (&settings.oidc_client_secret, &settings.oidc_client_secret_file)
        {
            (Some(_), Some(_)) => bail!(
                "PADDOCK_OIDC_CLIENT_SECRET and PADDOCK_OIDC_CLIENT_SECRET_FILE are both set: give one"
            ),
            (Some(secret), None) => Some(secret.clone()),
            (None, file) => file.as_deref().map(read_secret).transpose()?,
        };
        Ok(Some(Self {
            issuer,
            client_id: required(settings.oidc_client_id.clone(), "PADDOCK_OIDC_CLIENT_ID")?,
            client_secret,
            groups_claim: settings.oidc_groups_claim.clone().unwrap_or_else(|| "groups".to_owned()),
            scopes: settings
                .oidc_scopes
                .as_ref()
                .map(|scopes| scopes.split_whitespace().map(str::to_owned).collect()),
        }))
    }
}

use std::{sync::Arc, time::Duration};

use commands::Context;
use jsonwebtoken::jwk::JwkSet;
use openidconnect::{DiscoveryError, HttpRequest, IssuerUrl, ProviderMetadataWithLogout};
use tokio::{sync::Mutex, time::Instant};
use url::Url;

use super::{
    Failure, OidcSettings,
    http::{Http, HttpError},
};

/// How long what the provider says of itself is taken as it was.
const FRESH: Duration = Duration::from_mins(10);
/// How long it is left alone after it did not answer, or gave its keys.
const PAUSE: Duration = Duration::from_secs(2);
/// How long its keys are not asked for again, however many tokens come that no key fits.
const KEYS_PAUSE: Duration = Duration::from_secs(10);

/// An OpenID provider. It is asked when it is needed: one that is down stops nobody who is signed in. Cheap to
/// clone.
#[derive(Clone)]
pub struct Oidc(Arc<Inner>);

struct Inner {
    settings: OidcSettings,
    redirect: Url,
    http: Http,
    context: Context,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    provider: Option<Arc<Provider>>,
    failed: Option<Instant>,
}

/// What the provider says of itself, with its keys.
pub(super) struct Provider {
    pub(super) metadata: ProviderMetadataWithLogout,
    pub(super) keys: JwkSet,
    at: Instant,
}

impl Oidc {
    /// The provider of these settings, for a server at `public_url`. Nothing is asked yet.
    pub fn new(
        settings: OidcSettings,
        public_url: &Url,
        context: Context,
    ) -> Result<Self, reqwest::Error> {
        let mut redirect = public_url.clone();
        redirect.set_path("/login/callback");
        let found = Mutex::default();
        Ok(Self(Arc::new(Inner { settings, redirect, http: Http::new()?, context, found })))
    }

    /// Asks the provider for what it says of itself, so that the first to sign in need not wait.
    pub async fn prepare(&self) {
        if self.provider().await.is_err() {
            tracing::warn!(
                issuer = self.0.settings.issuer,
                "the OpenID provider does not answer: nobody can sign in until it does"
            );
        }
    }

    pub(crate) fn settings(&self) -> &OidcSettings {
        &self.0.settings
    }

    pub(super) fn redirect(&self) -> &Url {
        &self.0.redirect
    }

    pub(super) fn http(&self) -> Http {
        self.0.http.clone()
    }

    pub(super) fn context(&self) -> &Context {
        &self.0.context
    }

    /// Whether the provider can be asked now.
    pub(crate) async fn answers(&self) -> bool {
        self.provider().await.is_ok()
    }

    /// The provider as it lately said it is.
    pub(super) async fn provider(&self) -> Result<Arc<Provider>, Failure> {
        let mut found = self.0.found.lock().await;
        match &found.provider {
            Some(known) if known.at.elapsed() < FRESH => Ok(known.clone()),
            Some(known) => {
                let known = known.clone();
                // What it said before holds while it is away.
                Ok(self.ask(&mut found).await.unwrap_or(known))
            }
            None => self.ask(&mut found).await,
        }
    }

    /// The provider with keys younger than those that fit nothing: they are changed now and then.
    pub(super) async fn renewed(&self, old: &Provider) -> Result<Arc<Provider>, Failure> {
        let mut found = self.0.found.lock().await;
        match &found.provider {
            Some(known) if known.at > old.at || known.at.elapsed() < KEYS_PAUSE => {
                Ok(known.clone())
            }
            _ => self.ask(&mut found).await,
        }
    }

    async fn ask(&self, found: &mut Found) -> Result<Arc<Provider>, Failure> {
        if found.failed.is_some_and(|at| at.elapsed() < PAUSE) {
            return Err(Failure::ProviderUnavailable);
        }
        match self.discover().await {
            Ok(provider) => {
                let provider = Arc::new(provider);
                *found = Found { provider: Some(provider.clone()), failed: None };
                Ok(provider)
            }
            Err(error) => {
                found.failed = Some(Instant::now());
                let error = in_words(&error);
                tracing::warn!(error, "the OpenID provider cannot be asked");
                Err(Failure::ProviderUnavailable)
            }
        }
    }

    async fn discover(&self) -> Result<Provider, DiscoveryError<HttpError>> {
        let http = self.http();
        let send = move |request: HttpRequest| http.clone().send(request);
        let issuer =
            IssuerUrl::new(self.0.settings.issuer.clone()).map_err(DiscoveryError::UrlParse)?;
        let metadata = ProviderMetadataWithLogout::discover_async(issuer, &send).await?;
        let keys = serde_json::to_value(metadata.jwks())
            .and_then(serde_json::from_value)
            .map_err(|error| DiscoveryError::Other(error.to_string()))?;
        Ok(Provider { metadata, keys, at: Instant::now() })
    }
}

/// An error with what is behind it.
pub(super) fn in_words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        words = format!("{words}: {error}");
        source = error.source();
    }
    words
}

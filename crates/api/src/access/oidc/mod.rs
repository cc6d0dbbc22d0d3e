//! Signing in at an OpenID provider: the code flow with PKCE, state and nonce, and what the provider says of
//! sign-ins that ended.

mod exchange;
mod failure;
mod http;
mod identity;
mod logout_token;
mod provider;

use std::fmt;

use chrono::TimeDelta;
use openidconnect::core::CoreJwsSigningAlgorithm;

pub(super) use self::logout_token::{Ended, LogoutTokenError};
pub use self::provider::Oidc;
pub(crate) use self::{failure::Failure, identity::Identity};

/// How far the provider's clock may be from ours.
pub(super) const LEEWAY: TimeDelta = TimeDelta::seconds(60);
/// How old a token may be when it comes.
pub(super) const MAX_AGE: TimeDelta = TimeDelta::minutes(10);

/// Signatures that only the provider can make. None at all, and those by a secret that both know, are not among
/// them: whoever has the provider's public key could make one that looks right.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// The provider, as it was configured.
#[derive(Clone)]
pub struct OidcSettings {
    /// Its issuer, exactly as it writes it.
    pub issuer: String,
    /// What it knows us by.
    pub client_id: String,
    /// What we prove that with; a public client has none.
    pub client_secret: Option<String>,
    /// The claim that holds a person's groups; a dot leads into an object.
    pub groups_claim: String,
    /// What is asked for beside `openid`; by what the provider offers unless told otherwise.
    pub scopes: Option<Vec<String>>,
}

impl fmt::Debug for OidcSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OidcSettings")
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

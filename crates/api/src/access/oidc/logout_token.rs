use chrono::{DateTime, TimeDelta, Utc};
use jsonwebtoken::{
    Algorithm, DecodingKey, Header, Validation, decode, decode_header,
    jwk::{AlgorithmParameters, Jwk, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{LEEWAY, MAX_AGE, Oidc, provider::Provider};

/// The event that a logout token tells of.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// Why a logout token is not acted on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LogoutTokenError {
    /// It cannot be looked at now.
    #[error("the provider's keys cannot be had now")]
    Unavailable,
    /// It is not a logout token of this provider for us.
    #[error("{0}")]
    Invalid(&'static str),
}

use LogoutTokenError::{Invalid, Unavailable};

/// The sign-ins that ended, as the provider says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Of whom; where it is not said, `sid` is.
    pub(crate) subject: Option<String>,
    /// Which; all of the subject's where it is not said.
    pub(crate) sid: Option<String>,
    /// The token's own name, by which it is acted on once.
    pub(crate) jti: String,
    /// Until when it could come again.
    pub(crate) until: DateTime<Utc>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: Audience,
    iat: i64,
    exp: Option<i64>,
    jti: String,
    sub: Option<String>,
    sid: Option<String>,
    events: Map<String, Value>,
    nonce: Option<Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Oidc {
    /// What a logout token says, once it is proven that the provider says it, to us, lately.
    pub(crate) async fn ended(&self, token: &str) -> Result<Ended, LogoutTokenError> {
        let header = decode_header(token).map_err(|_| Invalid("it is no signed token"))?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(Invalid("its signature is not one that only the provider can make"));
        }
        let kind = header.typ.as_deref().unwrap_or("JWT").to_ascii_lowercase();
        if !matches!(kind.trim_start_matches("application/"), "jwt" | "logout+jwt") {
            return Err(Invalid("its type is not that of a logout token"));
        }
        let provider = self.provider().await.map_err(|_| Unavailable)?;
        let claims = match signed(&provider, &header, token) {
            Err(None) => {
                let renewed = self.renewed(&provider).await.map_err(|_| Unavailable)?;
                signed(&renewed, &header, token)
                    .map_err(|error| error.unwrap_or(Invalid("no key of the provider fits it")))?
            }
            Err(Some(error)) => return Err(error),
            Ok(claims) => claims,
        };
        let issuer = provider.metadata.issuer().as_str();
        checked(claims, issuer, &self.settings().client_id, self.context().now())
    }
}

/// The claims, if a key of the provider's made the signature; no error is that no key fits.
fn signed(
    provider: &Provider,
    header: &Header,
    token: &str,
) -> Result<Claims, Option<LogoutTokenError>> {
    let mut fitting = provider.keys.keys.iter().filter(|key| fits(key, header));
    let key = fitting.next().ok_or(None)?;
    if fitting.next().is_some() {
        return Err(Some(Invalid("it does not say which key made its signature")));
    }
    let key = DecodingKey::from_jwk(key).map_err(|_| Some(Invalid("its key cannot be used")))?;
    // Times, issuer and audience are looked at below, by our own clock.
    let mut validation = Validation::new(header.alg);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_aud = false;
    decode::<Claims>(token, &key, &validation)
        .map(|decoded| decoded.claims)
        .map_err(|_| Some(Invalid("its signature or its form is wrong")))
}

fn fits(key: &Jwk, header: &Header) -> bool {
    let signs = !matches!(key.common.public_key_use, Some(PublicKeyUse::Encryption));
    let named = header.kid.is_none() || key.common.key_id == header.kid;
    let family = match &key.algorithm {
        AlgorithmParameters::RSA(_) => {
            !matches!(header.alg, Algorithm::ES256 | Algorithm::ES384 | Algorithm::EdDSA)
        }
        AlgorithmParameters::EllipticCurve(_) => {
            matches!(header.alg, Algorithm::ES256 | Algorithm::ES384)
        }
        AlgorithmParameters::OctetKeyPair(_) => header.alg == Algorithm::EdDSA,
        AlgorithmParameters::OctetKey(_) => false,
    };
    signs && named && family
}

fn checked(
    claims: Claims,
    issuer: &str,
    client: &str,
    now: DateTime<Utc>,
) -> Result<Ended, LogoutTokenError> {
    if claims.iss != issuer {
        return Err(Invalid("another issuer made it"));
    }
    let is_for_us = match &claims.aud {
        Audience::One(one) => one == client,
        Audience::Several(all) => all.iter().any(|one| one == client),
    };
    if !is_for_us {
        return Err(Invalid("it is for another client"));
    }
    let time =
        |seconds| DateTime::from_timestamp(seconds, 0).ok_or(Invalid("a time of it is none"));
    let issued = time(claims.iat)?;
    if issued > now + LEEWAY || issued < now - MAX_AGE - LEEWAY {
        return Err(Invalid("it was not made lately"));
    }
    let expires = claims.exp.map(time).transpose()?;
    if expires.is_some_and(|at| at + LEEWAY <= now) {
        return Err(Invalid("it has expired"));
    }
    if !claims.events.get(EVENT).is_some_and(Value::is_object) {
        return Err(Invalid("it does not tell of a sign-out"));
    }
    if claims.nonce.is_some() {
        return Err(Invalid("it has a nonce, as only tokens of a sign-in do"));
    }
    if claims.sub.is_none() && claims.sid.is_none() {
        return Err(Invalid("it says neither who nor which sign-in"));
    }
    if claims.jti.is_empty() {
        return Err(Invalid("it has no name"));
    }
    let until = issued + MAX_AGE + LEEWAY + TimeDelta::minutes(1);
    Ok(Ended { subject: claims.sub, sid: claims.sid, jti: claims.jti, until })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(change: impl FnOnce(&mut Value)) -> Result<Ended, LogoutTokenError> {
        let now = DateTime::from_timestamp(1_000_000, 0).unwrap();
        let mut claims = json!({
            "iss": "https://idp.test", "aud": "us", "iat": 1_000_000, "exp": 1_000_120, "jti": "j",
            "sub": "alice", "sid": "s", "events": { EVENT: {} },
        });
        change(&mut claims);
        let claims = serde_json::from_value(claims).map_err(|_| Invalid("form"))?;
        checked(claims, "https://idp.test", "us", now)
    }

    #[test]
    fn a_logout_token_is_acted_on_only_as_the_standard_has_it() {
        assert!(check(|_| {}).is_ok());
        assert!(check(|claims| claims["aud"] = json!(["other", "us"])).is_ok());
        assert!(check(|claims| claims["iat"] = json!(1_000_059)).is_ok());
        for (field, value) in [
            ("iss", json!("https://idp.test/")),
            ("aud", json!("them")),
            ("aud", json!(["them"])),
            ("iat", json!(1_000_061)),
            ("iat", json!(1_000_000 - 661)),
            ("exp", json!(1_000_000 - 60)),
            ("events", json!({})),
            ("events", json!({ EVENT: true })),
            ("events", json!({ "http://schemas.openid.net/event/other": {} })),
            ("nonce", json!("n")),
            ("jti", json!("")),
            ("iat", json!(null)),
            ("jti", json!(null)),
            ("events", json!(null)),
        ] {
            let refused = check(|claims| claims[field] = value.clone());
            assert!(refused.is_err(), "{field} = {value}");
        }
        let nobody = check(|claims| {
            claims["sub"] = Value::Null;
            claims["sid"] = Value::Null;
        });
        assert!(nobody.is_err());
    }
}

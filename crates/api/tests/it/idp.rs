//! An OpenID provider that keeps the rules unless a test tells it not to: for tokens that a real one never makes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use axum::{
    Form, Json, Router,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;

pub(crate) const CLIENT: &str = "paddock";
pub(crate) const SECRET: &str = "the client's secret";

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signed {
    /// As it should be.
    Right,
    /// Not at all: algorithm `none`.
    None,
    /// By HS256, with something public as the secret.
    By(Public),
    /// By a key of somebody else's, under the provider's key's name.
    ByAnother,
    /// By a key that the provider does not have, under its own name.
    ByUnknown,
    /// Rightly, and then its claims were changed.
    Changed,
    /// By HS256, with the client's secret.
    BySecret,
}

/// What everybody knows of the provider's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Public {
    Point,
    Jwk,
    Pem,
}

type Change = Arc<dyn Fn(&mut Value) + Send + Sync>;

/// What a test may change while it runs.
pub(crate) struct Behaviour {
    /// Who signs in.
    pub(crate) subject: String,
    /// What is changed of a token's claims before it is signed.
    pub(crate) change: Change,
    pub(crate) signed: Signed,
    /// What `/userinfo` says; nothing is 404.
    pub(crate) userinfo: Option<Value>,
    /// The issuer that the browser is sent back with.
    pub(crate) iss: Option<String>,
    /// Refuses whoever comes.
    pub(crate) refuses: bool,
    /// Answers nothing but 503.
    pub(crate) down: bool,
}

#[derive(Default)]
struct Code {
    challenge: String,
    nonce: String,
    redirect: String,
}

struct Inner {
    issuer: String,
    key: Vec<u8>,
    other: Vec<u8>,
    point: Vec<u8>,
    behaviour: Mutex<Behaviour>,
    codes: Mutex<HashMap<String, Code>>,
    /// Every query with which a browser came.
    seen: Mutex<Vec<HashMap<String, String>>>,
}

/// A running provider.
pub(crate) struct Idp {
    inner: Arc<Inner>,
    serving: Mutex<Option<JoinHandle<()>>>,
}

fn key() -> Vec<u8> {
    let document =
        EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
    document.unwrap().as_ref().to_vec()
}

impl Idp {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let key = key();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key, &SystemRandom::new());
        let behaviour = Behaviour {
            subject: "alice".to_owned(),
            change: Arc::new(|_| {}),
            signed: Signed::Right,
            userinfo: None,
            iss: None,
            refuses: false,
            down: false,
        };
        let inner = Arc::new(Inner {
            issuer: format!("http://{address}"),
            point: pair.unwrap().public_key().as_ref().to_vec(),
            key,
            other: self::key(),
            behaviour: Mutex::new(behaviour),
            codes: Mutex::default(),
            seen: Mutex::default(),
        });
        let idp = Self { inner, serving: Mutex::new(None) };
        idp.serve(listener);
        idp
    }

    fn serve(&self, listener: tokio::net::TcpListener) {
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/jwks", get(jwks))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            .with_state(self.inner.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        *self.serving.lock().unwrap() = Some(serving);
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.inner.issuer
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.inner.behaviour.lock().unwrap());
    }

    /// Changes the claims of tokens from now on.
    pub(crate) fn claims(&self, change: impl Fn(&mut Value) + Send + Sync + 'static) {
        self.set(|behaviour| behaviour.change = Arc::new(change));
    }

    /// What the last browser came with.
    pub(crate) fn asked(&self) -> HashMap<String, String> {
        self.inner.seen.lock().unwrap().last().unwrap().clone()
    }

    /// A code that somebody else got, of a sign-in of their own.
    pub(crate) fn code_of_another(&self) -> String {
        let code = Code {
            challenge: challenge("another's verifier"),
            nonce: "another's nonce".to_owned(),
            redirect: self.asked()["redirect_uri"].clone(),
        };
        self.inner.codes.lock().unwrap().insert("another".to_owned(), code);
        "another".to_owned()
    }

    /// A logout token.
    pub(crate) fn logout_token(&self, signed: Signed, change: impl FnOnce(&mut Value)) -> String {
        let now = chrono::Utc::now().timestamp();
        let mut claims = json!({
            "iss": self.issuer(), "aud": CLIENT, "iat": now, "exp": now + 120,
            "jti": uuid::Uuid::now_v7().to_string(),
            "sub": self.inner.behaviour.lock().unwrap().subject,
            "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
        });
        change(&mut claims);
        self.inner.sign(&claims, signed, "logout+jwt")
    }
}

impl Drop for Idp {
    fn drop(&mut self) {
        if let Some(serving) = self.serving.lock().unwrap().take() {
            serving.abort();
        }
    }
}

fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

impl Inner {
    fn jwk(&self) -> Value {
        let (x, y) = self.point[1..].split_at(32);
        json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "one",
            "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        })
    }

    fn pem(&self) -> String {
        use base64::engine::general_purpose::STANDARD;
        let mut der = hex::decode("3059301306072a8648ce3d020106082a8648ce3d030107034200").unwrap();
        der.extend_from_slice(&self.point);
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
    }

    fn sign(&self, claims: &Value, signed: Signed, typ: &str) -> String {
        let header = |alg, kid: &str| Header {
            typ: Some(typ.to_owned()),
            kid: Some(kid.to_owned()),
            ..Header::new(alg)
        };
        let encode =
            |header: Header, key: EncodingKey| jsonwebtoken::encode(&header, claims, &key).unwrap();
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        match signed {
            Signed::Right => {
                encode(header(Algorithm::ES256, "one"), EncodingKey::from_ec_der(&self.key))
            }
            Signed::None => {
                format!("{}.{}.", part(&json!({ "alg": "none", "typ": typ })), part(claims))
            }
            Signed::By(public) => {
                let secret = match public {
                    Public::Point => self.point.clone(),
                    Public::Jwk => self.jwk().to_string().into_bytes(),
                    Public::Pem => self.pem().into_bytes(),
                };
                encode(header(Algorithm::HS256, "one"), EncodingKey::from_secret(&secret))
            }
            Signed::ByAnother => {
                encode(header(Algorithm::ES256, "one"), EncodingKey::from_ec_der(&self.other))
            }
            Signed::ByUnknown => {
                encode(header(Algorithm::ES256, "two"), EncodingKey::from_ec_der(&self.other))
            }
            Signed::BySecret => {
                encode(header(Algorithm::HS256, "one"), EncodingKey::from_secret(SECRET.as_bytes()))
            }
            Signed::Changed => {
                let token = self.sign(claims, Signed::Right, typ);
                let parts: Vec<&str> = token.split('.').collect();
                let mut changed = claims.clone();
                changed["sub"] = json!("mallory");
                format!("{}.{}.{}", parts[0], part(&changed), parts[2])
            }
        }
    }

    fn is_down(&self) -> Result<(), StatusCode> {
        if self.behaviour.lock().unwrap().down {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        Ok(())
    }
}

async fn discovery(State(idp): State<Arc<Inner>>) -> Result<Json<Value>, StatusCode> {
    idp.is_down()?;
    let url = |path: &str| format!("{}{path}", idp.issuer);
    let userinfo = idp.behaviour.lock().unwrap().userinfo.is_some();
    Ok(Json(json!({
        "issuer": idp.issuer,
        "authorization_endpoint": url("/authorize"),
        "token_endpoint": url("/token"),
        "jwks_uri": url("/jwks"),
        "userinfo_endpoint": userinfo.then(|| url("/userinfo")),
        "end_session_endpoint": url("/end"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        // It says that it could, so that what refuses is ours.
        "id_token_signing_alg_values_supported": ["ES256", "HS256", "none"],
        "scopes_supported": ["openid", "groups"],
    })))
}

async fn jwks(State(idp): State<Arc<Inner>>) -> Result<Json<Value>, StatusCode> {
    idp.is_down()?;
    Ok(Json(json!({ "keys": [idp.jwk()] })))
}

async fn authorize(
    State(idp): State<Arc<Inner>>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let (redirect, state) = (query["redirect_uri"].clone(), query["state"].clone());
    let code = Code {
        challenge: query.get("code_challenge").cloned().unwrap_or_default(),
        nonce: query.get("nonce").cloned().unwrap_or_default(),
        redirect: redirect.clone(),
    };
    idp.seen.lock().unwrap().push(query);
    let mut url = url::Url::parse(&redirect).unwrap();
    let (refuses, iss) = {
        let behaviour = idp.behaviour.lock().unwrap();
        (behaviour.refuses, behaviour.iss.clone())
    };
    if refuses {
        url.query_pairs_mut().append_pair("error", "access_denied");
    } else {
        let name = uuid::Uuid::now_v7().to_string();
        idp.codes.lock().unwrap().insert(name.clone(), code);
        url.query_pairs_mut().append_pair("code", &name);
    }
    url.query_pairs_mut().append_pair("state", &state);
    if let Some(iss) = iss {
        url.query_pairs_mut().append_pair("iss", &iss);
    }
    Redirect::to(url.as_str()).into_response()
}

async fn token(
    State(idp): State<Arc<Inner>>,
    Form(form): Form<HashMap<String, String>>,
) -> Result<Json<Value>, Response> {
    idp.is_down().map_err(IntoResponse::into_response)?;
    let refused =
        || (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" }))).into_response();
    let code = idp.codes.lock().unwrap().remove(&form["code"]).ok_or_else(refused)?;
    let verifier = form.get("code_verifier").ok_or_else(refused)?;
    if challenge(verifier) != code.challenge || form["redirect_uri"] != code.redirect {
        return Err(refused());
    }
    let now = chrono::Utc::now().timestamp();
    let (change, signed, subject) = {
        let behaviour = idp.behaviour.lock().unwrap();
        (behaviour.change.clone(), behaviour.signed, behaviour.subject.clone())
    };
    let mut claims = json!({
        "iss": idp.issuer, "aud": CLIENT, "sub": subject, "iat": now, "exp": now + 300,
        "nonce": code.nonce, "name": subject, "groups": ["dev"], "sid": format!("sid of {subject}"),
    });
    change(&mut claims);
    let id_token = idp.sign(&claims, signed, "JWT");
    Ok(Json(json!({
        "access_token": "an access token", "token_type": "Bearer", "expires_in": 300, "id_token": id_token,
    })))
}

async fn userinfo(State(idp): State<Arc<Inner>>) -> Result<Json<Value>, StatusCode> {
    idp.behaviour.lock().unwrap().userinfo.clone().map(Json).ok_or(StatusCode::NOT_FOUND)
}

//! The two configured servers: dialled as configured, with their credential, redirects never
//! followed.

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use url::Url;
use zeroize::Zeroizing;

use crate::{
    Error,
    answer::{Body, line},
    body::{Metered, Way},
    config::{self, Secret},
    decision::Record,
    redact::{Needle, Redacted},
};

const CONNECT: Duration = Duration::from_secs(10);
/// Reasoning models and forges that index a large push say nothing for minutes.
pub(crate) const PATIENCE: Duration = Duration::from_mins(10);

pub(crate) struct Upstream {
    http: reqwest::Client,
    base: Url,
    /// Its own credential.
    own: Option<Arc<Injected>>,
    /// What it is called towards the sandbox.
    name: &'static str,
}

/// A credential as requests carry it. Without `Debug`: it is a secret.
pub(crate) struct Injected {
    authorization: HeaderValue,
    /// The credential in its two forms, which no answer may hold.
    needles: [Option<Needle>; 2],
}

impl Injected {
    fn new(secret: &str, text: &Zeroizing<String>, name: &'static str) -> Result<Self, Error> {
        let encoded = text.split_once(' ').map_or("", |(_, encoded)| encoded);
        let needles = [Needle::new(secret), Needle::new(encoded).filter(|_| encoded != secret)];
        let mut authorization = HeaderValue::from_str(text).map_err(|_| Error::Credential(name))?;
        authorization.set_sensitive(true);
        Ok(Self { authorization, needles })
    }
}

/// A forge's token as git sends it: the password of `x-access-token`.
pub(crate) fn git_credential(token: &str) -> Result<Injected, Error> {
    Injected::new(token, &basic(token), "git")
}

fn basic(token: &str) -> Zeroizing<String> {
    let pair = Zeroizing::new(format!("x-access-token:{token}"));
    Zeroizing::new(format!("Basic {}", BASE64_STANDARD.encode(pair.as_bytes())))
}

/// A request to a path below the base URL.
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    pub(crate) path: String,
    /// In place of the base URL's own.
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: reqwest::Body,
    /// What it carries in place of the upstream's own credential.
    pub(crate) credential: Option<Arc<Injected>>,
}

impl Upstream {
    /// The model provider: `Authorization: Bearer <key>`.
    pub(crate) fn model(config: &config::Upstream) -> Result<Self, Error> {
        let bearer = |key: &Secret| Zeroizing::new(format!("Bearer {}", key.expose()));
        // A connection that the provider closes just as it is used again would fail the request: the
        // body went by and cannot be sent twice.
        Self::new(config, "model", bearer, |http| http.pool_idle_timeout(Duration::from_secs(5)))
    }

    /// The forge: the token as the password of `x-access-token`.
    pub(crate) fn git(config: &config::Upstream) -> Result<Self, Error> {
        let basic = |token: &Secret| basic(token.expose());
        Self::new(config, "git", basic, |http| http.pool_max_idle_per_host(0))
    }

    fn new(
        config: &config::Upstream,
        name: &'static str,
        authorization_of: impl Fn(&Secret) -> Zeroizing<String>,
        tune: impl Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
    ) -> Result<Self, Error> {
        let url = &config.url;
        let plain = url.has_host() && url.username().is_empty() && url.password().is_none();
        if !matches!(url.scheme(), "http" | "https") || !plain {
            return Err(Error::Upstream(name));
        }
        let own = config.credential.as_ref().map(|secret| {
            Injected::new(secret.expose(), &authorization_of(secret), name).map(Arc::new)
        });
        let own = own.transpose()?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .http1_only()
            .referer(false)
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .connect_timeout(CONNECT);
        let mut base = config.url.clone();
        base.set_fragment(None);
        Ok(Self { http: tune(http).build()?, base, own, name })
    }

    /// For the record.
    pub(crate) fn host(&self) -> String {
        self.base.host_str().unwrap_or_default().to_owned()
    }

    /// For the record.
    pub(crate) fn port(&self) -> u16 {
        self.base.port_or_known_default().unwrap_or(0)
    }

    /// Sends a request to a path below the base and passes the answer back as it comes.
    pub(crate) async fn pass(
        &self,
        outgoing: Outgoing,
        keep: impl Fn(&HeaderName) -> bool,
        record: &Record,
    ) -> Response<Body> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{}", self.base.path().trim_end_matches('/'), outgoing.path));
        if outgoing.query.is_some() {
            url.set_query(outgoing.query.as_deref());
        }
        let request = self.http.request(outgoing.method, url);
        let mut request = request.headers(outgoing.headers).body(outgoing.body);
        let credential = outgoing.credential.or_else(|| self.own.clone());
        if let Some(credential) = &credential {
            request = request.header(header::AUTHORIZATION, credential.authorization.clone());
        }
        let sent = tokio::select! {
            sent = request.send() => sent.map_err(Some),
            // Not a time-out from the start: a large push may take longer to go up.
            () = record.idle(PATIENCE) => Err(None),
        };
        let response = match sent {
            Ok(answer) => self.answer(answer, credential.as_deref(), keep, record),
            Err(error) => self.unreachable(error),
        };
        record.status(response.status().as_u16());
        response
    }

    fn answer(
        &self,
        answer: reqwest::Response,
        credential: Option<&Injected>,
        keep: impl Fn(&HeaderName) -> bool,
        record: &Record,
    ) -> Response<Body> {
        if let Some(address) = answer.remote_addr() {
            record.address(address.ip());
        }
        let status = answer.status();
        if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
            return line(
                StatusCode::BAD_GATEWAY,
                &format!(
                    "paddock: the {} upstream answered a redirect, which is not followed",
                    self.name
                ),
            );
        }
        let answer: http::Response<reqwest::Body> = answer.into();
        let (parts, body) = answer.into_parts();
        let body = Metered::new(body, record.clone(), Way::Down, PATIENCE);
        let needles = credential.map(|credential| credential.needles.clone()).unwrap_or_default();
        let [plain, encoded] = needles.clone();
        let body = Redacted::new(Redacted::new(body, plain), encoded);
        let mut response = Response::new(body.boxed_unsync());
        *response.status_mut() = status;
        for (name, value) in &parts.headers {
            let tells = needles.iter().flatten().any(|needle| needle.is_in(value.as_bytes()));
            if keep(name) && !tells {
                response.headers_mut().append(name, value.clone());
            }
        }
        response
    }

    /// No error: it was reached and did not answer.
    fn unreachable(&self, error: Option<reqwest::Error>) -> Response<Body> {
        let error = error.map(reqwest::Error::without_url);
        let text = error.as_ref().map_or_else(|| "no answer".to_owned(), |error| chain(error));
        tracing::warn!(upstream = self.name, error = text, "an upstream does not answer");
        if error.is_none_or(|error| error.is_timeout()) {
            let text = format!("paddock: the {} upstream does not answer", self.name);
            return line(StatusCode::GATEWAY_TIMEOUT, &text);
        }
        line(
            StatusCode::BAD_GATEWAY,
            &format!("paddock: the {} upstream cannot be reached", self.name),
        )
    }
}

/// The whole chain of causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

//! A browser as far as signing in needs one: it keeps cookies by their names and follows redirects when it is told to.

use std::{collections::HashMap, sync::Mutex};

use reqwest::{Method, RequestBuilder, Response, header};
use serde_json::Value;
use url::Url;

use crate::front::{Answered, Front, answered};

/// Cookies by their names.
#[derive(Default)]
pub(crate) struct Jar(Mutex<HashMap<String, String>>);

impl Jar {
    pub(crate) fn cookies(&self) -> HashMap<String, String> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn header(&self) -> String {
        let all = self.cookies().into_iter().map(|(name, value)| format!("{name}={value}"));
        all.collect::<Vec<_>>().join("; ")
    }

    /// Keeps what an answer sets, and drops what it removes.
    pub(crate) fn keep(&self, answer: &Response) {
        let mut cookies = self.0.lock().unwrap();
        for set in answer.headers().get_all(header::SET_COOKIE) {
            let set = set.to_str().unwrap();
            let (name, rest) = set.split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            if value.is_empty() || set.contains("Max-Age=0") {
                cookies.remove(name);
            } else {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

pub(crate) struct Browser {
    http: reqwest::Client,
    jar: Jar,
    base: String,
}

impl Browser {
    pub(crate) fn at(front: &Front) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self { http, jar: Jar::default(), base: front.url("") }
    }

    pub(crate) fn cookies(&self) -> HashMap<String, String> {
        self.jar.cookies()
    }

    pub(crate) fn take_cookies(&self, of: &Self) {
        *self.jar.0.lock().unwrap() = of.cookies();
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let own = format!("{}{path}", self.base);
        self.http.request(method, own).header(header::COOKIE, self.jar.header())
    }

    /// Gets a path or an address, keeps the cookies and does not go on.
    pub(crate) async fn open(&self, at: &str) -> Response {
        let is_own = at.starts_with('/') || at.starts_with(&self.base);
        let request = if is_own {
            self.request(Method::GET, at.strip_prefix(&self.base).unwrap_or(at))
        } else {
            self.http.get(at)
        };
        let answer = request.send().await.unwrap();
        if is_own {
            self.jar.keep(&answer);
        }
        answer
    }

    /// Where it is sent on to.
    pub(crate) async fn sent_on(&self, at: &str) -> String {
        let answer = self.open(at).await;
        let status = answer.status();
        assert!(status == 303 || status == 302, "{at}: {status}");
        answer.headers()["location"].to_str().unwrap().to_owned()
    }

    /// Goes to the provider and comes back: the address of the callback, which is not opened yet.
    pub(crate) async fn to_the_callback(&self) -> String {
        let provider = self.sent_on("/login?return_to=/system").await;
        self.sent_on(&provider).await
    }

    /// Signs in, or is told why not: where it is at the end.
    pub(crate) async fn sign_in(&self) -> String {
        let callback = self.to_the_callback().await;
        self.sent_on(&callback).await
    }

    pub(crate) async fn me(&self) -> Answered {
        answered(self.request(Method::GET, "/api/v1/me")).await
    }

    /// Posts as the page does.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answered {
        let request = self.request(Method::POST, path).header("origin", &self.base);
        answered(request.json(body)).await
    }
}

/// The code with which the page is told why somebody was not signed in.
pub(crate) fn failure(at: &str) -> Option<String> {
    let url = Url::parse("http://x").unwrap().join(at).unwrap();
    assert_eq!(url.path(), "/sign-in", "{at}");
    url.query_pairs().find(|(name, _)| name == "failed").map(|(_, code)| code.into_owned())
}

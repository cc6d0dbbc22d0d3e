//! Signing in at a real OpenID provider: npm's `oidc-provider`, which the test starts.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use serde_json::json;

use crate::{
    browser::{Browser, Jar, failure},
    front::Front,
    idp::{CLIENT, SECRET},
};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

struct Provider {
    child: Child,
    /// What it prints later has somewhere to go.
    _printed: BufReader<ChildStdout>,
    issuer: String,
}

impl Provider {
    /// Starts one that knows the server at `url` as its client.
    fn start(port: u16, url: &str) -> Self {
        let setup = Command::new(format!("{ROOT}/scripts/oidc-provider")).output().unwrap();
        assert!(setup.status.success(), "{}", String::from_utf8_lossy(&setup.stderr));
        let package = String::from_utf8(setup.stdout).unwrap().trim().to_owned();
        let node = Command::new(format!("{ROOT}/scripts/node")).output().unwrap();
        let node = format!("{}/node", String::from_utf8(node.stdout).unwrap().trim());
        let client = json!({
            "client_id": CLIENT,
            "client_secret": SECRET,
            "redirect_uris": [format!("{url}/login/callback")],
            "post_logout_redirect_uris": [format!("{url}/sign-in")],
            "backchannel_logout_uri": format!("{url}/logout/backchannel"),
            "backchannel_logout_session_required": true,
        });
        let mut child = Command::new(node)
            .arg(format!("{ROOT}/tests/oidc/provider.mjs"))
            .args([&package, &port.to_string(), &client.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut issuer = String::new();
        let mut printed = BufReader::new(child.stdout.take().unwrap());
        printed.read_line(&mut issuer).unwrap();
        Self { child, _printed: printed, issuer: issuer.trim().to_owned() }
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A browser at the provider: it keeps that one's cookies and fills in its forms.
struct AtProvider(reqwest::Client, Jar);

impl AtProvider {
    fn new() -> Self {
        let client =
            reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        Self(client.build().unwrap(), Jar::default())
    }

    /// Goes on from an address until the provider sends the browser back to `base`: where to.
    async fn through(&self, from: &str, login: &str, base: &str) -> String {
        let mut at = url::Url::parse(from).unwrap();
        for _ in 0..20 {
            let request = self.0.get(at.clone()).header("cookie", self.1.header());
            let answer = request.send().await.unwrap();
            self.1.keep(&answer);
            let next = if answer.status().is_redirection() {
                answer.headers()["location"].to_str().unwrap().to_owned()
            } else {
                let page = answer.text().await.unwrap();
                self.fill_in(&at, &page, login).await
            };
            at = at.join(&next).unwrap();
            if at.as_str().starts_with(base) {
                return at.to_string();
            }
        }
        panic!("the provider never came to an end: {at}");
    }

    /// Sends the page's form as a person does; gives where that leads.
    async fn fill_in(&self, at: &url::Url, page: &str, login: &str) -> String {
        let action = page.split("action=\"").nth(1).unwrap_or_else(|| panic!("no form: {page}"));
        let action = action.split('"').next().unwrap().replace("&amp;", "&");
        let mut fields = vec![("login", login), ("password", "any")];
        for field in ["prompt", "xsrf", "logout"] {
            let Some(rest) = page.split(&format!("name=\"{field}\"")).nth(1) else { continue };
            let value = rest.split('>').next().unwrap().split("value=\"").nth(1);
            fields.push((field, value.map_or("yes", |value| value.split('"').next().unwrap())));
        }
        let body =
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let answer = self
            .0
            .post(at.join(&action).unwrap())
            .header("content-type", "application/x-www-form-urlencoded")
            .header("cookie", self.1.header())
            .body(body)
            .send()
            .await
            .unwrap();
        self.1.keep(&answer);
        assert!(answer.status().is_redirection(), "{}: {}", answer.status(), page);
        answer.headers()["location"].to_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn somebody_signs_in_and_out_at_a_real_provider_and_it_signs_out_their_other_browser() {
    // Taken and let go of: the provider's issuer is in the server's settings, and its client's address in its own.
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let front = Front::at_provider(&format!("http://127.0.0.1:{port}"), |_| {}).await;
    let base = front.url("");
    let provider = Provider::start(port, &base);
    assert_eq!(provider.issuer, format!("http://127.0.0.1:{port}"));
    let at_provider = AtProvider::new();
    let sign_in = async |browser: &Browser, at_provider: &AtProvider, login: &str| {
        let begun = browser.sent_on("/login?return_to=/system").await;
        assert!(begun.starts_with(&provider.issuer), "{begun}");
        let callback = at_provider.through(&begun, login, &base).await;
        browser.sent_on(&callback).await
    };
    let browser = Browser::at(&front);
    assert_eq!(sign_in(&browser, &at_provider, "alice+dev+ops").await, "/system");
    let me = browser.me().await.body;
    assert_eq!((&me["name"], &me["email"]), (&json!("alice"), &json!("alice@idp.test")));
    assert_eq!(me["groups"], json!(["dev", "ops"]));
    // Somebody of whom it tells no groups.
    let bob = Browser::at(&front);
    sign_in(&bob, &AtProvider::new(), "bob").await;
    assert_eq!(bob.me().await.body["groups"], serde_json::Value::Null);
    // A second browser of the same sign-in at the provider.
    let second = Browser::at(&front);
    assert_eq!(sign_in(&second, &at_provider, "alice+dev+ops").await, "/system");
    // The provider does not take what was not asked for with PKCE.
    let plain = browser.sent_on("/login").await.replace("code_challenge", "no_challenge");
    let refused = at_provider.through(&plain, "alice+dev+ops", &base).await;
    assert_eq!(failure(&browser.sent_on(&refused).await).as_deref(), Some("provider-refused"));
    // Signing out goes on at the provider, which tells the server to sign the other browser out.
    let out = browser.post("/api/v1/sign-out", &json!({})).await;
    assert_eq!(out.status, 200, "{}", out.body);
    assert_eq!(browser.me().await.status, 401);
    assert_eq!(second.me().await.status, 200);
    let end = out.body["continue_at"].as_str().unwrap();
    let back = at_provider.through(end, "alice+dev+ops", &base).await;
    assert!(back.starts_with(&format!("{base}/sign-in")), "{back}");
    let until = tokio::time::Instant::now() + Duration::from_secs(10);
    while second.me().await.status != 401 {
        assert!(tokio::time::Instant::now() < until, "the provider's logout token never came");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(bob.me().await.status, 200);
    drop(provider);
    // It is gone: whoever is signed in goes on.
    assert_eq!(bob.me().await.status, 200);
    front.end().await;
}

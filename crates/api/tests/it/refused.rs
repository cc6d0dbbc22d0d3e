//! Who and what is refused, and that it leaves no trace in any session or run.

use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};

use crate::front::{Answered, Front, answered};

/// Every route of the description, with something in place of its parameters.
fn routes() -> Vec<(Method, String, bool)> {
    let description = serde_json::to_value(api::openapi()).unwrap();
    let mut routes = vec![];
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let mut filled = path.clone();
            while let (Some(from), Some(to)) = (filled.find('{'), filled.find('}')) {
                filled.replace_range(from..=to, "01890a5d-ac96-774b-bcce-b302099a8057");
            }
            let public = operation["security"] == json!([]) || operation["security"] == json!([{}]);
            routes.push((method.to_uppercase().parse().unwrap(), filled, public));
        }
    }
    routes
}

#[tokio::test]
async fn every_route_wants_a_credential_but_the_public_ones() {
    let front = Front::new().await;
    let routes = routes();
    assert!(routes.len() > 35, "{}", routes.len());
    let public: Vec<&str> =
        routes.iter().filter(|(.., public)| *public).map(|(_, path, _)| &path[..]).collect();
    assert_eq!(public.len(), 7, "{public:?}");
    for (method, path, is_public) in &routes {
        for credential in [None, Some("Bearer pdk_wrong"), Some("Basic eDp5"), Some("Bearer ")] {
            let mut request = front.http.request(method.clone(), front.url(path));
            if let Some(credential) = credential {
                request = request.header(header::AUTHORIZATION, credential);
            }
            let answer = answered(request).await;
            if *is_public {
                assert_ne!(answer.headers["content-type"], "text/html", "{path}");
                continue;
            }
            assert_eq!(answer.status, 401, "{method} {path} with {credential:?}");
            assert_eq!(answer.headers["content-type"], "application/problem+json");
            assert_eq!(answer.body["type"], "https://paddock.dev/problems/unauthenticated");
        }
        let cookie = front.http.request(method.clone(), front.url(path));
        let name = front.url("").rsplit_once(':').unwrap().1.to_owned();
        let answer = answered(cookie.header("cookie", format!("paddock-{name}=wrong"))).await;
        let refused = answer.status == 401 || answer.status == 403;
        assert!(*is_public || refused, "{method} {path} with a wrong cookie: {}", answer.status);
    }
    front.end().await;
}

#[tokio::test]
async fn a_browser_signs_in_once_acts_from_its_own_page_only_and_signs_out() {
    let front = Front::new().await;
    let link = front.send(Method::POST, "/api/v1/sign-in-links", &json!({})).await.body;
    let browser = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let signed_in = browser.get(link["url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(signed_in.status(), 303);
    let cookie = signed_in.headers()["set-cookie"].to_str().unwrap().to_owned();
    for word in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(word), "{cookie}");
    }
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let again = browser.get(link["url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(again.status(), 401);
    let ask = |method: Method, path: &str| {
        browser.request(method, front.url(path)).header("cookie", &cookie)
    };
    assert_eq!(answered(ask(Method::GET, "/api/v1/me")).await.status, 200);
    let new = json!({ "repo": "acme/widget", "title": "x" });
    let create = || ask(Method::POST, "/api/v1/sessions").json(&new);
    assert_eq!(answered(create()).await.status, 403);
    assert_eq!(answered(create().header("origin", "http://evil.test")).await.status, 403);
    let own = front.url("");
    assert_eq!(answered(create().header("origin", &own)).await.status, 201);
    let out = ask(Method::POST, "/api/v1/sign-out").header("origin", &own);
    let out = out.send().await.unwrap();
    assert_eq!(out.status(), 204);
    assert!(out.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(answered(ask(Method::GET, "/api/v1/me")).await.status, 401);
    // A token is not a browser: it is revoked, not signed out.
    let token = front.send(Method::POST, "/api/v1/sign-out", &json!({})).await;
    assert_eq!(token.status, 204);
    assert_eq!(front.get("/api/v1/me").await.status, 200);
    front.end().await;
}

#[tokio::test]
async fn an_if_match_two_ahead_is_a_precondition_that_fails() {
    let front = Front::new().await;
    let new = json!({ "repo": "acme/widget", "title": "One" });
    let made = front.send(Method::POST, "/api/v1/sessions", &new).await;
    let (id, version) = (made.body["id"].as_str().unwrap(), made.body["version"].as_u64().unwrap());
    let path = format!("/api/v1/sessions/{id}");
    let events = front.events().await;
    for wrong in [version + 2, version + 1, version - 1] {
        let rename = front.request(Method::PATCH, &path).json(&json!({ "title": "Two" }));
        let answer = answered(rename.header("if-match", format!("\"{wrong}\""))).await;
        assert_eq!(answer.status, StatusCode::PRECONDITION_FAILED, "{wrong}");
        assert_eq!(answer.body["detail"], format!("the version is {version}"));
    }
    assert_eq!(front.events().await, events);
    let rename = front.request(Method::PATCH, &path).json(&json!({ "title": "Two" }));
    let answer = answered(rename.header("if-match", format!("\"{version}\""))).await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.headers["etag"], format!("\"{}\"", version + 1));
    front.end().await;
}

/// A request that must be refused, and the field that the answer must name.
struct Bad {
    method: Method,
    path: String,
    body: Vec<u8>,
    status: u16,
    field: &'static str,
}

fn bad(
    method: Method,
    path: &str,
    body: impl Into<Vec<u8>>,
    status: u16,
    field: &'static str,
) -> Bad {
    Bad { method, path: path.to_owned(), body: body.into(), status, field }
}

fn bad_requests(session: &str, run: &str) -> Vec<Bad> {
    use Method as M;
    let new = |json: Value| json.to_string();
    let sessions = "/api/v1/sessions";
    let runs = format!("{sessions}/{session}/runs");
    let prompts = format!("/api/v1/runs/{run}/prompts");
    let long = "x".repeat(1024 * 1024 + 1);
    let mut all = vec![];
    for repo in [
        "acme",
        "acme/",
        "/widget",
        "acme/widget/more",
        "https://x/y",
        "a b/c",
        "../x",
        "acme/..",
        "",
        "ä/b",
        "acme/wid\nget",
    ] {
        all.push(bad(M::POST, sessions, new(json!({ "repo": repo, "title": "t" })), 422, "repo"));
    }
    all.extend([
        bad(M::POST, sessions, new(json!({ "repo": "acme/none", "title": "t" })), 422, "repo"),
        bad(M::POST, sessions, new(json!({ "repo": "acme/read-only", "title": "t" })), 422, "repo"),
        bad(M::POST, sessions, new(json!({ "repo": "acme/old", "title": "t" })), 422, "repo"),
        bad(M::POST, sessions, new(json!({ "repo": "acme/widget" })), 422, "title"),
        bad(M::POST, sessions, new(json!({ "title": "t" })), 422, "repo"),
        bad(M::POST, sessions, new(json!({ "repo": 7, "title": "t" })), 422, "repo"),
        bad(M::POST, sessions, new(json!({ "repo": "acme/widget", "title": " " })), 422, "title"),
        bad(
            M::POST,
            sessions,
            new(json!({ "repo": "acme/widget", "title": "a\nb" })),
            422,
            "title",
        ),
        bad(
            M::POST,
            sessions,
            new(json!({ "repo": "acme/widget", "title": "x".repeat(501) })),
            422,
            "title",
        ),
        bad(
            M::POST,
            sessions,
            new(json!({ "repo": "acme/widget", "title": "t", "base": "no..way" })),
            422,
            "base",
        ),
        bad(
            M::POST,
            sessions,
            new(json!({ "repo": "acme/widget", "title": "t", "base": "gone" })),
            422,
            "base",
        ),
        bad(M::POST, sessions, new(json!({ "repo": "acme/widget", "issue": 9_999 })), 422, "issue"),
        bad(M::POST, sessions, new(json!({ "repo": "acme/widget", "issue": -1 })), 422, "issue"),
        bad(
            M::POST,
            sessions,
            new(json!({ "repo": "acme/widget", "title": "t", "colour": "red" })),
            422,
            "colour",
        ),
        bad(
            M::POST,
            sessions,
            r#"{"repo":"acme/widget","repo":"acme/widget","title":"t"}"#,
            422,
            "repo",
        ),
        bad(M::POST, sessions, "{", 400, "body"),
        bad(M::POST, sessions, "[]", 422, "body"),
        bad(M::POST, sessions, "{} {}", 422, "repo"),
        bad(M::POST, sessions, r#"{"repo":"acme/widget","title":"t"} x"#, 400, "body"),
        bad(
            M::POST,
            sessions,
            b"{\"repo\":\"acme/widget\",\"title\":\"\xff\xfe\"}".to_vec(),
            400,
            "title",
        ),
        bad(M::POST, sessions, r#"{"repo":"acme/widget","title":"\ud800"}"#, 400, "title"),
        bad(M::POST, &runs, new(json!({ "prompt": "" })), 422, "prompt"),
        bad(M::POST, &runs, new(json!({ "prompt": " \n\t " })), 422, "prompt"),
        bad(M::POST, &runs, new(json!({})), 422, "prompt"),
        bad(M::POST, &runs, new(json!({ "prompt": long })), 413, "prompt"),
        bad(M::POST, &runs, vec![b'x'; 7 * 1024 * 1024], 413, "body"),
        bad(M::POST, &runs, b"{\"prompt\":\"a\xc3\x28b\"}".to_vec(), 400, "prompt"),
        bad(M::POST, &runs, new(json!({ "prompt": "p", "profile": "none" })), 422, "profile"),
        bad(M::POST, &runs, new(json!({ "prompt": "p", "egress": "all" })), 422, "egress"),
        bad(M::POST, &runs, new(json!({ "prompt": "p", "egress": "full" })), 422, "egress_reason"),
        bad(
            M::POST,
            &runs,
            new(json!({ "prompt": "p", "deadline_seconds": 59 })),
            422,
            "deadline_seconds",
        ),
        bad(
            M::POST,
            &runs,
            new(json!({ "prompt": "p", "linger_seconds": 86_401 })),
            422,
            "linger_seconds",
        ),
        bad(
            M::POST,
            &runs,
            new(json!({ "prompt": "p", "input_timeout_seconds": 0 })),
            422,
            "input_timeout_seconds",
        ),
        bad(M::POST, &runs, new(json!({ "prompt": "p", "prompts": 1 })), 422, "prompts"),
        bad(M::POST, &prompts, new(json!({ "prompt": "" })), 422, "prompt"),
        bad(M::POST, &prompts, new(json!({ "prompt": long })), 413, "prompt"),
        bad(M::POST, &format!("/api/v1/runs/{run}/inputs/x"), new(json!({})), 422, "reply"),
        bad(
            M::POST,
            &format!("/api/v1/runs/{run}/inputs/x"),
            new(json!({ "reply": "maybe" })),
            422,
            "reply",
        ),
        bad(
            M::POST,
            &format!("/api/v1/runs/{run}/cancel"),
            new(json!({ "now": true })),
            422,
            "now",
        ),
        bad(M::PATCH, &format!("{sessions}/{session}"), new(json!({})), 422, "title"),
        bad(
            M::POST,
            &format!("{sessions}/{session}/fork"),
            new(json!({ "bundle": "x" })),
            422,
            "bundle",
        ),
    ]);
    for (method, path) in [
        (M::GET, "/api/v1/sessions/7"),
        (M::GET, "/api/v1/sessions/not-an-id"),
        (M::DELETE, "/api/v1/sessions/x"),
        (M::POST, "/api/v1/sessions/x/runs"),
        (M::GET, "/api/v1/runs/x"),
        (M::GET, "/api/v1/runs/x/transcript"),
        (M::GET, "/api/v1/runs/x/parts/y"),
        (M::POST, "/api/v1/runs/x/cancel"),
        (M::POST, "/api/v1/runs/x/inputs/y"),
        (M::GET, "/api/v1/artifacts/x/content"),
        (M::DELETE, "/api/v1/tokens/x"),
    ] {
        let body = if path.ends_with("runs") {
            r#"{"prompt":"p"}"#
        } else if path.ends_with('y') {
            r#"{"reply":"once"}"#
        } else {
            ""
        };
        all.push(bad(method, path, body, 400, "id"));
    }
    for (path, field) in [
        ("/api/v1/sessions?limit=0", "limit"),
        ("/api/v1/sessions?limit=201", "limit"),
        ("/api/v1/sessions?limit=x", "limit"),
        ("/api/v1/sessions?colour=red", "colour"),
        ("/api/v1/sessions?group=mine", "group"),
        ("/api/v1/sessions?repo=acme", "repo"),
        ("/api/v1/sessions?q=%00", "q"),
        ("/api/v1/sessions?cursor=x", "cursor"),
        ("/api/v1/sessions?at_least=x", "at_least"),
        ("/api/v1/runs?cursor=%ff", "cursor"),
        ("/api/v1/events?topics=x", "topics"),
    ] {
        all.push(bad(M::GET, path, "", 400, field));
    }
    all.push(bad(M::GET, &format!("/api/v1/runs/{run}/transcript?limit=201"), "", 400, "limit"));
    all.push(bad(M::GET, &format!("/api/v1/runs/{run}/transcript?before=x"), "", 400, "before"));
    all
}

#[tokio::test]
async fn bad_input_is_refused_by_field_and_leaves_no_trace() {
    let front = Front::new().await;
    let (workload, _sidecar) = front.world.running().await;
    front.caught_up().await;
    let (session, run) = (workload.session.to_string(), workload.run.to_string());
    let events = front.events().await;
    let mut wrong = vec![];
    for Bad { method, path, body, status, field } in bad_requests(&session, &run) {
        let shown = String::from_utf8_lossy(&body[..body.len().min(120)]).into_owned();
        let request = front.request(method.clone(), &path).body(body);
        let Answered { status: found, headers, body } = answered(request).await;
        let is_problem = headers["content-type"] == "application/problem+json";
        let named = body["errors"][0]["field"] == field && body["status"] == status;
        if found != status || !is_problem || !named {
            wrong.push(format!("{method} {path} {shown}: {found} {body}, not {status} of {field}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(front.events().await, events, "nothing was appended to any session or run");
    front.end().await;
}

#[tokio::test]
async fn what_is_not_there_is_not_found_and_wrong_methods_are_said() {
    let front = Front::new().await;
    let none = uuid::Uuid::now_v7();
    for path in [
        format!("/api/v1/sessions/{none}"),
        format!("/api/v1/sessions/{none}/runs"),
        format!("/api/v1/sessions/{none}/artifacts"),
        format!("/api/v1/runs/{none}"),
        format!("/api/v1/runs/{none}/events"),
        format!("/api/v1/runs/{none}/output"),
        format!("/api/v1/runs/{none}/transcript"),
        format!("/api/v1/runs/{none}/parts/p"),
        format!("/api/v1/runs/{none}/changes"),
        format!("/api/v1/runs/{none}/egress"),
        format!("/api/v1/artifacts/{none}.{}/content", "0".repeat(64)),
        "/api/v1/nothing".to_owned(),
        "/api/v2/sessions".to_owned(),
        "/schemas/session.exploded/1".to_owned(),
        "/schemas/x".to_owned(),
    ] {
        let answer = front.get(&path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{path}");
    }
    let answer = front.send(Method::PUT, "/api/v1/sessions", &json!({})).await;
    assert_eq!(answer.status, 405);
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    let foreign = front.request(Method::GET, "/api/v1/sessions").header("host", "evil.test");
    assert_eq!(answered(foreign).await.status, 421);
    let schema = front.read("/schemas/session.pull_request.merged/1").await;
    assert_eq!(schema["required"], json!(["number"]));
    front.end().await;
}

#[tokio::test]
async fn the_page_is_for_anybody_and_allows_nothing_from_elsewhere() {
    let front = Front::new().await;
    for path in ["/", "/sessions/01890a5d-ac96-774b-bcce-b302099a8057", "/new?repo=a/b"] {
        let answer = answered(front.http.get(front.url(path))).await;
        assert_eq!(answer.status, 200, "{path}");
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'"));
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            assert_eq!(answer.headers[name], value, "{path}");
        }
    }
    // A page that was built is asked for again each time, and not sent again.
    let page = front.http.get(front.url("/")).send().await.unwrap();
    if let Some(tag) = page.headers().get("etag") {
        assert_eq!(page.headers()["cache-control"], "no-cache");
        let again = front.http.get(front.url("/")).header("if-none-match", tag);
        assert_eq!(again.send().await.unwrap().status(), 304);
    }
    let foreign = front.http.get(front.url("/")).header("host", "evil.test");
    assert_eq!(answered(foreign).await.status, 421);
    let gone = answered(front.http.get(front.url("/assets/gone-1.js"))).await;
    assert_eq!(gone.status, 404);
    front.end().await;
}

//! The model route.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse as _, Response},
    routing::any,
};
use bytes::Bytes;
use futures::StreamExt as _;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::{Request, body::Frame, client::conn::http1};
use hyper_util::rt::TokioIo;
use paddock_egress::{Kind, Policy, Verdict};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

use crate::world::{MODEL_KEY, World, get, policy, serve, text, within};

#[derive(Clone, Default)]
struct Provider {
    seen: Arc<Mutex<Vec<(Uri, HeaderMap, Bytes)>>>,
    /// What the provider streams, given by the test.
    stream: Arc<Mutex<Option<mpsc::Receiver<Bytes>>>>,
    /// The stream was dropped before its end.
    cancelled: Arc<watch::Sender<bool>>,
}

struct OnDrop(Arc<watch::Sender<bool>>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

async fn answer(
    State(provider): State<Provider>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let path = uri.path().to_owned();
    let guard = OnDrop(provider.cancelled.clone());
    if path.ends_with("/responses") {
        // Echoes while it reads.
        return Body::from_stream(body.into_data_stream()).into_response();
    }
    let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    provider.seen.lock().unwrap().push((uri, headers, bytes));
    if path.ends_with("/embeddings") {
        return (StatusCode::TEMPORARY_REDIRECT, [("location", "http://127.0.0.1:1/v1/x")])
            .into_response();
    }
    if path.ends_with("/completions") && !path.ends_with("/chat/completions") {
        // Never answers.
        std::future::pending::<()>().await;
    } else if path.ends_with("/models") {
        let headers =
            [("set-cookie", "a=b"), ("x-ratelimit-limit-requests", "7"), ("server", "nginx")];
        return (StatusCode::UNAUTHORIZED, headers, r#"{"error":"no such key"}"#).into_response();
    }
    let stream = provider.stream.lock().unwrap().take();
    let Some(stream) = stream else { return "{}".into_response() };
    let stream = ReceiverStream::new(stream).map(move |bytes| {
        let _keep = &guard;
        Ok::<_, Infallible>(bytes)
    });
    ([("content-type", "text/event-stream")], Body::from_stream(stream)).into_response()
}

async fn world() -> (World, Provider, Policy) {
    let provider = Provider::default();
    let address = serve(Router::new().fallback(any(answer)).with_state(provider.clone())).await;
    let mut world = World::new().await.model(&format!("http://{address}/base/v1"));
    world.start();
    let policy = policy("octo/hello", "x");
    world.open(std::slice::from_ref(&policy)).await;
    (world, provider, policy)
}

fn post(path: &str, body: &'static str) -> Request<Full<Bytes>> {
    Request::post(path)
        .header("host", "127.0.0.1:3128")
        .header("content-type", "application/json")
        .header("authorization", "Bearer paddock")
        .header("cookie", "a=b")
        .header("x-api-key", "agent")
        .header("api-key", "agent")
        .header("x-forwarded-for", "10.0.0.1")
        .header("accept-encoding", "gzip")
        .header("x-session-id", "ses_1")
        .body(Full::from(body))
        .expect("a request")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_added_and_the_clients_own_is_dropped() {
    let (world, provider, policy) = world().await;
    let response =
        world.send(&policy, post("/model/v1/chat/completions", r#"{"model":"m"}"#)).await;
    assert_eq!(response.status(), 200);
    assert!(!text(response).await.contains(MODEL_KEY));
    let (uri, headers, body) = provider.seen.lock().unwrap().pop().expect("a request");
    assert_eq!(uri.path(), "/base/v1/chat/completions");
    assert_eq!(body, r#"{"model":"m"}"#);
    let all: Vec<_> = headers.get_all("authorization").iter().collect();
    assert_eq!(all, [&format!("Bearer {MODEL_KEY}")]);
    for gone in ["cookie", "x-api-key", "api-key", "x-forwarded-for", "accept-encoding"] {
        assert!(headers.get(gone).is_none(), "{gone}");
    }
    assert_eq!(headers.get("x-session-id").unwrap(), "ses_1");
    assert_eq!(headers.get("content-length").unwrap(), "13");

    let decisions = world.control.decisions_until(|all| all.len() == 1).await;
    let decision = &decisions[0];
    assert_eq!((decision.kind, decision.verdict), (Kind::Model, Verdict::Allowed));
    assert_eq!((decision.bytes_up, decision.bytes_down, decision.status), (13, 2, Some(200)));
    assert_eq!((decision.host.as_str(), decision.rule.as_str()), ("127.0.0.1", "model"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_passes_as_it_comes_and_a_client_that_hangs_up_ends_it() {
    let (world, provider, policy) = world().await;
    let (chunks, stream) = mpsc::channel(1);
    *provider.stream.lock().unwrap() = Some(stream);
    let mut cancelled = provider.cancelled.subscribe();

    let io = TokioIo::new(world.connect(&policy).await);
    let (mut sender, connection) = http1::handshake(io).await.expect("a handshake");
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(post("/model/v1/chat/completions", "{}"));
    let mut body = within("the head of the answer", answer).await.expect("an answer").into_body();
    for part in ["data: 1\n\n", "data: 2\n\n"] {
        chunks.send(Bytes::from(part)).await.expect("the provider listens");
        let frame =
            within("a part of the stream", body.frame()).await.expect("more").expect("a frame");
        assert_eq!(frame.data_ref().expect("data"), part);
    }
    assert!(!*cancelled.borrow());
    connection.abort();
    drop((body, sender));
    within("the provider's call ends", cancelled.wait_for(|done| *done)).await.expect("a provider");
    let decisions = world.control.decisions_until(|all| all.len() == 1).await;
    assert_eq!(decisions[0].bytes_down, 18);
}

#[tokio::test(flavor = "multi_thread")]
async fn hanging_up_before_the_answer_ends_the_providers_call_too() {
    let (world, provider, policy) = world().await;
    let mut cancelled = provider.cancelled.subscribe();
    let io = TokioIo::new(world.connect(&policy).await);
    let (mut sender, connection) = http1::handshake(io).await.expect("a handshake");
    let connection = tokio::spawn(connection);
    let call =
        tokio::spawn(async move { sender.send_request(post("/model/v1/completions", "{}")).await });
    let seen = provider.seen.clone();
    crate::world::eventually("the provider is asked", || !seen.lock().unwrap().is_empty()).await;
    call.abort();
    connection.abort();
    within("the provider's call ends", cancelled.wait_for(|done| *done)).await.expect("a provider");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_passes_as_it_comes() {
    let (world, _provider, policy) = world().await;
    let (parts, stream) = mpsc::channel::<Bytes>(1);
    let stream = ReceiverStream::new(stream).map(|bytes| Ok::<_, Infallible>(Frame::data(bytes)));
    let request = Request::post("/model/v1/responses").header("host", "x");
    let request = request.body(StreamBody::new(stream)).expect("a request");
    let io = TokioIo::new(world.connect(&policy).await);
    let (mut sender, connection) = http1::handshake(io).await.expect("a handshake");
    tokio::spawn(connection);
    parts.send(Bytes::from("first")).await.expect("sent");
    let answer = within("an answer", sender.send_request(request)).await.expect("an answer");
    let mut body = answer.into_body();
    for part in ["first", "second"] {
        if part == "second" {
            parts.send(Bytes::from(part)).await.expect("sent");
        }
        let frame = within("the echo", body.frame()).await.expect("more").expect("a frame");
        assert_eq!(frame.data_ref().expect("data"), part);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_models_own_paths_are_open() {
    let (world, provider, policy) = world().await;
    for (path, status) in [
        ("/model/v1/files", 404),
        ("/model/v1/fine_tuning/jobs", 404),
        ("/model/v1/models/x", 404),
        ("/model/v1/", 404),
        ("/model/v1", 404),
        ("/model/v1/chat/completions/", 404),
        ("/model/v1/chat//completions", 404),
        ("/model/v1/../organization", 404),
        ("/model/v1/chat%2fcompletions", 404),
        ("/model/v1/models?key=x", 403),
        ("/model/v1/chat/completions", 405),
        ("/model/v2/models", 404),
        ("/Model/v1/models", 404),
    ] {
        let response = world.send(&policy, get(path)).await;
        assert_eq!(response.status(), status, "{path}");
    }
    assert!(provider.seen.lock().unwrap().is_empty());
    let response = world.send(&policy, post("/model/v1/models", "{}")).await;
    assert_eq!(response.status(), 405);
    assert!(provider.seen.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_providers_own_words_come_through_and_its_headers_do_not() {
    let (world, _provider, policy) = world().await;
    let response = world.send(&policy, get("/model/v1/models")).await;
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers().get("x-ratelimit-limit-requests").unwrap(), "7");
    assert!(response.headers().get("set-cookie").is_none());
    assert!(response.headers().get("server").is_none());
    assert_eq!(text(response).await, r#"{"error":"no such key"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_neither_followed_nor_passed_on() {
    let (world, provider, policy) = world().await;
    let response = world.send(&policy, post("/model/v1/embeddings", "{}")).await;
    assert_eq!(response.status(), 502);
    assert!(response.headers().get("location").is_none());
    assert_eq!(provider.seen.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_model_the_route_says_so() {
    let mut world = World::new().await;
    world.start();
    let policy = policy("octo/hello", "x");
    world.open(std::slice::from_ref(&policy)).await;
    let response = world.send(&policy, post("/model/v1/chat/completions", "{}")).await;
    assert_eq!(response.status(), 404);
    assert!(text(response).await.contains("no model is configured"));
}

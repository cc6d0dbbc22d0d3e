//! The control plane's listener for gateways, played.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use domain::ids::RunId;
use paddock_egress::{Decision, Policy};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use uuid::Uuid;

pub(crate) const TOKEN: &str = "control-canary-0f9a";

#[derive(Clone)]
pub(crate) struct Control {
    pub(crate) address: SocketAddr,
    policies: watch::Sender<(u64, Vec<Policy>)>,
    decisions: Arc<Mutex<BTreeMap<Uuid, Decision>>>,
    reports: watch::Sender<u64>,
    /// What is answered for the credential of a run, and how often it was.
    credentials: Arc<Mutex<BTreeMap<RunId, (StatusCode, Value)>>>,
    asked: Arc<Mutex<u32>>,
    /// Everything that came over the wire.
    heard: Arc<Mutex<String>>,
    serving: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Control {
    /// Reserves an address; nothing answers there before [`Control::up`].
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self {
            address: listener.local_addr().expect("an address"),
            policies: watch::Sender::new((1, vec![])),
            decisions: Arc::default(),
            reports: watch::Sender::new(0),
            credentials: Arc::default(),
            asked: Arc::default(),
            heard: Arc::default(),
            serving: Arc::default(),
        }
    }

    pub(crate) async fn up(&self) {
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        let router = Router::new()
            .route("/gateway/v1/policies", get(policies))
            .route("/gateway/v1/decisions", post(decisions))
            .route("/gateway/v1/credential", post(credential))
            .with_state(self.clone());
        let task =
            tokio::spawn(async move { axum::serve(listener, router).await.expect("served") });
        *self.serving.lock().unwrap() = Some(task);
    }

    /// Ends the server; connections that are open end with the runtime, so it refuses on them too.
    pub(crate) fn down(&self) {
        if let Some(task) = self.serving.lock().unwrap().take() {
            task.abort();
        }
    }

    fn is_up(&self) -> bool {
        self.serving.lock().unwrap().is_some()
    }

    pub(crate) fn set(&self, policies: Vec<Policy>) {
        self.policies.send_modify(|(tag, current)| {
            *tag += 1;
            *current = policies;
        });
    }

    /// What is answered for a run's credential from now on.
    pub(crate) fn hand(&self, run: RunId, status: u16, body: Value) {
        let status = StatusCode::from_u16(status).expect("a status");
        self.credentials.lock().unwrap().insert(run, (status, body));
    }

    /// How often a credential was asked for.
    pub(crate) fn asked(&self) -> u32 {
        *self.asked.lock().unwrap()
    }

    pub(crate) fn heard(&self) -> String {
        self.heard.lock().unwrap().clone()
    }

    pub(crate) fn decisions(&self) -> Vec<Decision> {
        self.decisions.lock().unwrap().values().cloned().collect()
    }

    /// Waits until the decisions are as they should be.
    pub(crate) async fn decisions_until(
        &self,
        done: impl Fn(&[Decision]) -> bool,
    ) -> Vec<Decision> {
        let mut reports = self.reports.subscribe();
        let wait = async {
            loop {
                let decisions = self.decisions();
                if done(&decisions) {
                    return decisions;
                }
                reports.changed().await.expect("the control plane lives");
            }
        };
        let done = tokio::time::timeout(Duration::from_secs(20), wait).await;
        done.unwrap_or_else(|_| {
            panic!("other decisions were waited for than {:#?}", self.decisions())
        })
    }
}

fn authorised(headers: &HeaderMap) -> bool {
    headers.get("authorization").is_some_and(|value| value == &format!("Bearer {TOKEN}"))
}

async fn policies(
    State(control): State<Control>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Result<Json<Value>, StatusCode> {
    if !authorised(&headers) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let mut policies = control.policies.subscribe();
    if let Some(after) = query.get("after") {
        let changed = policies.wait_for(|(tag, _)| tag.to_string() != *after);
        let _ = tokio::time::timeout(Duration::from_secs(5), changed).await;
    }
    if !control.is_up() {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    let (tag, runs) = policies.borrow().clone();
    Ok(Json(json!({"etag": tag.to_string(), "runs": runs})))
}

async fn credential(
    State(control): State<Control>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    if !authorised(&headers) {
        return (StatusCode::UNAUTHORIZED, Json(Value::Null));
    }
    if !control.is_up() {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(Value::Null));
    }
    *control.asked.lock().unwrap() += 1;
    let run: RunId = serde_json::from_value(body["run"].clone()).expect("a run");
    let known = control.credentials.lock().unwrap().get(&run).cloned();
    let (status, body) = known.unwrap_or((StatusCode::NO_CONTENT, Value::Null));
    (status, Json(body))
}

async fn decisions(
    State(control): State<Control>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> StatusCode {
    if !authorised(&headers) {
        return StatusCode::UNAUTHORIZED;
    }
    if !control.is_up() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    control.heard.lock().unwrap().push_str(&body.to_string());
    let batch: Vec<Decision> =
        serde_json::from_value(body["decisions"].clone()).expect("decisions");
    control.decisions.lock().unwrap().extend(batch.into_iter().map(|d| (d.id, d)));
    control.reports.send_modify(|count| *count += 1);
    StatusCode::NO_CONTENT
}

//! For each pod that runs a client of the link, all of them in this process: it shows a token that the API server bound to
//! that pod, proves a fence, and plays a minimal life, as a sidecar whose agent finds nothing to do.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail};
use domain::{
    ids::{Generation, StreamVersion},
    run::{Probe, Verdict},
};
use futures::{SinkExt as _, StreamExt as _};
use k8s_openapi::api::{
    authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{Api, Client, api::PostParams};
use link::{Body, Down, Fact, Instruct, Up};
use tokio::{
    net::TcpStream,
    sync::{mpsc, watch},
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};
use uuid::Uuid;

use super::seen::Running;

/// As a sidecar dials again.
const BACKOFF: Duration = Duration::from_millis(100);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What the lives are doing.
#[derive(Default)]
pub(super) struct Told {
    /// When each run's client was told what there is to do.
    dispatched: Mutex<HashMap<Uuid, Instant>>,
    turns: AtomicUsize,
    working: AtomicUsize,
    failed: Mutex<Vec<String>>,
}

impl Told {
    pub(super) fn dispatched(&self) -> HashMap<Uuid, Instant> {
        self.dispatched.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many agents work on a prompt.
    pub(super) fn working(&self) -> usize {
        self.working.load(Ordering::Relaxed)
    }

    /// How many turns have begun.
    pub(super) fn turns(&self) -> usize {
        self.turns.load(Ordering::Relaxed)
    }

    /// Why some were not as they should be.
    pub(super) fn failed(&self) -> Vec<String> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The clients; they end when this is dropped.
pub(super) struct Sidecars {
    pub(super) told: Arc<Told>,
    /// How many turns may end, of all that ever begin.
    pub(super) may_end: Arc<watch::Sender<usize>>,
    task: AbortHandle,
}

#[derive(Clone)]
struct Life {
    accounts: Api<ServiceAccount>,
    link: Arc<str>,
    http: reqwest::Client,
    told: Arc<Told>,
    may_end: watch::Receiver<usize>,
}

impl Sidecars {
    pub(super) fn new(
        client: &Client,
        namespace: &str,
        link: &str,
        mut running: mpsc::UnboundedReceiver<Running>,
    ) -> anyhow::Result<Self> {
        let told = Arc::<Told>::default();
        let may_end = Arc::new(watch::Sender::new(usize::MAX));
        let life = Life {
            accounts: Api::namespaced(client.clone(), namespace),
            link: link.into(),
            http: reqwest::Client::builder().no_proxy().build()?,
            told: told.clone(),
            may_end: may_end.subscribe(),
        };
        let task = tokio::spawn(async move {
            let mut lives = JoinSet::new();
            loop {
                tokio::select! {
                    pod = running.recv() => {
                        let Some(pod) = pod else { return };
                        let life = life.clone();
                        lives.spawn(async move { life.live(pod).await });
                    }
                    Some(_) = lives.join_next() => {}
                }
            }
        });
        Ok(Self { told, may_end, task: task.abort_handle() })
    }
}

impl Drop for Sidecars {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Life {
    async fn live(self, pod: Running) {
        let name = pod.name.clone();
        let (told, lived) = (self.told.clone(), self.lived(pod).await);
        if let Err(error) = lived {
            let words = format!("{name}: {error:#}");
            told.failed.lock().unwrap_or_else(PoisonError::into_inner).push(words);
        }
    }

    async fn lived(&self, pod: Running) -> anyhow::Result<()> {
        let token = self.token(&pod).await.context("no token")?;
        let mut life = Connected { socket: self.dial(&token).await?, seq: 0 };
        loop {
            match life.next().await? {
                Down::Welcome { job, .. } => {
                    let mut told =
                        self.told.dispatched.lock().unwrap_or_else(PoisonError::into_inner);
                    told.entry(job.run.0).or_insert_with(Instant::now);
                    break;
                }
                // The adapter has not recorded the pod yet.
                Down::Refused { retry: true, .. } => {
                    sleep(BACKOFF).await;
                    life.socket = self.dial(&token).await?;
                }
                Down::Refused { reason, .. } => bail!("refused: {reason}"),
                _ => {}
            }
        }
        self.begin(&mut life, &token).await?;
        loop {
            let Down::Instruction(instruction) = life.next().await? else { continue };
            match instruction.instruct {
                Instruct::Prompt { message, .. } => {
                    let turn = self.told.turns.fetch_add(1, Ordering::Relaxed);
                    self.told.working.fetch_add(1, Ordering::Relaxed);
                    life.wait(self.may_end.clone(), turn).await?;
                    self.told.working.fetch_sub(1, Ordering::Relaxed);
                    life.say(Fact::TurnEnded { message }).await?;
                }
                Instruct::Publish => life.say(Fact::NothingToPublish).await?,
                Instruct::SnapshotAndStop => {
                    let detail = "there is nothing to keep".to_owned();
                    life.say(Fact::SnapshotAbandoned { detail }).await?;
                }
                Instruct::Exit => return Ok(()),
                _ => {}
            }
        }
    }

    /// What a sidecar says until its agent answers.
    async fn begin(&self, life: &mut Connected, token: &str) -> anyhow::Result<()> {
        // The positive control, as a sidecar asks for it: the token is looked at again.
        let canary = self.http.post(format!("http://{}/canary", self.link)).bearer_auth(token);
        canary.send().await?.error_for_status()?;
        let target = "the control plane".to_owned();
        life.say(Fact::Fence { probes: vec![Probe { target, verdict: Verdict::TimedOut }] })
            .await?;
        life.say(Fact::Restored { from: None, git_head: "0".repeat(40) }).await?;
        let (agent_session, agent_version) = ("ses_bench".to_owned(), "1.0.0".to_owned());
        life.say(Fact::Ready { agent_session, agent_version }).await
    }

    async fn token(&self, pod: &Running) -> anyhow::Result<String> {
        let request = TokenRequest {
            spec: TokenRequestSpec {
                audiences: vec![k8s_adapter::AUDIENCE.to_owned()],
                expiration_seconds: Some(3600),
                bound_object_ref: Some(BoundObjectReference {
                    api_version: Some("v1".to_owned()),
                    kind: Some("Pod".to_owned()),
                    name: Some(pod.name.clone()),
                    uid: Some(pod.uid.clone()),
                }),
            },
            ..TokenRequest::default()
        };
        let create = PostParams::default();
        let made = self.accounts.create_token_request("default", &create, &request).await?;
        Ok(made.status.context("no status")?.token)
    }

    async fn dial(&self, token: &str) -> anyhow::Result<Socket> {
        let mut request = format!("ws://{}/link", self.link).into_client_request()?;
        request.headers_mut().insert("authorization", format!("Bearer {token}").parse()?);
        let (mut socket, _) = connect_async(request).await?;
        let hello = Up::Hello { generation: Generation(1), done: StreamVersion::NONE };
        socket.send(Message::text(serde_json::to_string(&hello)?)).await?;
        Ok(socket)
    }
}

struct Connected {
    socket: Socket,
    seq: u64,
}

impl Connected {
    async fn say(&mut self, fact: Fact) -> anyhow::Result<()> {
        self.seq += 1;
        let frame = Up::Frame { seq: self.seq, body: Body::Fact(fact) };
        Ok(self.socket.send(Message::text(serde_json::to_string(&frame)?)).await?)
    }

    async fn next(&mut self) -> anyhow::Result<Down> {
        loop {
            let message = self.socket.next().await.context("the link ended")??;
            if let Message::Text(text) = message {
                return Ok(serde_json::from_str(&text)?);
            }
        }
    }

    /// Until this turn may end: pings are answered meanwhile, and nothing else is expected.
    async fn wait(
        &mut self,
        mut may_end: watch::Receiver<usize>,
        turn: usize,
    ) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                ended = may_end.wait_for(|many| turn < *many) => {
                    ended?;
                    return Ok(());
                }
                message = self.socket.next() => drop(message.context("the link ended")??),
            }
        }
    }
}

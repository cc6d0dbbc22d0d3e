//! A gateway with everything around it, and clients.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::Router;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, Response, body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use paddock_egress::{Config, HostRule, Limits, Mode, Network, Policy, SystemNetwork, Upstream};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, UnixStream},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use url::Url;
use uuid::Uuid;

use crate::control::{Control, TOKEN};

pub(crate) const MODEL_KEY: &str = "sk-model-canary-51c2";
pub(crate) const FORGE_TOKEN: &str = "ghp_forge_canary_77ab";

/// Serves a router on a free loopback port for as long as the runtime lives.
pub(crate) async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await.expect("served") });
    address
}

pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) control: Control,
    config: Config,
    network: Arc<dyn Network>,
    pub(crate) limits: Limits,
    gateway: Option<(CancellationToken, JoinHandle<Result<(), paddock_egress::Error>>)>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let dir = TempDir::new().expect("a directory");
        let control = Control::new().await;
        control.up().await;
        let config = Config {
            sockets: dir.path().join("egress/runs"),
            state: dir.path().join("egress"),
            control_url: Url::parse(&format!("http://{}", control.address)).expect("a URL"),
            control_token: TOKEN.to_owned().into(),
            model: None,
            git: upstream("http://127.0.0.1:9/", FORGE_TOKEN),
            allow: vec![],
            listen: None,
            full_listen: None,
            admin_listen: None,
        };
        Self {
            dir,
            control,
            config,
            network: Arc::new(SystemNetwork::default()),
            limits: Limits::default(),
            gateway: None,
        }
    }

    pub(crate) fn model(mut self, url: &str) -> Self {
        self.config.model = Some(upstream(url, MODEL_KEY));
        self
    }

    pub(crate) fn git(mut self, url: &str) -> Self {
        self.config.git = upstream(url, FORGE_TOKEN);
        self
    }

    pub(crate) fn start(&mut self) {
        let stop = CancellationToken::new();
        let task = tokio::spawn(paddock_egress::run_on(
            self.network.clone(),
            self.limits,
            self.config.clone(),
            stop.clone(),
        ));
        self.gateway = Some((stop, task));
    }

    pub(crate) async fn stop(&mut self) {
        let (stop, task) = self.gateway.take().expect("a gateway runs");
        stop.cancel();
        task.await.expect("no panic").expect("a clean end");
    }

    /// The gateway as a process of its own, which can be killed.
    pub(crate) fn start_process(&self) -> Process {
        let config = serde_json::json!({
            "sockets": self.config.sockets,
            "state": self.config.state,
            "control_url": self.config.control_url,
            "control_token": TOKEN,
            "model": self.config.model.as_ref().map(|model| json(model, MODEL_KEY)),
            "git": json(&self.config.git, FORGE_TOKEN),
        });
        let child = std::process::Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "process::gateway", "--ignored", "--nocapture"])
            .env("PADDOCK_TEST_GATEWAY", config.to_string())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("started");
        Process(child)
    }

    pub(crate) fn network(mut self, network: Arc<dyn Network>) -> Self {
        self.network = network;
        self
    }

    pub(crate) fn allow(mut self, rules: &[&str]) -> Self {
        self.config.allow = rules.iter().map(|rule| rule.parse().expect("a rule")).collect();
        self
    }

    pub(crate) fn admin(mut self, address: SocketAddr) -> Self {
        self.config.admin_listen = Some(address);
        self
    }

    pub(crate) fn listen(mut self, address: SocketAddr) -> Self {
        self.config.listen = Some(address);
        self
    }

    pub(crate) fn full_listen(mut self, address: SocketAddr) -> Self {
        self.config.full_listen = Some(address);
        self
    }

    pub(crate) fn sockets_at(&mut self, path: &std::path::Path) {
        path.clone_into(&mut self.config.sockets);
    }

    pub(crate) fn state(&self) -> &std::path::Path {
        &self.config.state
    }

    pub(crate) fn socket(&self, policy: &Policy) -> PathBuf {
        self.config.sockets.join(policy.run.to_string()).join("gateway.sock")
    }

    /// Gives these runs a door and waits until it is there.
    pub(crate) async fn open(&self, policies: &[Policy]) {
        self.control.set(policies.to_vec());
        for policy in policies {
            let socket = self.socket(policy);
            eventually("the socket is there", || socket.exists()).await;
        }
    }

    pub(crate) async fn connect(&self, policy: &Policy) -> UnixStream {
        UnixStream::connect(self.socket(policy)).await.expect("the gateway listens")
    }

    /// One request on a connection of its own.
    pub(crate) async fn send(
        &self,
        policy: &Policy,
        request: Request<Full<Bytes>>,
    ) -> Response<Incoming> {
        let io = TokioIo::new(self.connect(policy).await);
        let (mut sender, connection) = http1::handshake(io).await.expect("a handshake");
        tokio::spawn(connection);
        sender.send_request(request).await.expect("an answer")
    }

    /// Bytes as they are, and everything that comes back until the end.
    pub(crate) async fn send_raw(&self, policy: &Policy, bytes: &[u8]) -> String {
        let mut stream = self.connect(policy).await;
        let _ = stream.write_all(bytes).await;
        let mut answer = vec![];
        let _ =
            tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// A loopback port that leads to a run's socket, as the harness makes one inside the sandbox.
    pub(crate) async fn forward(&self, policy: &Policy) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let socket = self.socket(policy);
        tokio::spawn(async move {
            while let Ok((mut outer, _)) = listener.accept().await {
                let socket = socket.clone();
                tokio::spawn(async move {
                    if let Ok(mut inner) = UnixStream::connect(socket).await {
                        let _ = tokio::io::copy_bidirectional(&mut outer, &mut inner).await;
                    }
                });
            }
        });
        address
    }
}

/// Killed when dropped.
pub(crate) struct Process(std::process::Child);

impl Process {
    pub(crate) fn kill(mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("ended");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn json(upstream: &Upstream, credential: &str) -> serde_json::Value {
    serde_json::json!({"url": upstream.url, "credential": credential})
}

fn upstream(url: &str, credential: &str) -> Upstream {
    Upstream {
        url: Url::parse(url).expect("a URL"),
        credential: Some(credential.to_owned().into()),
    }
}

pub(crate) fn policy(repo: &str, branch: &str) -> Policy {
    Policy {
        run: domain::ids::RunId(Uuid::now_v7()),
        repo: repo.parse().expect("a repository"),
        branch: branch.parse().expect("a branch"),
        egress: Mode::Github,
        hosts: Vec::<HostRule>::new(),
        suspended: false,
        credential: None,
        door_sha256: None,
    }
}

pub(crate) fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(path).header("host", "127.0.0.1").body(Full::default()).expect("a request")
}

pub(crate) async fn text(response: Response<Incoming>) -> String {
    let bytes = response.into_body().collect().await.expect("a body").to_bytes();
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(crate) async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(Duration::from_secs(10), work).await;
    done.unwrap_or_else(|_| panic!("not in time: {what}"))
}

/// Polls until something holds.
pub(crate) async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(20), "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

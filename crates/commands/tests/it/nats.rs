//! A NATS server of a test's own, which it may stop, wipe and start again.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

use tempfile::TempDir;

pub(crate) struct Server {
    dir: TempDir,
    program: String,
    port: u16,
    child: Option<Child>,
}

impl Server {
    pub(crate) fn start(program: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("paddock-nats-").tempdir().unwrap();
        let mut server = Self { dir, program: program.to_owned(), port: free_port(), child: None };
        server.up();
        server
    }

    pub(crate) fn up(&mut self) {
        let child = Command::new(&self.program)
            .args(["-js", "-a", "127.0.0.1", "-p", &self.port.to_string(), "-sd"])
            .arg(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.program));
        self.child = Some(child);
    }

    /// Stops it as a crash does.
    pub(crate) fn crash(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Removes all that the stopped server kept.
    pub(crate) fn wipe(&self) {
        fs::remove_dir_all(self.dir.path().join("jetstream")).unwrap();
    }

    pub(crate) async fn client(&self) -> async_nats::Client {
        let options = async_nats::ConnectOptions::new()
            .reconnect_delay_callback(|_| Duration::from_millis(100))
            .request_timeout(Some(Duration::from_secs(2)));
        for _ in 0..100 {
            let url = format!("nats://127.0.0.1:{}", self.port);
            if let Ok(client) = options.clone().connect(url).await {
                return client;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the server does not answer");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.crash();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

//! A NATS server of the test's own.

use std::process::{Child, Command, Stdio};

pub(crate) struct Nats {
    port: u16,
    data: tempfile::TempDir,
    server: Child,
}

impl Nats {
    pub(crate) fn start() -> Self {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let data = tempfile::tempdir().unwrap();
        let server = spawn(port, &data);
        Self { port, data, server }
    }

    pub(crate) async fn client(&self) -> async_nats::Client {
        let options = async_nats::ConnectOptions::new().retry_on_initial_connect();
        options.connect(format!("127.0.0.1:{}", self.port)).await.unwrap()
    }

    pub(crate) fn stop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }

    pub(crate) fn again(&mut self) {
        self.server = spawn(self.port, &self.data);
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spawn(port: u16, data: &tempfile::TempDir) -> Child {
    let server = std::env::var("PADDOCK_NATS_SERVER").unwrap_or_else(|_| "nats-server".to_owned());
    Command::new(server)
        .args(["-a", "127.0.0.1", "-p", &port.to_string(), "-js", "-sd"])
        .arg(data.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("nats-server: run scripts/setup first")
}

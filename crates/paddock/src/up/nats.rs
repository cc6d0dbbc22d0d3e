//! A private NATS server with JetStream.

use std::path::PathBuf;

use anyhow::Context as _;

use super::{
    child::Spec,
    layout::{Layout, loopback, write_private},
};
use crate::config::{Secret, read_secret};

/// How to start it, and the URL with its password.
pub(crate) fn spec(layout: &Layout) -> anyhow::Result<(Spec, Secret)> {
    let program = find()?;
    let password = read_secret(&layout.secret("nats")?)?;
    let address = loopback(layout.ports.nats);
    let config = layout.join("nats/server.conf");
    let text = format!(
        "listen: \"{address}\"\nserver_name: paddock\nauthorization {{ user: paddock, password: \"{}\" }}\n\
         jetstream {{ store_dir: \"{}\" }}\n",
        password.expose(),
        layout.join("nats/data").display(),
    );
    write_private(&config, text.as_bytes())?;
    let spec = Spec::new("nats", program).arg("--config").arg(config);
    Ok((spec, Secret::from(format!("nats://paddock:{}@{address}", password.expose()))))
}

fn find() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("PADDOCK_NATS_SERVER") {
        return Ok(path.into());
    }
    ["/usr/sbin/nats-server", "/usr/local/bin/nats-server", "/usr/bin/nats-server"]
        .into_iter()
        .map(PathBuf::from)
        .find(|path| path.is_file())
        .context("nats-server is not installed: `apt-get install nats-server`, or name the program in PADDOCK_NATS_SERVER")
}

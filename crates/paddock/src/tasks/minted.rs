//! Ends the tokens that were made of apps' keys, once the runs that they were made for are over.

use std::time::Duration;

use api::credentials::Credentials;

use super::{Task, Tools};

pub(super) struct Minted {
    credentials: Credentials,
}

impl Minted {
    pub(super) fn new(tools: &Tools) -> Self {
        Self { credentials: tools.credentials.clone() }
    }
}

impl Task for Minted {
    const NAME: &'static str = "minted";
    const PERIOD: Duration = Duration::from_secs(10);
    const WAKES: bool = false;

    async fn round(&mut self) -> anyhow::Result<()> {
        Ok(self.credentials.end_minted().await?)
    }
}

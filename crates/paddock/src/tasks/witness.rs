//! Sends checkpoints to a witness, by the protocol of C2SP tlog-witness. A witness cosigns what goes on from what it
//! saw: it finds a log that was rolled back, forked or rewritten, and says so to whoever asks it.

use std::time::Duration;

use anyhow::{Context as _, bail};
use audit::{SignedCheckpoint, proof::Proof};
use commands::Commands;
use reqwest::{StatusCode, header};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use url::Url;

/// How often the newest checkpoint is sent.
const EVERY: Duration = Duration::from_secs(10);

/// One witness.
pub(crate) struct Witness {
    http: reqwest::Client,
    url: Url,
    commands: Commands,
}

/// What a witness said.
enum Said {
    /// It cosigned, with these note lines.
    Cosigned(String),
    /// It saw another size last.
    Saw(u64),
}

impl Witness {
    /// The witness at `url`.
    pub(crate) fn new(http: reqwest::Client, url: Url, commands: Commands) -> anyhow::Result<Self> {
        let mut url = url;
        url.path_segments_mut()
            .map_err(|()| anyhow::anyhow!("audit_witness_url has no path"))?
            .pop_if_empty()
            .push("add-checkpoint");
        Ok(Self { http, url, commands })
    }

    /// Sends what is new until told to stop.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            let done = tokio::select! {
                done = self.round() => done,
                () = shutdown.cancelled() => return,
            };
            if let Err(error) = done {
                let problem = format!("{error:#}");
                tracing::error!(witness = %self.url, problem, "no cosignature");
                if let Err(error) = self.keep(None, Some(&problem)).await {
                    tracing::warn!(error = &*error, "a witness's answer could not be stored");
                }
            }
            tokio::select! {
                () = sleep(EVERY) => {}
                () = shutdown.cancelled() => {}
            }
        }
    }

    async fn round(&self) -> anyhow::Result<()> {
        let Some(signed) = self.commands.audit().checkpoint().await? else { return Ok(()) };
        let checkpoint = signed.checkpoint;
        let mut seen = self.seen().await?;
        if seen == checkpoint.checkpoint().size {
            return Ok(());
        }
        // It says what it saw last where that is something else than is thought here.
        for _ in 0..2 {
            match self.send(seen, &checkpoint).await? {
                Said::Cosigned(lines) => {
                    checkpoint.with(&lines).context("its cosignature is not a line of a note")?;
                    return self.keep(Some((checkpoint.checkpoint().size, &lines)), None).await;
                }
                Said::Saw(size) => {
                    let now = checkpoint.checkpoint().size;
                    if size > now {
                        bail!("the witness saw {size} positions, and the log has {now}: it was rolled back");
                    }
                    seen = size;
                }
            }
        }
        bail!("the witness keeps saying that it saw something else")
    }

    async fn send(&self, seen: u64, checkpoint: &SignedCheckpoint) -> anyhow::Result<Said> {
        let size = checkpoint.checkpoint().size;
        if seen > size {
            return Ok(Said::Saw(seen));
        }
        let proof = match seen {
            0 => vec![],
            seen => self.commands.audit().proof(Proof::Consistency { from: seen, size }).await?,
        };
        let body = audit::witness::request(seen, &proof, checkpoint);
        let answer = self.http.post(self.url.clone()).body(body).send().await?;
        let status = answer.status();
        let is_size = answer
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind == "text/x.tlog.size");
        let text = answer.text().await?;
        match status {
            StatusCode::OK => Ok(Said::Cosigned(text)),
            StatusCode::CONFLICT if is_size => {
                Ok(Said::Saw(text.trim().parse().context("the size that the witness saw")?))
            }
            StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => bail!(
                "the witness saw another log of {seen} positions: it forked, or the database was rewritten ({})",
                beginning(&text)
            ),
            status => bail!("the witness answers {status}: {}", beginning(&text)),
        }
    }

    /// How much it has cosigned, as far as it is known here.
    async fn seen(&self) -> anyhow::Result<u64> {
        let size = sqlx::query_scalar!("select size from runtime.witness where url = $1", self.url.as_str())
            .fetch_optional(self.commands.pool())
            .await?;
        Ok(size.unwrap_or_default().unsigned_abs())
    }

    async fn keep(
        &self,
        cosigned: Option<(u64, &str)>,
        problem: Option<&str>,
    ) -> anyhow::Result<()> {
        let (size, note) = cosigned.unzip();
        sqlx::query!(
            "insert into runtime.witness (url, size, note, problem, at) values ($1, coalesce($2, 0), $3, $4, now())
             on conflict (url) do update set size = coalesce($2, witness.size), note = coalesce($3, witness.note),
               problem = $4, at = now()",
            self.url.as_str(),
            size.map(u64::cast_signed),
            note,
            problem,
        )
        .execute(self.commands.pool())
        .await?;
        Ok(())
    }
}

fn beginning(text: &str) -> String {
    text.chars().take(200).filter(|c| !c.is_control()).collect()
}

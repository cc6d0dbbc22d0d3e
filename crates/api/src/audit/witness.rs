//! Sends checkpoints to a witness, by the protocol of C2SP tlog-witness. A witness cosigns what goes on from what it
//! saw: it finds a log that was rolled back, forked or rewritten, and says so to whoever asks it.

use std::time::Duration;

use audit::{SignedCheckpoint, proof::Proof};
use commands::{Commands, StoreError, audit::NoProof};
use reqwest::{StatusCode, header};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use url::Url;

/// How often the newest checkpoint is sent.
const EVERY: Duration = Duration::from_secs(10);

/// One witness.
pub struct Witness {
    http: reqwest::Client,
    url: Url,
    commands: Commands,
}

/// Why a checkpoint is not cosigned.
#[derive(Debug, thiserror::Error)]
pub enum NotCosigned {
    /// The witness saw more of the log than there is.
    #[error("the witness saw {seen} positions, and the log has {now}: it was rolled back")]
    RolledBack {
        /// What the witness saw.
        seen: u64,
        /// What there is.
        now: u64,
    },
    /// The witness saw another log.
    #[error(
        "the witness saw another log of {seen} positions: it forked, or the database was rewritten ({words})"
    )]
    Forked {
        /// How many positions the witness saw.
        seen: u64,
        /// What it says, in its own words.
        words: String,
    },
    /// It answers something else.
    #[error("the witness answers {0}")]
    Answer(String),
    /// It does not answer.
    #[error("the witness does not answer")]
    Away(#[from] reqwest::Error),
    /// There is no proof.
    #[error(transparent)]
    Proof(#[from] NoProof),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for NotCosigned {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
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
    #[must_use]
    pub fn new(http: reqwest::Client, mut url: Url, commands: Commands) -> Self {
        // Of an address without a path nothing is made: it is refused as it is.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().push("add-checkpoint");
        }
        Self { http, url, commands }
    }

    /// Sends what is new until told to stop.
    pub async fn run(self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            let done = tokio::select! {
                done = self.round() => done,
                () = shutdown.cancelled() => return,
            };
            if let Err(error) = done {
                let problem = error.to_string();
                tracing::error!(witness = %self.url, problem, "no cosignature");
                if let Err(error) = self.keep(None, Some(&problem)).await {
                    tracing::warn!(%error, "a witness's answer could not be stored");
                }
            }
            tokio::select! {
                () = sleep(EVERY) => {}
                () = shutdown.cancelled() => {}
            }
        }
    }

    /// Sends the newest checkpoint once, if it is new to the witness.
    pub async fn round(&self) -> Result<(), NotCosigned> {
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
                    let with = checkpoint.with(&lines);
                    with.ok_or_else(|| NotCosigned::Answer("no cosignature".to_owned()))?;
                    return self.keep(Some((checkpoint.checkpoint().size, &lines)), None).await;
                }
                Said::Saw(size) => {
                    let now = checkpoint.checkpoint().size;
                    if size > now {
                        return Err(NotCosigned::RolledBack { seen: size, now });
                    }
                    seen = size;
                }
            }
        }
        Err(NotCosigned::Answer("again and again that it saw something else".to_owned()))
    }

    async fn send(&self, seen: u64, checkpoint: &SignedCheckpoint) -> Result<Said, NotCosigned> {
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
                let size = text.trim().parse();
                Ok(Said::Saw(size.map_err(|_| NotCosigned::Answer("no size".to_owned()))?))
            }
            StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => {
                Err(NotCosigned::Forked { seen, words: beginning(&text) })
            }
            status => Err(NotCosigned::Answer(format!("{status}: {}", beginning(&text)))),
        }
    }

    /// How much it has cosigned, as far as it is known here.
    async fn seen(&self) -> Result<u64, NotCosigned> {
        let size = sqlx::query_scalar!(
            "select size from runtime.witness where url = $1",
            self.url.as_str()
        )
        .fetch_optional(self.commands.pool())
        .await?;
        Ok(size.unwrap_or_default().unsigned_abs())
    }

    async fn keep(
        &self,
        cosigned: Option<(u64, &str)>,
        problem: Option<&str>,
    ) -> Result<(), NotCosigned> {
        let (size, note) = cosigned.unzip();
        sqlx::query!(
            "insert into runtime.witness (url, size, note, problem, at) values ($1, coalesce($2::bigint, 0), $3, $4, now())
             on conflict (url) do update set size = coalesce($2::bigint, witness.size), note = coalesce($3, witness.note),
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

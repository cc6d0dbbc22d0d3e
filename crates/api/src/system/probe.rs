use std::{sync::Arc, time::Duration};

use artifacts::Space;
use commands::{Progress, Standing};
use futures::future::BoxFuture;
use projections::Views;
use url::Url;

use super::PartName;
use crate::{bundles::Bundles, gateway::Presence, github::GitHub};

/// How often what is in this process, or on this machine, is looked at.
const OFTEN: Duration = Duration::from_millis(700);
/// How often what is elsewhere is asked.
const SELDOM: Duration = Duration::from_millis(2_500);
/// How long one look may take: with the longest wait between two it stays below 5 s.
pub(super) const PATIENCE: Duration = Duration::from_millis(1_500);
const MIB: u64 = 1024 * 1024;
/// An artifact store with less room than this takes hardly any bundle.
const LITTLE: u64 = 16 * MIB;

/// What a look at a part found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong, if anything is.
    pub problem: Option<String>,
    /// What was seen, where all is well.
    pub seen: String,
    /// How many positions it is behind the log.
    pub lag: Option<u64>,
}

impl Finding {
    /// All is well.
    pub fn well(seen: impl Into<String>) -> Self {
        Self { problem: None, seen: seen.into(), lag: None }
    }

    /// Something is wrong.
    pub fn wrong(problem: impl Into<String>) -> Self {
        Self { problem: Some(problem.into()), seen: String::new(), lag: None }
    }

    fn behind(self, lag: u64) -> Self {
        Self { lag: Some(lag), ..self }
    }
}

type Look = dyn Fn() -> BoxFuture<'static, Finding> + Send + Sync;

/// How to look at a part, and how often.
#[derive(Clone)]
pub struct Probe {
    pub(super) part: PartName,
    pub(super) every: Duration,
    pub(super) look: Arc<Look>,
}

impl Probe {
    /// Looks at `part` by `look`, which may take a second and a half.
    pub fn new<F>(part: PartName, look: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Finding> + Send + 'static,
    {
        Self { part, every: OFTEN, look: Arc::new(move || Box::pin(look())) }
    }

    /// As often as somebody else may be asked.
    #[must_use]
    pub fn seldom(self) -> Self {
        Self { every: SELDOM, ..self }
    }

    /// PostgreSQL: answers a query.
    #[must_use]
    pub fn database(views: Views) -> Self {
        Self::new(PartName::Database, move || {
            let views = views.clone();
            async move {
                match views.projected().await {
                    Ok(_) => Finding::well("PostgreSQL answers"),
                    Err(error) => Finding::wrong(chain(&error)),
                }
            }
        })
    }

    /// The sequencer, as it says itself.
    #[must_use]
    pub fn sequencer(progress: Progress) -> Self {
        Self::new(PartName::Sequencer, move || {
            let standing = progress.sequencer().borrow().clone();
            async move { standing_of(&standing, "events get their positions") }
        })
    }

    /// The relay, as it says itself; `nats` says why NATS is not connected, which is known sooner.
    pub fn relay(
        progress: Progress,
        nats: impl Fn() -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self::new(PartName::Relay, move || {
            let found = match nats() {
                Some(problem) => Finding::wrong(problem),
                None => {
                    standing_of(&progress.relay().borrow(), "events are copied to NATS JetStream")
                }
            };
            let (head, relayed) = (*progress.head().borrow(), *progress.relayed().borrow());
            async move { found.behind(head.0.saturating_sub(relayed.0)) }
        })
    }

    /// The read models: how far they are, and whether they stand still.
    #[must_use]
    pub fn projections(views: Views) -> Self {
        Self::new(PartName::Projections, move || {
            let views = views.clone();
            async move {
                let found = match views.health().problem() {
                    Some(problem) => Finding::wrong(problem),
                    None => Finding::well("the lists are up to date"),
                };
                match views.lag().await {
                    Ok(lag) => found.behind(lag.head.0.saturating_sub(lag.projected.0)),
                    Err(error) if found.problem.is_none() => Finding::wrong(chain(&error)),
                    Err(_) => found,
                }
            }
        })
    }

    /// The signer of the record, as it says itself, where one `signs`.
    #[must_use]
    pub fn signer(progress: Progress, signs: bool) -> Self {
        Self::new(PartName::Signer, move || {
            let standing = progress.signer().borrow().clone();
            async move {
                if signs {
                    standing_of(&standing, "checkpoints of the record are signed")
                } else {
                    Finding::well("nothing is signed: PADDOCK_AUDIT_KEY_FILE is not set")
                }
            }
        })
    }

    /// The artifact store: it answers and has room.
    #[must_use]
    pub fn artifacts(bundles: Bundles) -> Self {
        Self::new(PartName::Artifacts, move || {
            let bundles = bundles.clone();
            async move {
                match bundles.look().await {
                    Ok(None) => Finding::well("it answers"),
                    Ok(Some(Space { free, total })) if free < LITTLE => Finding::wrong(format!(
                        "the artifact store is full: {} MiB of {} MiB are free",
                        free / MIB,
                        total / MIB
                    )),
                    Ok(Some(Space { free, total })) => Finding::well(format!(
                        "it answers; {} MiB of {} MiB are free",
                        free / MIB,
                        total / MIB
                    )),
                    Err(error) => Finding::wrong(format!("{error}: {}", innermost(&error))),
                }
            }
        })
        .seldom()
    }

    /// The gateway: asks for its policies all the time.
    #[must_use]
    pub fn egress(presence: Presence) -> Self {
        Self::new(PartName::Egress, move || {
            let here = presence.is_here();
            async move {
                if here {
                    Finding::well("a gateway keeps in touch")
                } else {
                    Finding::wrong("no gateway is in touch")
                }
            }
        })
    }

    /// The forge: a question that costs nothing of any quota.
    #[must_use]
    pub fn forge(github: GitHub) -> Self {
        Self::new(PartName::Forge, move || {
            let github = github.clone();
            async move {
                match github.reach().await {
                    Ok(()) => Finding::well("it answers"),
                    Err(error) => Finding::wrong(error.to_string()),
                }
            }
        })
        .seldom()
    }

    /// The model's provider: whatever it answers without a credential, short of a failure of its own, says
    /// that it is there. Nothing is asked of a model.
    #[must_use]
    pub fn model(http: reqwest::Client, base: Option<Url>) -> Self {
        Self::new(PartName::Model, move || {
            let (http, base) = (http.clone(), base.clone());
            async move {
                let Some(base) = base else {
                    return Finding::well("not looked at: PADDOCK_MODEL_URL is not set here");
                };
                reach_model(&http, &base).await
            }
        })
        .seldom()
    }
}

async fn reach_model(http: &reqwest::Client, base: &Url) -> Finding {
    let address = format!("{}/models", base.as_str().trim_end_matches('/'));
    match http.get(address).send().await {
        Ok(answer) if answer.status().is_server_error() => {
            Finding::wrong(format!("the provider answers {}", answer.status()))
        }
        Ok(_) => Finding::well("it answers"),
        Err(error) => Finding::wrong(format!("cannot be reached: {}", innermost(&error))),
    }
}

fn standing_of(standing: &Standing, well: &str) -> Finding {
    match standing {
        Standing::Active => Finding::well(well),
        Standing::Standby => Finding::well("another process does the work"),
        Standing::Starting => Finding::wrong("it has not started yet"),
        Standing::Halted(why) => Finding::wrong(format!("halted: {why}")),
        Standing::Down(why) => Finding::wrong(why.clone()),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// The words of the first cause: what is around it holds addresses, and those may hold passwords.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

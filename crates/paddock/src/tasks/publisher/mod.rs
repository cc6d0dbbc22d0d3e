//! Opens the pull requests of pushed branches: finds the one that is there already or makes it, reads it
//! back, and records it.

mod plan;

use anyhow::Context as _;
use api::{
    credentials::Credentials,
    github::{GitHub, GitHubError, NewPull, Pull},
};
use commands::{Caused, Commands};
use domain::{
    event::{Actor, Event as AnyEvent, Part, Recorded},
    ids::{RunId, StreamVersion},
    run::{Command, Event, PublishStage, Run},
};
use futures::{StreamExt as _, stream};
use projections::Views;
use url::Url;

use self::plan::{Work, retry_at, work};
use super::{
    Task, Tools,
    pull_request::{About, body, title},
};

/// How many pull requests are worked on at once.
const AT_ONCE: usize = 4;

pub(super) struct Publisher {
    commands: Commands,
    views: Views,
    credentials: Credentials,
    public_url: Url,
}

impl Publisher {
    pub(super) fn new(tools: &Tools) -> Self {
        Self {
            commands: tools.commands.clone(),
            views: tools.views.clone(),
            credentials: tools.credentials.clone(),
            public_url: tools.public_url.clone(),
        }
    }

    /// Looks at one run, whatever the views say of it.
    async fn publish(&self, run: RunId) -> anyhow::Result<()> {
        let events = self.commands.run_events(run, StreamVersion::NONE).await?;
        let now = self.commands.context().now();
        let Some(Work { run: known, attempt }) = work(&events, now) else { return Ok(()) };
        match self.pull_request(run, &known, &events).await? {
            Ok((pull, created)) => {
                let command = Command::RecordPullRequest {
                    number: pull.number,
                    url: pull.html_url,
                    head: pull.head.sha,
                    created,
                };
                self.commands.run(run, command, publisher()).await?;
                tracing::info!(%run, number = pull.number, created, "pull request recorded");
            }
            Err(error) => self.failed(run, attempt, &error).await?,
        }
        Ok(())
    }

    async fn failed(&self, run: RunId, attempt: u32, error: &GitHubError) -> anyhow::Result<()> {
        let context = self.commands.context();
        let limited = match error {
            GitHubError::RateLimited { until } => Some(*until),
            _ => None,
        };
        let detail = context.seal(error.in_words());
        let command = Command::ReportPublishFailed {
            stage: PublishStage::PullRequest,
            detail: detail.reference.clone(),
            retry_at: retry_at(attempt, context.now(), limited),
        };
        let mut caused = publisher();
        caused.texts.push(detail);
        self.commands.run(run, command, caused).await?;
        tracing::warn!(%run, attempt, error = error as &dyn std::error::Error, "no pull request");
        Ok(())
    }

    /// The pull request, read back, and whether this run made it. The inner error is GitHub's.
    async fn pull_request(
        &self,
        id: RunId,
        run: &Run,
        events: &[Recorded],
    ) -> anyhow::Result<Result<(Pull, bool), GitHubError>> {
        let run_url = self.run_url(id);
        let requested = &run.requested;
        let (repo, head, base) = (&requested.repo, &requested.branch, &requested.base);
        let github = match self.credentials.forge_of_run(id).await {
            Ok(github) => github,
            Err(error) => return Ok(Err(error)),
        };
        let found = match github.open_pull(repo, head, base).await {
            Ok(Some(pull)) => {
                // Made by this run, which was killed before it could be recorded?
                let ours = pull.body.as_deref().is_some_and(|body| body.contains(&run_url));
                Ok((pull.number, ours))
            }
            Ok(None) => {
                let subject = api::link::pushed_subject(self.commands.pool(), id).await?;
                let prompt = self.prompt(events).await?;
                self.create(&github, run, &run_url, subject.as_deref(), prompt.as_deref())
                    .await
                    .map(|pull| (pull.number, true))
            }
            Err(error) => Err(error),
        };
        let (number, created) = match found {
            Ok(found) => found,
            Err(error) => return Ok(Err(error)),
        };
        let read_back = github.pull(repo, number).await.and_then(checked);
        Ok(read_back.map(|pull| (pull, created)))
    }

    async fn create(
        &self,
        github: &GitHub,
        run: &Run,
        run_url: &str,
        subject: Option<&str>,
        prompt: Option<&str>,
    ) -> Result<Pull, GitHubError> {
        let requested = &run.requested;
        let issue_title = match requested.issue {
            Some(number) => match github.issue(&requested.repo, number).await {
                Ok(issue) => Some(issue.title),
                // It was deleted, moved or never there: the commit's subject must do.
                Err(GitHubError::NotFound) => None,
                Err(error) => return Err(error),
            },
            None => None,
        };
        let template = github.pull_template(&requested.repo, &requested.base).await?;
        let about = About {
            issue: requested.issue,
            issue_title: issue_title.as_deref(),
            subject,
            prompt,
            template: template.as_deref(),
            run_url,
        };
        let new = NewPull {
            title: title(about),
            body: body(about),
            head: requested.branch.clone(),
            base: requested.base.clone(),
            draft: requested.draft,
        };
        github.create_pull(&requested.repo, &new).await
    }

    /// The run's first prompt.
    async fn prompt(&self, events: &[Recorded]) -> anyhow::Result<Option<String>> {
        let first = events.iter().find_map(|recorded| match &recorded.event {
            AnyEvent::Run(Event::PromptSubmitted { text, .. }) => Some(text.reference),
            _ => None,
        });
        match first {
            Some(text) => Ok(self.commands.text(text).await?),
            None => Ok(None),
        }
    }

    fn run_url(&self, run: RunId) -> String {
        format!("{}/runs/{run}", self.public_url.as_str().trim_end_matches('/'))
    }
}

impl Task for Publisher {
    const NAME: &'static str = "publisher";

    async fn round(&mut self) -> anyhow::Result<()> {
        let runs = self.views.publishing(self.commands.context().now()).await?;
        let publisher = &*self;
        stream::iter(runs)
            .map(|run| async move { (run, publisher.publish(run).await) })
            .buffer_unordered(AT_ONCE)
            .for_each(async |(run, done)| {
                if let Err(error) = done.context("publishing") {
                    tracing::error!(%run, error = &*error, "a run could not be published");
                }
            })
            .await;
        Ok(())
    }
}

fn publisher() -> Caused {
    Caused::by(Actor::System(Part::Publisher))
}

/// What is recorded of a pull request is shown as a link and kept for ever.
fn checked(pull: Pull) -> Result<Pull, GitHubError> {
    let address = Url::parse(&pull.html_url).ok();
    let is_page = address.is_some_and(|url| matches!(url.scheme(), "http" | "https"));
    let head = &pull.head.sha;
    let is_commit = matches!(head.len(), 40 | 64) && head.bytes().all(|b| b.is_ascii_hexdigit());
    if is_page && is_commit && pull.html_url.len() <= 2_000 {
        Ok(pull)
    } else {
        Err(GitHubError::Unreadable { detail: "no page or no head commit".to_owned() })
    }
}

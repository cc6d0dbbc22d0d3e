//! What becomes of pull requests.

use super::{
    Forge,
    bare::Bare,
    state::{Pull, Repository, now},
};

/// A pull request that somebody wants.
pub(super) struct NewPull {
    pub(super) title: String,
    pub(super) body: Option<String>,
    pub(super) head: String,
    pub(super) base: String,
    pub(super) draft: bool,
}

/// Why there is none.
pub(super) enum NoPull {
    /// There is no such branch: `head` or `base`.
    NoBranch(&'static str),
    /// There is nothing to merge.
    NoCommits,
    /// There is one already.
    Exists,
    /// The forge itself failed.
    Failed(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for NoPull {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Forge {
    /// Opens a pull request.
    pub(super) async fn open_pull(
        &self,
        repo: &Repository,
        bare: &Bare,
        new: NewPull,
    ) -> Result<Pull, NoPull> {
        let base = bare.branch(&new.base).await.ok_or(NoPull::NoBranch("base"))?;
        let head = bare.branch(&new.head).await.ok_or(NoPull::NoBranch("head"))?;
        if bare.ahead(&base, &head).await? == 0 {
            return Err(NoPull::NoCommits);
        }
        // Pushes may have closed the one that is in the way.
        self.pulls_of(repo, bare).await?;
        let repo = repo.full_name();
        // Looked for and made under one lock: of two that come at once, one is refused.
        self.change(|kept| {
            let exists = kept.pulls.iter().any(|pull| {
                pull.is_open()
                    && pull.repo == repo
                    && pull.head == new.head
                    && pull.base == new.base
            });
            if exists {
                return Err(NoPull::Exists);
            }
            let pull = Pull {
                number: kept.next_number(&repo),
                repo,
                title: new.title,
                body: new.body,
                head: new.head,
                head_sha: head,
                base: new.base,
                draft: new.draft,
                created_at: now(),
                updated_at: None,
                closed_at: None,
                merged_at: None,
            };
            kept.pulls.push(pull.clone());
            Ok(pull)
        })?
    }

    /// The pull requests of a repository, the newest first, as pushes have left them.
    pub(super) async fn pulls_of(
        &self,
        repo: &Repository,
        bare: &Bare,
    ) -> anyhow::Result<Vec<Pull>> {
        let name = repo.full_name();
        let mut pulls: Vec<Pull> =
            self.kept().pulls.into_iter().filter(|pull| pull.repo == name).collect();
        pulls.sort_by_key(|pull| std::cmp::Reverse(pull.number));
        for pull in &mut pulls {
            self.refresh(bare, pull).await?;
        }
        Ok(pulls)
    }

    /// A pull request, as pushes have left it.
    pub(super) async fn pull(
        &self,
        repo: &Repository,
        bare: &Bare,
        number: u64,
    ) -> anyhow::Result<Option<Pull>> {
        let name = repo.full_name();
        let mut kept = self.kept().pulls.into_iter();
        let found = kept.find(|pull| pull.repo == name && pull.number == number);
        let Some(mut pull) = found else { return Ok(None) };
        self.refresh(bare, &mut pull).await?;
        Ok(Some(pull))
    }

    /// Changes a pull request.
    pub(super) fn change_pull(
        &self,
        pull: &mut Pull,
        change: impl FnOnce(&mut Pull),
    ) -> anyhow::Result<()> {
        change(pull);
        pull.updated_at = Some(now());
        self.change(|kept| {
            let same = |known: &&mut Pull| known.repo == pull.repo && known.number == pull.number;
            if let Some(known) = kept.pulls.iter_mut().find(same) {
                known.clone_from(pull);
            }
        })?;
        Ok(())
    }

    /// What pushes do to an open one: its head moves; without its branch it closes; with nothing left to
    /// merge it is merged.
    async fn refresh(&self, bare: &Bare, pull: &mut Pull) -> anyhow::Result<()> {
        if !pull.is_open() {
            return Ok(());
        }
        let head = bare.branch(&pull.head).await;
        let merged = match (&head, bare.branch(&pull.base).await) {
            (Some(head), Some(base)) => bare.ahead(&base, head).await? == 0,
            _ => false,
        };
        let moved = head.as_ref().is_some_and(|head| *head != pull.head_sha);
        if head.is_some() && !moved && !merged {
            return Ok(());
        }
        self.change_pull(pull, |pull| {
            match head {
                Some(head) => pull.head_sha = head,
                None => pull.closed_at = Some(now()),
            }
            if merged {
                pull.merged_at = Some(now());
                pull.closed_at.clone_from(&pull.merged_at);
            }
        })
    }
}

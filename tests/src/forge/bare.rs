use std::path::{Path, PathBuf};

use tokio::process::Command;

/// A bare repository, and what git says of it.
#[derive(Clone, Debug)]
pub(super) struct Bare(PathBuf);

/// A commit.
#[derive(Clone, Debug)]
pub(super) struct Commit {
    pub(super) sha: String,
    pub(super) tree: String,
    pub(super) parents: Vec<String>,
    pub(super) author: Person,
    pub(super) committer: Person,
    pub(super) message: String,
}

/// Who made a commit, and when.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) name: String,
    pub(super) email: String,
    pub(super) date: String,
}

/// How much there is between two branches.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Size {
    pub(super) commits: u64,
    pub(super) files: u64,
    pub(super) additions: u64,
    pub(super) deletions: u64,
}

/// What a tree has under a name.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) mode: String,
    pub(super) kind: String,
    pub(super) sha: String,
    pub(super) size: u64,
    pub(super) path: String,
}

impl Bare {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self(dir)
    }

    pub(super) fn dir(&self) -> &Path {
        &self.0
    }

    /// The commit that a branch is at.
    pub(super) async fn branch(&self, name: &str) -> Option<String> {
        self.reference(&format!("heads/{name}")).await
    }

    /// What a reference below `refs/` is at.
    pub(super) async fn reference(&self, name: &str) -> Option<String> {
        let name = format!("refs/{name}");
        let sha = run(&self.0, &["show-ref", "--verify", "--hash", "--", &name]).await.ok()?;
        Some(sha.trim().to_owned())
    }

    /// The name of the branch that clones begin with.
    pub(super) async fn default_branch(&self) -> String {
        let head = run(&self.0, &["symbolic-ref", "--short", "HEAD"]).await;
        head.map_or_else(|_| "main".to_owned(), |head| head.trim().to_owned())
    }

    /// All branches with their commits, by name.
    pub(super) async fn branches(&self) -> anyhow::Result<Vec<(String, String)>> {
        let format = "--format=%(refname:lstrip=2) %(objectname)";
        let listed = run(&self.0, &["for-each-ref", format, "refs/heads"]).await?;
        let pairs = listed.lines().filter_map(|line| line.rsplit_once(' '));
        Ok(pairs.map(|(name, sha)| (name.to_owned(), sha.to_owned())).collect())
    }

    /// A commit by its full name.
    pub(super) async fn commit(&self, sha: &str) -> anyhow::Result<Commit> {
        let format = "--format=%H%x00%T%x00%P%x00%an%x00%ae%x00%ad%x00%cn%x00%ce%x00%cd%x00%B";
        let date = "--date=format-local:%Y-%m-%dT%H:%M:%SZ";
        let text = run(&self.0, &["show", "--no-patch", date, format, sha, "--"]).await?;
        let fields: Vec<&str> = text.splitn(10, '\0').collect();
        let [sha, tree, parents, an, ae, ad, cn, ce, cd, message] = fields[..] else {
            anyhow::bail!("{sha} is not a commit");
        };
        let person = |name: &str, email: &str, date: &str| Person {
            name: name.to_owned(),
            email: email.to_owned(),
            date: date.to_owned(),
        };
        Ok(Commit {
            sha: sha.to_owned(),
            tree: tree.to_owned(),
            parents: parents.split_whitespace().map(str::to_owned).collect(),
            author: person(an, ae, ad),
            committer: person(cn, ce, cd),
            message: message.trim_end().to_owned(),
        })
    }

    /// How many commits `head` has that `base` has not.
    pub(super) async fn ahead(&self, base: &str, head: &str) -> anyhow::Result<u64> {
        let range = format!("{base}..{head}");
        Ok(run(&self.0, &["rev-list", "--count", &range, "--"]).await?.trim().parse()?)
    }

    /// How much `head` changes since it left `base`.
    pub(super) async fn size(&self, base: &str, head: &str) -> anyhow::Result<Size> {
        let range = format!("{base}...{head}");
        let lines =
            run(&self.0, &["diff", "--numstat", "--no-ext-diff", "--no-textconv", &range, "--"])
                .await?;
        let mut size = Size { commits: self.ahead(base, head).await?, ..Size::default() };
        for line in lines.lines() {
            let mut counts = line.split('\t').map(|count| count.parse().unwrap_or(0));
            size.files += 1;
            size.additions += counts.next().unwrap_or(0);
            size.deletions += counts.next().unwrap_or(0);
        }
        Ok(size)
    }

    /// Whether `head` merges into `base` without a conflict.
    pub(super) async fn merges(&self, base: &str, head: &str) -> bool {
        run(&self.0, &["merge-tree", "--write-tree", base, head]).await.is_ok()
    }

    /// What `head` changes since it left `base`.
    pub(super) async fn diff(&self, base: &str, head: &str) -> anyhow::Result<String> {
        let range = format!("{base}...{head}");
        run(&self.0, &["diff", "--no-ext-diff", "--no-textconv", "--no-color", &range, "--"]).await
    }

    /// What a commit has under a path; the path without a slash at either end.
    pub(super) async fn entry(&self, commit: &str, path: &str) -> Option<Entry> {
        if path.is_empty() {
            let sha = run(&self.0, &["rev-parse", &format!("{commit}^{{tree}}")]).await.ok()?;
            return Some(Entry {
                mode: "040000".to_owned(),
                kind: "tree".to_owned(),
                sha: sha.trim().to_owned(),
                size: 0,
                path: String::new(),
            });
        }
        let listed = self.list(&[commit, "--", path]).await?;
        listed.into_iter().find(|entry| entry.path == path)
    }

    /// What a directory has in it.
    pub(super) async fn directory(&self, tree: &Entry) -> Vec<Entry> {
        let mut entries = self.list(&[&tree.sha, "--"]).await.unwrap_or_default();
        for entry in &mut entries {
            if !tree.path.is_empty() {
                entry.path = format!("{}/{}", tree.path, entry.path);
            }
        }
        entries
    }

    async fn list(&self, what: &[&str]) -> Option<Vec<Entry>> {
        // A path is a name, not a pattern.
        let command = ["--literal-pathspecs", "ls-tree", "-z", "--long"];
        let listed = run(&self.0, &[&command[..], what].concat()).await.ok()?;
        let entries = listed.split('\0').filter_map(|line| {
            let (facts, path) = line.split_once('\t')?;
            let mut facts = facts.split_whitespace();
            Some(Entry {
                mode: facts.next()?.to_owned(),
                kind: facts.next()?.to_owned(),
                sha: facts.next()?.to_owned(),
                size: facts.next()?.parse().unwrap_or(0),
                path: path.to_owned(),
            })
        });
        Some(entries.collect())
    }

    /// The commit that a branch, a tag or a commit's name stands for.
    pub(super) async fn resolve(&self, name: &str) -> Option<String> {
        for name in [format!("refs/heads/{name}"), format!("refs/tags/{name}"), name.to_owned()] {
            let name = format!("{name}^{{commit}}");
            let arguments = ["rev-parse", "--verify", "--quiet", "--end-of-options", &name];
            if let Ok(sha) = run(&self.0, &arguments).await {
                return Some(sha.trim().to_owned());
            }
        }
        None
    }

    /// The bytes of a file.
    pub(super) async fn blob(&self, sha: &str) -> anyhow::Result<Vec<u8>> {
        bytes(&self.0, &["cat-file", "blob", sha]).await
    }
}

/// Runs git; its output, or what it complains of.
pub(super) async fn run(dir: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    Ok(String::from_utf8_lossy(&bytes(dir, arguments).await?).into_owned())
}

async fn bytes(dir: &Path, arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
    let output = git(dir).args(arguments).current_dir(dir).output().await?;
    anyhow::ensure!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output.stdout)
}

/// Git, without anything of this machine's or the caller's configuration.
pub(super) fn git(home: &Path) -> Command {
    let mut command = Command::new("git");
    command
        // Repositories may be of another uid.
        .args(["-c", "safe.directory=*", "-c", "init.defaultBranch=main"])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", home)
        .env("XDG_CONFIG_HOME", home)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("TZ", "UTC")
        .kill_on_drop(true);
    command
}

//! Repositories that are made: the sample one, and those of tests.

use std::{collections::BTreeMap, os::unix::fs::PermissionsExt as _, path::Path};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use super::{
    Forge,
    bare::run,
    state::{Issue, Repository, is_plain, now},
};

/// A repository to be made.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewRepository {
    /// Whose it is.
    pub owner: String,
    /// Its name.
    pub name: String,
    /// Whether only tokens see it.
    #[serde(default = "yes")]
    pub private: bool,
    /// What its first commit holds, by path. Without any it is empty.
    #[serde(default)]
    pub files: BTreeMap<String, NewFile>,
    /// Its issues, from number 1.
    #[serde(default)]
    pub issues: Vec<NewIssue>,
}

/// A file to be made.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewFile {
    /// What is in it.
    pub text: String,
    /// Whether it can be run.
    #[serde(default)]
    pub executable: bool,
}

/// An issue to be made.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewIssue {
    /// What it is about.
    pub title: String,
    /// What it says.
    pub body: String,
    /// Whether it is closed.
    #[serde(default)]
    pub closed: bool,
}

fn yes() -> bool {
    true
}

impl Forge {
    /// Makes the sample repository and its issue, unless they are there.
    pub async fn seed_demo(&self) -> anyhow::Result<()> {
        let demo = demo();
        if self.find(&demo.owner, &demo.name).is_some() {
            return Ok(());
        }
        self.create_repository(demo).await
    }

    /// Makes a repository.
    pub async fn create_repository(&self, new: NewRepository) -> anyhow::Result<()> {
        ensure!(is_plain(&new.owner) && is_plain(&new.name), "that is no name of a repository");
        ensure!(self.find(&new.owner, &new.name).is_none(), "there is one of that name");
        let made = tempfile::Builder::new().prefix("new-").tempdir_in(&self.data)?;
        let bare = made.path().join("bare");
        let (work, bare_name) = (made.path().join("work"), bare.to_string_lossy().into_owned());
        std::fs::create_dir(&work)?;
        run(made.path(), &["init", "--quiet", "--bare", &bare_name]).await?;
        if !new.files.is_empty() {
            fill(&work, &new.files)?;
            run(&work, &["init", "--quiet"]).await?;
            run(&work, &["add", "--all"]).await?;
            let identity = ["-c", "user.name=Octo", "-c", "user.email=octo@example.org"];
            let commit = ["commit", "--quiet", "--message", "Begin"];
            run(&work, &[&identity[..], &commit[..]].concat()).await?;
            run(&work, &["push", "--quiet", &bare_name, "HEAD:refs/heads/main"]).await?;
        }
        // What is said of it first: the directory is what makes it exist.
        let repo = format!("{}/{}", new.owner, new.name);
        self.change(|kept| {
            kept.issues.retain(|issue| issue.repo != repo);
            kept.repositories.retain(|known| known.full_name() != repo);
            let id = kept.repositories.iter().map(|known| known.id).max().unwrap_or(0) + 1;
            kept.repositories.push(Repository {
                id,
                owner: new.owner.clone(),
                name: new.name.clone(),
                private: new.private,
                created_at: now(),
            });
            for (number, issue) in (1..).zip(new.issues) {
                kept.issues.push(Issue {
                    repo: repo.clone(),
                    number,
                    title: issue.title,
                    body: issue.body,
                    closed: issue.closed,
                    created_at: now(),
                });
            }
        })?;
        let place = self.directory(&new.owner, &new.name);
        std::fs::create_dir_all(place.parent().context("no parent")?)?;
        std::fs::rename(bare, place)?;
        Ok(())
    }
}

fn fill(work: &Path, files: &BTreeMap<String, NewFile>) -> anyhow::Result<()> {
    for (name, file) in files {
        let inside = name.split('/').all(|part| !matches!(part, "" | "." | ".." | ".git"));
        ensure!(inside, "{name} is no path inside a repository");
        let path = work.join(name);
        std::fs::create_dir_all(path.parent().context("no parent")?)?;
        std::fs::write(&path, &file.text)?;
        let mode = if file.executable { 0o755 } else { 0o644 };
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

/// The sample repository: a shell script with a bug, and the issue that describes it.
fn demo() -> NewRepository {
    let file = |text: &str, executable| NewFile { text: text.to_owned(), executable };
    let readme = "# greeter\n\nGreets people by name.\n\n    ./greet.sh Ada\n\n\
                  `./test.sh` runs the tests.\n";
    let greet = "#!/bin/sh\n# Greets whoever is named.\nname=$1\necho \"Hello, nmae!\"\n";
    let test = "#!/bin/sh\n# Fails loudly if greet.sh does not greet.\nset -eu\ncd \"$(dirname \"$0\")\"\n\
                said=$(sh ./greet.sh Ada)\n\
                [ \"$said\" = \"Hello, Ada!\" ] || { echo \"said: $said\"; exit 1; }\necho ok\n";
    let files = [
        ("README.md", file(readme, false)),
        ("greet.sh", file(greet, true)),
        ("test.sh", file(test, true)),
        ("AGENTS.md", file("Run ./test.sh before you say that you are done.\n", false)),
    ];
    NewRepository {
        owner: "octo-demo".to_owned(),
        name: "greeter".to_owned(),
        private: true,
        files: files.map(|(name, file)| (name.to_owned(), file)).into(),
        issues: vec![NewIssue {
            title: "greet.sh greets nobody by name".to_owned(),
            body: "`./greet.sh Ada` prints `Hello, nmae!` where it should print `Hello, Ada!`.\n\n\
                   `./test.sh` fails because of it."
                .to_owned(),
            closed: false,
        }],
    }
}

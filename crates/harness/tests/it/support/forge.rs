use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Bare repositories, served by git's own http-backend.
pub(crate) struct Forge {
    pub(crate) root: PathBuf,
}

impl Forge {
    /// With `acme/widget`, which has one commit on `main`, and the empty `acme/empty`.
    pub(crate) fn new(root: &Path) -> Self {
        for name in ["acme/widget.git", "acme/empty.git"] {
            let bare = root.join(name);
            std::fs::create_dir_all(&bare).unwrap();
            git_in(&bare, &["init", "--quiet", "--bare", "--initial-branch=main"]);
            git_in(&bare, &["config", "http.receivepack", "true"]);
        }
        let forge = Self { root: root.to_owned() };
        forge.commit("main", &[("README.md", "# Widget\n"), ("src/lib.sh", "echo one\n")], "First");
        forge
    }

    pub(crate) fn widget(&self) -> PathBuf {
        self.root.join("acme/widget.git")
    }

    /// Commits files on a branch, as somebody else would.
    pub(crate) fn commit(&self, branch: &str, files: &[(&str, &str)], message: &str) {
        let work = tempfile::tempdir().unwrap();
        git_in(work.path(), &["clone", "--quiet", &self.widget().to_string_lossy(), "."]);
        let there = output_of(work.path(), &["ls-remote", "--heads", "origin", branch]);
        let from =
            if there.is_empty() { "origin/main".to_owned() } else { format!("origin/{branch}") };
        let born = !output_of(work.path(), &["ls-remote", "--heads", "origin", "main"]).is_empty();
        if born {
            git_in(work.path(), &["checkout", "--quiet", "--no-track", "-B", branch, &from]);
        } else {
            git_in(work.path(), &["checkout", "--quiet", "--orphan", branch]);
        }
        for (name, content) in files {
            let path = work.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        git_in(work.path(), &["add", "--all"]);
        git_in(work.path(), &["commit", "--quiet", "--message", message]);
        git_in(work.path(), &["push", "--quiet", "origin", &format!("HEAD:refs/heads/{branch}")]);
    }
}

/// A git command with nothing of this machine's configuration.
fn git(dir: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(dir)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("HOME", dir)
        .envs([("GIT_AUTHOR_NAME", "Ada"), ("GIT_AUTHOR_EMAIL", "ada@example.com")])
        .envs([("GIT_COMMITTER_NAME", "Ada"), ("GIT_COMMITTER_EMAIL", "ada@example.com")]);
    command
}

pub(crate) fn git_in(dir: &Path, arguments: &[&str]) {
    output_of(dir, arguments);
}

pub(crate) fn output_of(dir: &Path, arguments: &[&str]) -> String {
    let output = git(dir).args(arguments).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {words}");
    String::from_utf8(output.stdout).unwrap()
}

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{MetadataExt as _, PermissionsExt as _, symlink},
        net::UnixListener,
    },
    path::{Path, PathBuf},
};

use harness::wire::StepErrorKind;
use reqwest::{StatusCode, header};

use crate::support::{BRANCH, REMOTE, Sandbox, git_in, output_of};

const NOW: i64 = 1_700_000_000;

/// A repository with everything that a bundle must keep.
fn work(repository: &Path) {
    let write = |name: &str, text: &str| {
        let path = repository.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let mode = |name: &str, mode: u32| {
        fs::set_permissions(repository.join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    write(".gitignore", "target/\n*.tmp\n");
    write("script.sh", "#!/bin/sh\n");
    mode("script.sh", 0o755);
    git_in(repository, &["add", "--all"]);
    git_in(repository, &["commit", "--quiet", "--message", "Not pushed"]);
    write("src/lib.sh", "stashed\n");
    git_in(repository, &["stash", "--quiet"]);
    write("src/lib.sh", "echo modified\n");
    write("staged.txt", "staged\n");
    git_in(repository, &["add", "staged.txt"]);
    write("staged.txt", "staged, then modified\n");
    write("untracked/deep/file.txt", "untracked\n");
    write("target/kept.o", "ignored\n");
    write(&format!("{}/{}", "long".repeat(30), "name".repeat(30)), "a long path\n");
    fs::write(repository.join(std::ffi::OsStr::from_bytes(b"caf\xe9")), "not UTF-8\n").unwrap();
    fs::remove_file(repository.join("README.md")).unwrap();
    mode("untracked/deep/file.txt", 0o751);
    mode("untracked/deep", 0o555);
    symlink("script.sh", repository.join("relative")).unwrap();
    symlink("/etc/passwd", repository.join("absolute")).unwrap();
    symlink("nowhere/at//all/", repository.join("dangling")).unwrap();
    symlink("x".repeat(400), repository.join("long-target")).unwrap();
    symlink("untracked", repository.join("directory")).unwrap();
}
/// Everything in a directory: kind, mode, time and content or target, by path.
fn everything(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut next = vec![root.to_owned()];
    while let Some(dir) = next.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let about = path.symlink_metadata().unwrap();
            let said = if about.is_dir() {
                next.push(path.clone());
                format!("dir {:o}", about.mode())
            } else if about.is_symlink() {
                format!("link {}", fs::read_link(&path).unwrap().display())
            } else {
                let content = fs::read(&path).unwrap();
                format!("file {:o} {} {content:?}", about.mode(), about.mtime())
            };
            found.insert(path.strip_prefix(root).unwrap().to_owned(), said);
        }
    }
    found
}

/// What git says of it.
fn said(repository: &Path) -> Vec<String> {
    let asked: [&[&str]; 6] = [
        &["status", "--porcelain=v2", "--branch", "--ignored"],
        &["rev-parse", "HEAD"],
        &["stash", "list"],
        &["show", "stash@{0}"],
        &["log", "--format=%H", "--all"],
        &["diff", "--cached"],
    ];
    asked.iter().map(|arguments| output_of(repository, arguments)).collect()
}

#[tokio::test]
async fn a_restored_repository_equals_the_one_that_was_kept() {
    let sandbox = Sandbox::new();
    let harness = sandbox.cloned().await;
    let repository = sandbox.repository();
    work(&repository);
    let file = fs::File::options().write(true).open(repository.join("script.sh")).unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(NOW.unsigned_abs());
    file.set_modified(time).unwrap();
    let (words, files) = (said(&repository), everything(&repository));
    let (taken, bundle) = harness.bundle().await;
    assert_eq!(taken.git_head, words[1].trim());
    assert_eq!(taken.left_out, Vec::<String>::new());
    assert_eq!(everything(&repository), files, "the snapshot changed something");
    harness.discard().await;
    harness.end().await;
    // What is there already is replaced, read-only directories too.
    let harness = sandbox.harness().await;
    fs::write(repository.join("leftover"), "of another run").unwrap();
    let restored = harness.restore(bundle, BRANCH).await.unwrap();
    assert_eq!(restored.git_head, words[1].trim());
    // The index holds inodes and times: it alone is another, and means the same.
    let index = Path::new(".git/index");
    let mut again = everything(&repository);
    let mut files = files;
    assert!(again.remove(index).is_some() && files.remove(index).is_some());
    let different: Vec<_> =
        files.iter().filter(|(path, of)| again.get(*path) != Some(of)).collect();
    assert!(different.is_empty() && again.len() == files.len(), "{different:?}");
    assert_eq!(again[Path::new("script.sh")], format!("file 100755 {NOW} {:?}", b"#!/bin/sh\n"));
    assert_eq!(said(&repository), words);
    harness.end().await;
}

#[tokio::test]
async fn what_must_not_be_kept_is_left_out_and_named() {
    let sandbox = Sandbox::new();
    sandbox.forge.commit(
        "main",
        &[("tests/id_rsa", "a fixture\n"), (".gitignore", "big/\n")],
        "Keys",
    );
    let harness = sandbox.cloned().await;
    let repository = sandbox.repository();
    let state = sandbox.home().join(".local/share/opencode");
    for dir in ["log", "repos", "snapshot/x", "tool-output"] {
        fs::create_dir_all(state.join(dir)).unwrap();
        fs::write(state.join(dir).join("file"), dir).unwrap();
    }
    for secret in ["auth.json", "mcp-auth.json", "snapshot/x/index.lock"] {
        fs::write(state.join(secret), "canary-secret").unwrap();
    }
    for secret in [".netrc", "deploy/id_rsa", ".git-credentials", "deploy/id_ed25519"] {
        fs::create_dir_all(repository.join("deploy")).unwrap();
        fs::write(repository.join(secret), "canary-secret").unwrap();
    }
    fs::write(repository.join(".env"), "kept=1\n").unwrap();
    fs::write(repository.join(".git/index.lock"), "").unwrap();
    fs::write(repository.join("Cargo.lock"), "kept\n").unwrap();
    fs::create_dir(repository.join("big")).unwrap();
    fs::write(repository.join("big/small"), "kept").unwrap();
    fs::File::create(repository.join("big/large")).unwrap().set_len(65 << 20).unwrap();
    git_in(&repository, &["init", "--quiet", "big/nested"]);
    fs::File::create(repository.join("big/nested/large")).unwrap().set_len(65 << 20).unwrap();
    let _socket = UnixListener::bind(repository.join("socket")).unwrap();
    let (taken, bundle) = harness.bundle().await;
    assert_eq!(
        taken.left_out,
        [
            ".git-credentials",
            ".netrc",
            "big/large",
            "big/nested/large",
            "deploy/id_ed25519",
            "deploy/id_rsa"
        ]
    );
    let mut tar = Vec::new();
    zstd::Decoder::new(&bundle[..]).unwrap().read_to_end(&mut tar).unwrap();
    assert!(!tar.windows(13).any(|bytes| bytes == b"canary-secret"));
    let mut archive = tar::Archive::new(&tar[..]);
    let names: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names[0], "manifest.json");
    let has = |name: &str| names.iter().any(|known| known == name);
    for kept in [
        "repo/tests/id_rsa",
        "repo/.env",
        "repo/Cargo.lock",
        "repo/big/small",
        "opencode/snapshot/x/file",
        "opencode/tool-output/file",
    ] {
        assert!(has(kept), "no {kept}");
    }
    for left_out in ["repo/socket", "repo/.git/index.lock", "opencode/log", "opencode/repos"] {
        assert!(!has(left_out), "{left_out}");
    }
    harness.end().await;
}

#[tokio::test]
async fn a_bundle_is_fetched_from_anywhere_in_it_until_it_is_discarded() {
    let sandbox = Sandbox::new();
    let harness = sandbox.cloned().await;
    let (_, whole) = harness.bundle().await;
    let from = async |range: String| {
        let request = harness.http.get("http://harness/v1/snapshot/content");
        request.header(header::RANGE, range).send().await.unwrap()
    };
    let half = whole.len() / 2;
    let (first, second) = tokio::join!(from(format!("bytes={half}-")), from("bytes=0-".into()));
    assert_eq!((first.status(), second.status()), (StatusCode::PARTIAL_CONTENT, StatusCode::OK));
    let range = first.headers()[header::CONTENT_RANGE].to_str().unwrap().to_owned();
    assert_eq!(range, format!("bytes {half}-{}/{}", whole.len() - 1, whole.len()));
    let (first, second) = tokio::join!(first.bytes(), second.bytes());
    assert_eq!((&first.unwrap()[..], &second.unwrap()[..]), (&whole[half..], &whole[..]));
    let beyond = from(format!("bytes={}-", whole.len() + 1)).await;
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    harness.discard().await;
    assert!(!from("bytes=0-".into()).await.status().is_success());
    harness.end().await;
}

#[tokio::test]
async fn a_bundle_that_is_none_is_refused_and_the_next_one_restored() {
    let sandbox = Sandbox::new();
    let harness = sandbox.cloned().await;
    let (_, bundle) = harness.bundle().await;
    for hostile in [&b"no bundle"[..], &bundle[..bundle.len() - 1], &[]] {
        let refused = harness.restore(hostile.to_vec(), BRANCH).await.unwrap_err();
        assert_eq!(refused.kind, StepErrorKind::BadBundle, "{}", refused.detail);
    }
    harness.restore(bundle, BRANCH).await.unwrap();
    assert_eq!(output_of(&sandbox.repository(), &["config", "remote.origin.url"]).trim(), REMOTE);
    harness.end().await;
}

#[tokio::test]
async fn a_forked_bundle_goes_on_on_a_branch_of_its_own() {
    let sandbox = Sandbox::new();
    let harness = sandbox.cloned().await;
    let repository = sandbox.repository();
    work(&repository);
    let (_, bundle) = harness.bundle().await;
    let head = harness.restore(bundle, "paddock/fork").await.unwrap().git_head;
    let branches = output_of(&repository, &["rev-parse", "paddock/fork", BRANCH]);
    assert_eq!(branches, format!("{head}\n{head}\n"));
    assert_eq!(output_of(&repository, &["branch", "--show-current"]), "paddock/fork\n");
    assert!(output_of(&repository, &["status", "--porcelain"]).contains(" M src/lib.sh"));
    harness.end().await;
}

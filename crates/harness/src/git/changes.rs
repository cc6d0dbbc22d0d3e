use std::{fs::File, path::Path};

use super::{Git, NO_COMMIT, command::Said, push};
use crate::{
    config::Config,
    failure::Step,
    wire::{Changes, ChangesRequest, MAX_DIFF_BYTES},
};

/// The branch's diff against its base, with what is not committed and not yet tracked. A copy of the index
/// and a store of objects beside it are used: the agent's own stay as they are.
pub(crate) async fn changes(config: &Config, request: &ChangesRequest) -> Step<Changes> {
    let git = Git::new(config);
    let head = git.head().await?;
    let tip = push::base(&git, &request.base).await?;
    let shared = match head.as_str() {
        NO_COMMIT => None,
        _ => Some(git.attempt(&["merge-base", &tip, &head]).await?).filter(|said| said.success),
    };
    // Without a common ancestor, everything is the difference.
    let base = shared.map_or(tip, |said| said.text());
    let beside = tempfile::tempdir_in(config.own()?)?;
    let index = beside.path().join("index");
    let own = config.repository().join(".git/index");
    if let Ok(about) = own.metadata()
        && about.is_file()
    {
        std::fs::copy(own, &index)?;
        // What was changed in the same second as the index is looked at again: by the index's own time.
        File::options().write(true).open(&index)?.set_modified(about.modified()?)?;
    }
    let mut said = difference(config, beside.path(), &base, &[]).await?;
    if !said.success && !said.truncated {
        // A filter that the repository requires and that fails here: shown as the files are.
        said = difference(config, beside.path(), &base, &without_filters(&git).await?).await?;
    }
    if !said.success && !said.truncated {
        return Err(said.failure(&["diff"]));
    }
    let (diff, truncated) = bounded(&said.stdout, said.truncated);
    Ok(Changes { base, head, diff, truncated })
}

async fn difference(config: &Config, beside: &Path, base: &str, settings: &[String]) -> Step<Said> {
    let git_dir = config.repository().join(".git");
    let git = || {
        let git = Git::new(config)
            .env("GIT_INDEX_FILE", beside.join("index").to_string_lossy())
            .env("GIT_OBJECT_DIRECTORY", beside.join("objects").to_string_lossy())
            .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", git_dir.join("objects").to_string_lossy());
        settings.iter().cloned().fold(git, Git::set)
    };
    std::fs::create_dir_all(beside.join("objects"))?;
    let add = git().attempt(&["add", "--intent-to-add", "--ignore-errors", "--", "."]).await?;
    if !add.is_partial() {
        return Ok(add);
    }
    let diff = [
        "diff",
        "--no-ext-diff",
        "--no-textconv",
        "--no-color",
        "--find-renames",
        "--ignore-submodules=dirty",
        "--submodule=short",
        "--unified=3",
        "--src-prefix=a/",
        "--dst-prefix=b/",
        base,
    ];
    git().at_most(MAX_DIFF_BYTES as u64).attempt(&diff).await
}

/// Settings that switch every configured filter off.
async fn without_filters(git: &Git<'_>) -> Step<Vec<String>> {
    let listed =
        ["config", "--name-only", "--get-regexp", r"^filter\..*\.(clean|process|required)$"];
    let said = git.attempt(&listed).await?;
    let names: Vec<String> = said.text().lines().map(str::to_owned).collect();
    Ok(names
        .into_iter()
        .filter(|name| !name.contains('='))
        .map(
            |name| {
                if name.ends_with(".required") {
                    format!("{name}=false")
                } else {
                    format!("{name}=")
                }
            },
        )
        .collect())
}

/// The diff as text, at most [`MAX_DIFF_BYTES`] of it, in whole lines; and whether it was cut.
fn bounded(diff: &[u8], truncated: bool) -> (String, bool) {
    let mut text = String::from_utf8_lossy(diff).into_owned();
    // What is not UTF-8 has become longer.
    if text.len() <= MAX_DIFF_BYTES && !truncated {
        return (text, false);
    }
    let mut end = text.len().min(MAX_DIFF_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    if let Some(line) = text.rfind('\n') {
        text.truncate(line + 1);
    }
    (text, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_is_cut_after_a_whole_line_also_where_it_is_not_utf_8() {
        let line = [&[0xff; 60][..], b"\n"].concat();
        let diff = line.repeat(MAX_DIFF_BYTES / 64);
        let (text, cut) = bounded(&diff, false);
        assert!(cut && text.len() <= MAX_DIFF_BYTES && text.ends_with('\n'));
        assert_eq!(bounded(b"+one\n", false), ("+one\n".to_owned(), false));
    }
}

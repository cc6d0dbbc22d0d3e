//! `paddock audit verify` and `keygen`: what needs no server.

use std::{
    fs::File,
    io::{BufReader, IsTerminal as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use audit::{
    SignedCheckpoint, SigningKey, VerifyingKey,
    verify::{Against, Failure, Older, Verdict},
};
use clap::Args;
use serde_json::{Value, json};

use crate::cli::{error::CliError, output};

/// The file does not hold.
const BROKEN: u8 = 1;
/// The file, or what it is compared with, cannot be read.
const UNREADABLE: u8 = 2;

#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// The file that `paddock audit export` wrote; `-` is standard input.
    file: PathBuf,
    /// The log's key, as it was told to you by another way than this file: NAME+ID+BASE64.
    #[arg(long, value_name = "VKEY")]
    key: Option<String>,
    /// Something older of the same log: an earlier export, or a checkpoint that was kept. It finds a log that was
    /// rolled back, forked or rewritten.
    #[arg(long, value_name = "OLDER")]
    extends: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct KeygenArgs {
    /// The log's name, such as the installation's host: paddock.example.org.
    name: String,
    /// The file for the secret half; it must not be there yet.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

/// Verifies a file.
pub(crate) fn verify(args: &VerifyArgs, json: bool) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    match checked(args) {
        Ok(verdict) => {
            let value = holds(&verdict);
            output::print(json, &value, |_| in_words(&verdict, began));
            Ok(ExitCode::SUCCESS)
        }
        Err(Failure::Broken(finding)) => {
            let (first, last) = (finding.positions.start(), finding.positions.end());
            let value = json!({
                "holds": false,
                "line": finding.line,
                "position": first,
                "last_position": last,
                "what": finding.what.to_string(),
            });
            output::print(json, &value, |_| format!("IT DOES NOT HOLD\n  {finding}"));
            Ok(ExitCode::from(BROKEN))
        }
        Err(Failure::Unreadable(why)) => {
            Err(CliError { code: UNREADABLE, message: why, problem: None }.into())
        }
    }
}

fn checked(args: &VerifyArgs) -> Result<Verdict, Failure> {
    let key = args.key.as_deref().map(|key| VerifyingKey::parse(key.trim()));
    let key = key.transpose().map_err(|error| Failure::Unreadable(format!("--key: {error}")))?;
    let older = args.extends.as_deref().map(older).transpose()?;
    let against = Against { key, older };
    let shown = std::io::stderr().is_terminal();
    let mut told = Instant::now();
    let mut progress = |done, size| {
        if shown && told.elapsed().as_millis() > 500 {
            told = Instant::now();
            eprint!("\r{done} of {size} positions ");
        }
    };
    let verdict = if args.file.as_os_str() == "-" {
        audit::verify::verify(std::io::stdin().lock(), against, &mut progress)
    } else {
        audit::verify::verify(open(&args.file)?, against, &mut progress)
    };
    if shown {
        eprint!("\r\u{1b}[K");
    }
    verdict
}

fn open(path: &Path) -> Result<BufReader<File>, Failure> {
    let file = File::open(path);
    let file = file.map_err(|error| Failure::Unreadable(format!("{}: {error}", path.display())))?;
    Ok(BufReader::with_capacity(1 << 20, file))
}

/// A checkpoint is a few short lines, and begins otherwise than an export.
fn older(path: &Path) -> Result<Older, Failure> {
    use std::io::Read as _;
    let mut beginning = String::new();
    let _ = open(path)?.take(1 << 16).read_to_string(&mut beginning);
    if let Ok(checkpoint) = SignedCheckpoint::parse(&beginning) {
        return Ok(Older::Checkpoint(checkpoint));
    }
    Ok(Older::Export(Box::new(open(path)?), Box::new(open(path)?)))
}

fn holds(verdict: &Verdict) -> Value {
    let checkpoint = verdict.checkpoint.checkpoint();
    json!({
        "holds": true,
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": hex::encode(checkpoint.root),
        "epoch": checkpoint.epoch,
        "checkpoint": verdict.checkpoint.note(),
        "checkpoints": verdict.checkpoints,
        "texts": verdict.texts,
        "erased": verdict.erased,
        "signed_by": verdict.signed_by.as_str(),
        "key_known": verdict.key_known,
        "keys": verdict.keys.iter().map(VerifyingKey::as_str).collect::<Vec<_>>(),
        "extends": verdict.extends,
    })
}

fn in_words(verdict: &Verdict, began: Instant) -> String {
    let checkpoint = verdict.checkpoint.checkpoint();
    let mut lines = vec![
        format!("log         {}, epoch {}", output::inert(&checkpoint.origin), checkpoint.epoch),
        format!("positions   {}, each as recorded, in {:.1?}", checkpoint.size, began.elapsed()),
        format!(
            "texts       {} as committed to, {} erased by the record",
            verdict.texts, verdict.erased
        ),
        format!(
            "root        {}, as signed ({} checkpoints)",
            hex::encode(checkpoint.root),
            verdict.checkpoints
        ),
        format!("signed by   {}", verdict.signed_by),
    ];
    if !verdict.key_known {
        lines.push(
            "            a key that this file names itself: compare it with the one that you were told, or give \
             that with --key"
                .to_owned(),
        );
    }
    lines.push(match verdict.extends {
        Some(size) => format!("goes on     from the {size} positions of the older one"),
        None => "goes on     from nothing older: a log that was rolled back, forked or rewritten before it was \
                 signed is found with --extends OLDER alone"
            .to_owned(),
    });
    lines.push("it holds".to_owned());
    lines.join("\n")
}

/// Makes a key.
pub(crate) fn keygen(args: &KeygenArgs, json: bool) -> anyhow::Result<ExitCode> {
    let key = generate(&args.name, &args.output)?;
    let value = json!({ "key": key.as_str(), "file": args.output.display().to_string() });
    output::print(json, &value, |_| key.to_string());
    Ok(ExitCode::SUCCESS)
}

/// Writes a new key into a file that nobody else reads.
pub(crate) fn generate(name: &str, path: &Path) -> anyhow::Result<VerifyingKey> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
    let text =
        SigningKey::generate(name, seed).map_err(|error| CliError::usage(error.to_string()))?;
    let mut options = File::options();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.map_err(|error| CliError::usage(format!("{}: {error}", path.display())))?;
    file.write_all(format!("{text}\n").as_bytes())?;
    file.sync_all()?;
    Ok(SigningKey::parse(&text)?.verifying().clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_once_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let key = generate("paddock.example.org", &path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(SigningKey::parse(text.trim()).unwrap().verifying(), &key);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        generate("paddock.example.org", &path).unwrap_err();
    }
}

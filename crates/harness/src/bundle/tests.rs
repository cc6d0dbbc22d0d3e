use std::{io::Write as _, os::unix::fs::symlink, path::Path};

use super::{MANIFEST, restore::unpack};

type Entry<'a> = (&'a str, tar::EntryType, &'a [u8]);

/// An archive as an attacker would make it: names and links are written as they are.
fn bundle(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let manifest = br#"{"version":1,"git_head":"","left_out":[]}"#;
    for (name, kind, content) in
        [(MANIFEST, tar::EntryType::Regular, &manifest[..])].iter().chain(entries)
    {
        let mut header = tar::Header::new_gnu();
        let bytes = name.as_bytes();
        header.as_mut_bytes()[..bytes.len()].copy_from_slice(bytes);
        header.set_entry_type(*kind);
        header.set_mode(0o6755);
        let links = matches!(kind, tar::EntryType::Symlink | tar::EntryType::Link);
        header.set_size(if links { 0 } else { content.len() as u64 });
        if links {
            header.as_mut_bytes()[157..157 + content.len()].copy_from_slice(content);
        }
        header.set_cksum();
        tar.append(&header, if links { &[][..] } else { content }).unwrap();
    }
    let tar = tar.into_inner().unwrap();
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.write_all(&tar).unwrap();
    encoder.finish().unwrap()
}

fn restored(entries: &[Entry<'_>]) -> (tempfile::TempDir, Result<(), String>) {
    let dir = tempfile::tempdir().unwrap();
    for name in ["repo", "state", "outside"] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
    }
    let result = unpack(&bundle(entries)[..], &dir.path().join("repo"), &dir.path().join("state"));
    (dir, result.map_err(|failure| failure.to_string()))
}

fn outside_is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir.join("outside")).unwrap().next().is_none() && !dir.join("x").exists()
}

#[test]
fn hostile_bundles_write_nothing_outside_their_roots() {
    use tar::EntryType::{Block, Char, Directory, Fifo, Link, Regular, Symlink};
    let corpus: &[&[Entry<'_>]] = &[
        &[("../x", Regular, b"x")],
        &[("repo/../../x", Regular, b"x")],
        &[("/tmp/paddock-hostile-bundle", Regular, b"x")],
        &[("other/x", Regular, b"x")],
        &[("repo/hard", Link, b"/etc/passwd")],
        &[("repo/dev", Char, b"")],
        &[("repo/dev", Block, b"")],
        &[("repo/pipe", Fifo, b"")],
        &[("repo/a", Regular, b"1"), ("repo/a", Regular, b"2")],
        &[("repo/a/b", Regular, b"no parent")],
        // Through a link that the archive made itself.
        &[("repo/out", Symlink, b"../outside"), ("repo/out/x", Regular, b"x")],
        &[("repo/out", Symlink, b"../outside"), ("repo/out", Directory, b"")],
        &[("repo", Symlink, b"outside"), ("repo/x", Regular, b"x")],
    ];
    for entries in corpus {
        let (dir, result) = restored(entries);
        assert!(outside_is_empty(dir.path()), "{entries:?}");
        assert!(result.is_err(), "{entries:?} was accepted");
    }
    assert!(!Path::new("/tmp/paddock-hostile-bundle").exists());
}

#[test]
fn a_link_that_is_there_already_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["repo", "state", "outside"] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
    }
    symlink("../outside", dir.path().join("repo/out")).unwrap();
    let bytes = bundle(&[("repo/out/x", tar::EntryType::Regular, b"x")]);
    assert!(unpack(&bytes[..], &dir.path().join("repo"), &dir.path().join("state")).is_err());
    assert!(outside_is_empty(dir.path()));
}

#[test]
fn links_are_kept_as_they_are_and_set_id_bits_are_not() {
    use std::os::unix::fs::PermissionsExt as _;
    use tar::EntryType::{Regular, Symlink};
    let (dir, result) = restored(&[
        ("repo/tool", Regular, b"#!/bin/sh\n"),
        ("repo/passwd", Symlink, b"/etc/passwd"),
    ]);
    result.unwrap();
    let tool = std::fs::metadata(dir.path().join("repo/tool")).unwrap();
    assert_eq!(tool.permissions().mode() & 0o7777, 0o755);
    let target = std::fs::read_link(dir.path().join("repo/passwd")).unwrap();
    assert_eq!(target, Path::new("/etc/passwd"));
}

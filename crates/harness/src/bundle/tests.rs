use std::{io::Write as _, os::unix::fs::symlink, path::Path};

use tar::EntryType::{
    self, Block, Char, Directory, Fifo, GNULongLink, GNULongName, GNUSparse, Link, Regular,
    Symlink, XHeader,
};

use super::{MANIFEST, limits::Limits, unpack::unpack};

const MANIFEST_BYTES: &[u8] = br#"{"version":1,"git_head":"","left_out":[]}"#;
const SMALL: Limits = Limits { bytes: 1 << 20, file: 64 << 10, entries: 50 };

/// A name, a kind, and the content or the link's target.
type Entry<'a> = (&'a str, EntryType, &'a [u8]);

/// One entry as an attacker would write it: name, mode and target stand as they are.
fn entry(name: &str, kind: EntryType, content: &[u8], size: u64) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o6755);
    header.set_mtime(1_700_000_000);
    let is_link = matches!(kind, Symlink | Link);
    header.set_size(if is_link { 0 } else { size });
    if is_link {
        header.as_mut_bytes()[157..157 + content.len()].copy_from_slice(content);
    }
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    if !is_link {
        bytes.extend_from_slice(content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
    }
    bytes
}

fn plain(entries: &[Entry<'_>]) -> Vec<u8> {
    let manifest = entry(MANIFEST, Regular, MANIFEST_BYTES, MANIFEST_BYTES.len() as u64);
    let rest = entries
        .iter()
        .map(|(name, kind, content)| entry(name, *kind, content, content.len() as u64));
    [manifest].into_iter().chain(rest).flatten().chain([0; 1024]).collect()
}

fn compressed(tar: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(tar).unwrap();
    encoder.finish().unwrap()
}

fn unpacked(bundle: &[u8]) -> (tempfile::TempDir, Result<(), String>) {
    let dir = tempfile::tempdir().unwrap();
    for name in ["repo", "state", "outside"] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
    }
    let result = unpack(bundle, &dir.path().join("repo"), &dir.path().join("state"), SMALL);
    (dir, result.map(drop).map_err(|failure| failure.to_string()))
}

/// Nothing but the two roots was touched.
fn is_contained(dir: &Path) -> bool {
    let mut names: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names == ["outside", "repo", "state"]
        && std::fs::read_dir(dir.join("outside")).unwrap().next().is_none()
        && !Path::new("/tmp/paddock-hostile-bundle").exists()
}

#[test]
fn hostile_bundles_are_refused_and_write_nothing_outside_their_roots() {
    let deep = format!("repo{}", "/d".repeat(45));
    let corpus: &[(&str, &[Entry<'_>])] = &[
        ("a parent", &[("../x", Regular, b"x")]),
        ("a parent inside", &[("repo/../../x", Regular, b"x")]),
        ("a parent of the root", &[("repo/..", Directory, b"")]),
        ("an absolute path", &[("/tmp/paddock-hostile-bundle", Regular, b"x")]),
        ("another root", &[("other/x", Regular, b"x")]),
        ("no name", &[("", Regular, b"x")]),
        ("the root as a file", &[("repo", Regular, b"x")]),
        ("the root as a link", &[("repo", Symlink, b"outside"), ("repo/x", Regular, b"x")]),
        ("a hard link", &[("repo/hard", Link, b"/etc/passwd")]),
        ("a hard link inside", &[("repo/a", Regular, b"1"), ("repo/hard", Link, b"repo/a")]),
        ("a character device", &[("repo/dev", Char, b"")]),
        ("a block device", &[("repo/dev", Block, b"")]),
        ("a pipe", &[("repo/pipe", Fifo, b"")]),
        ("a sparse file", &[("repo/sparse", GNUSparse, b"")]),
        (
            "an extended header",
            &[("repo/x", XHeader, b"14 path=../xx\n"), ("repo/a", Regular, b"1")],
        ),
        ("a file twice", &[("repo/a", Regular, b"1"), ("repo/a", Regular, b"2")]),
        ("a directory twice", &[("repo/a", Directory, b""), ("repo/a", Directory, b"")]),
        ("a link twice", &[("repo/a", Symlink, b"1"), ("repo/a", Symlink, b"2")]),
        ("a link and a file", &[("repo/a", Symlink, b"../outside/x"), ("repo/a", Regular, b"2")]),
        ("the manifest twice", &[(MANIFEST, Regular, MANIFEST_BYTES)]),
        ("no parent", &[("repo/a/b", Regular, b"x")]),
        ("below a file", &[("repo/a", Regular, b"1"), ("repo/a/b", Regular, b"x")]),
        (
            "through a link of its own",
            &[("repo/out", Symlink, b"../outside"), ("repo/out/x", Regular, b"x")],
        ),
        (
            "a link below a link",
            &[("repo/out", Symlink, b"../outside"), ("repo/out/x", Symlink, b"x")],
        ),
        (
            "a directory where a link will be",
            &[("repo/out", Symlink, b"../outside"), ("repo/out", Directory, b"")],
        ),
        ("a long name outside", &[("l", GNULongName, b"../x\0"), ("repo/a", Regular, b"x")]),
        ("a name with a zero byte", &[("l", GNULongName, b"repo/a\0b"), ("repo/a", Regular, b"x")]),
        ("a name too long", &[("l", GNULongName, &[b'a'; 5000]), ("repo/a", Regular, b"x")]),
        ("a target too long", &[("l", GNULongLink, &[b'a'; 5000]), ("repo/a", Symlink, b"x")]),
        ("a link to nothing", &[("repo/a", Symlink, b"")]),
        ("a large file", &[("repo/a", Regular, &vec![0; 65 << 10])]),
        ("no directory so deep", &[(&deep, Directory, b"")]),
    ];
    for (what, entries) in corpus {
        let (dir, result) = unpacked(&compressed(&plain(entries)));
        assert!(is_contained(dir.path()), "{what} wrote outside");
        assert!(result.is_err(), "{what} was accepted");
    }
}

#[test]
fn what_is_not_a_whole_bundle_is_refused() {
    let whole = compressed(&plain(&[("repo/a", Regular, &[7; 9000])]));
    unpacked(&whole).1.unwrap();
    for cut in [0, 3, 20, whole.len() / 2, whole.len() - 1] {
        assert!(unpacked(&whole[..cut]).1.is_err(), "cut at {cut}");
    }
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        // A changed byte is found, or was in a part of the frame that means nothing.
        let (dir, result) = unpacked(&changed);
        assert!(is_contained(dir.path()));
        if result.is_ok() {
            assert_eq!(std::fs::read(dir.path().join("repo/a")).unwrap(), [7; 9000]);
        }
    }
    let other =
        compressed(&entry(MANIFEST, Regular, br#"{"version":2,"git_head":"","left_out":[]}"#, 41));
    assert!(unpacked(&other).1.unwrap_err().contains("version 2"));
    assert!(unpacked(&compressed(&entry("repo/a", Regular, b"x", 1))).1.is_err());
    assert!(unpacked(b"not compressed at all").1.is_err());
}

#[test]
fn a_bundle_that_unpacks_to_too_much_is_refused() {
    let file = vec![0; 60 << 10];
    let names: Vec<String> = (0..20).map(|n| format!("repo/{n}")).collect();
    let many: Vec<Entry<'_>> =
        names.iter().map(|name| (name.as_str(), Regular, &file[..])).collect();
    assert!(unpacked(&compressed(&plain(&many))).1.unwrap_err().contains("more than is allowed"));
    let names: Vec<String> = (0..60).map(|n| format!("repo/{n}")).collect();
    let many: Vec<Entry<'_>> =
        names.iter().map(|name| (name.as_str(), Regular, &b""[..])).collect();
    assert!(unpacked(&compressed(&plain(&many))).1.unwrap_err().contains("too many"));
    // One that says that it is huge is refused before anything of it is read.
    let mut huge = plain(&[]);
    huge.truncate(huge.len() - 1024);
    huge.extend(entry("repo/huge", Regular, b"", 1 << 50));
    assert!(unpacked(&compressed(&huge)).1.unwrap_err().contains("larger than is allowed"));
}

#[test]
fn a_link_that_is_there_already_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["repo", "state", "outside"] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
    }
    symlink("../outside", dir.path().join("repo/out")).unwrap();
    std::fs::create_dir(dir.path().join("repo/real")).unwrap();
    symlink("real", dir.path().join("repo/in")).unwrap();
    let into = |name| dir.path().join(name);
    for name in ["repo/out/x", "repo/in/x"] {
        for kind in [Regular, Directory, Symlink] {
            let bundle = compressed(&plain(&[(name, kind, b"x")]));
            assert!(unpack(&bundle[..], &into("repo"), &into("state"), SMALL).is_err(), "{name}");
        }
    }
    assert!(is_contained(dir.path()));
    assert!(std::fs::read_dir(into("repo/real")).unwrap().next().is_none());
}

#[test]
fn links_are_kept_as_they_are_and_set_id_bits_are_not() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    let target = "t".repeat(300);
    let name = format!("repo/{}", "n".repeat(150));
    let (dir, result) = unpacked(&compressed(&plain(&[
        ("repo", Directory, b""),
        ("repo/tool", Regular, b"#!/bin/sh\n"),
        ("repo/passwd", Symlink, b"/etc/passwd"),
        ("l", GNULongName, name.as_bytes()),
        ("l", GNULongLink, target.as_bytes()),
        ("repo/short", Symlink, b"short"),
    ])));
    result.unwrap();
    let tool = std::fs::metadata(dir.path().join("repo/tool")).unwrap();
    assert_eq!(tool.permissions().mode() & 0o7777, 0o755);
    assert_eq!(tool.mtime(), 1_700_000_000);
    let read = |name: &str| std::fs::read_link(dir.path().join(name)).unwrap();
    assert_eq!(read("repo/passwd"), Path::new("/etc/passwd"));
    assert_eq!(read(&name), Path::new(&target));
}

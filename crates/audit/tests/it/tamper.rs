//! The tamper corpus: of a file alone, whatever was changed of it is found, and where.

use crate::log::{ERASED, ERASURE, Log, key};
use audit::verify::{Against, Broken, Failure, Finding, Older, Verdict, verify};

fn with(file: &str, against: Against) -> Result<Verdict, Failure> {
    verify(file.as_bytes(), against, &mut |_, _| {})
}

fn alone(file: &str) -> Result<Verdict, Failure> {
    with(file, Against::default())
}

fn known(number: u8) -> Against {
    Against { key: Some(key(number).verifying().clone()), older: None }
}

fn than(older: &str) -> Against {
    let read = || Box::new(std::io::Cursor::new(older.to_owned()));
    Against { key: None, older: Some(Older::Export(read(), read())) }
}

/// What is found; every file must have something.
#[track_caller]
fn found(result: Result<Verdict, Failure>) -> Finding {
    match result {
        Err(Failure::Broken(finding)) => finding,
        Err(Failure::Unreadable(why)) => panic!("unreadable: {why}"),
        Ok(_) => panic!("it holds"),
    }
}

#[test]
fn an_untouched_file_holds() {
    let verdict = alone(&Log::of(23).file()).unwrap();
    assert_eq!(verdict.checkpoint.checkpoint().size, 23);
    assert_eq!((verdict.checkpoints, verdict.texts, verdict.erased), (5, 6, 1));
    assert!(!verdict.key_known && verdict.extends.is_none());
    assert!(with(&Log::of(23).file(), known(1)).unwrap().key_known);
    assert_eq!(found(with(&Log::of(23).file(), known(3))).what, Broken::Key);
}

#[test]
fn no_bit_of_the_file_can_be_another() {
    let (lines, of) = Log { every: 100, ..Log::of(13) }.lines();
    let file = lines.concat().into_bytes();
    let mut line = 0;
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 1 << (at % 8);
        let failure =
            verify(&changed[..], Against::default(), &mut |_, _| {}).map(drop).unwrap_err();
        match failure {
            // The beginning by which such a file is known, and the version of its form.
            Failure::Unreadable(why) => {
                assert!(
                    line == 0 && (at < 40 || why.contains("format version")),
                    "byte {at}: {why}"
                );
            }
            Failure::Broken(finding) => {
                assert_eq!(finding.line, line as u64 + 1, "byte {at}: {finding}");
                let (first, last) = (*finding.positions.start(), *finding.positions.end());
                assert!(
                    first <= of[line] + 1 && of[line] <= last,
                    "byte {at}: {finding}, not {}",
                    of[line]
                );
            }
        }
        line += usize::from(file[at] == b'\n');
    }
}

#[test]
fn a_line_that_is_missing_is_found_where_it_was() {
    let (lines, of) = Log::of(23).lines();
    for at in 1..lines.len() {
        let mut less = lines.clone();
        less.remove(at);
        // A checkpoint in between was signed of what the next one covers too.
        if lines[at].starts_with("{\"checkpoint\"") && at + 1 < lines.len() {
            continue;
        }
        let finding = found(alone(&less.concat()));
        let near = of[at].saturating_sub(1)..=of[at] + 1;
        assert!(near.contains(finding.positions.start()), "line {}: {finding}", at + 1);
    }
}

#[test]
fn a_line_in_another_place_or_twice_is_found() {
    let (lines, of) = Log::of(23).lines();
    for one in 1..lines.len() {
        for other in one + 1..lines.len() {
            let mut swapped = lines.clone();
            swapped.swap(one, other);
            let finding = found(alone(&swapped.concat()));
            assert!(*finding.positions.start() <= of[one] + 1, "{one}, {other}: {finding}");
        }
        let mut twice = lines.clone();
        twice.insert(one + 1, lines[one].clone());
        if lines[one].starts_with("{\"checkpoint\"") {
            continue;
        }
        let finding = found(alone(&twice.concat()));
        assert!(
            (of[one]..=of[one] + 1).contains(finding.positions.start()),
            "{one} twice: {finding}"
        );
    }
}

#[test]
fn bodies_that_changed_places_are_found() {
    let (lines, of) = Log::of(23).lines();
    let body = |line: &str| {
        line.split_once(",\"entry\":").map(|(body, rest)| (body.to_owned(), rest.to_owned()))
    };
    let (one, other) =
        (of.iter().position(|p| *p == 4).unwrap(), of.iter().position(|p| *p == 8).unwrap());
    let (first, second) = (body(&lines[one]).unwrap(), body(&lines[other]).unwrap());
    let mut swapped = lines.clone();
    swapped[one] = format!("{},\"entry\":{}", second.0, first.1);
    swapped[other] = format!("{},\"entry\":{}", first.0, second.1);
    let finding = found(alone(&swapped.concat()));
    assert_eq!((finding.what, finding.positions), (Broken::Body, 4..=4));
}

#[test]
fn a_file_that_was_cut_off_is_found_wherever_it_was_cut() {
    let (lines, of) = Log::of(23).lines();
    for end in 1..lines.len() {
        let finding = found(alone(&lines[..end].concat()));
        assert_eq!(
            (finding.what, *finding.positions.start()),
            (Broken::Cut, of[end - 1]),
            "after line {end}"
        );
    }
    let file = lines.concat();
    for end in (file.len() - 700..file.len()).step_by(13) {
        found(verify(&file.as_bytes()[..end], Against::default(), &mut |_, _| {}));
    }
    let more = format!("{file}{}", lines[1]);
    assert_eq!(*found(alone(&more)).positions.start(), 24);
}

#[test]
fn a_forged_checkpoint_is_found() {
    // Signed by somebody else, in the name of the log.
    let (mut lines, _) = Log::of(23).lines();
    let (forged, _) = Log { keys: [3, 4], ..Log::of(23) }.lines();
    let last = lines.len() - 1;
    lines[last].clone_from(&forged[last]);
    let finding = found(alone(&lines.concat()));
    assert_eq!((finding.what, finding.positions), (Broken::Signature, 23..=23));
    // All of it signed by somebody else: that takes the log's key to see.
    let forged = forged.concat();
    assert!(!alone(&forged).unwrap().key_known);
    assert_eq!(found(with(&forged, known(1))).what, Broken::Key);
    // The checkpoint of another size in its place.
    let (shorter, _) = Log::of(20).lines();
    lines[last].clone_from(&shorter[shorter.len() - 1]);
    assert_eq!(found(alone(&lines.concat())).what, Broken::Checkpoint);
}

#[test]
fn a_past_that_was_rewritten_whole_has_another_root_than_was_signed_of_it() {
    let (lines, of) = Log::of(23).lines();
    for position in [1, 3, 12, 22] {
        let (mut other, _) = Log { rewritten: Some(position), ..Log::of(23) }.lines();
        // With the checkpoints that were signed.
        for (at, line) in
            lines.iter().enumerate().filter(|(_, line)| line.starts_with("{\"checkpoint\""))
        {
            other[at].clone_from(line);
        }
        let finding = found(alone(&other.concat()));
        assert_eq!(finding.what, Broken::Root, "{position}");
        assert!(
            finding.positions.contains(&position)
                && finding.positions.end() - finding.positions.start() < 5
        );
    }
    assert_eq!(of[of.len() - 1], 23);
}

#[test]
fn a_text_is_gone_only_where_an_event_erased_it() {
    let (lines, of) = Log::of(23).lines();
    let at = lines.iter().position(|line| line.starts_with("{\"salt\"")).unwrap();
    let mut gone = lines.clone();
    gone[at] = format!("{{\"erased\":\"{}\"}}\n", uuid::Uuid::from_u128(of[at].into()));
    let finding = found(alone(&gone.concat()));
    assert!(matches!(finding.what, Broken::NotErased(_)), "{finding}");
    assert_eq!(finding.positions, of[at]..=of[at]);
    assert!(alone(&Log::of(ERASURE).file()).is_ok());
    // Before the event said so, it cannot be gone.
    let finding = found(alone(&Log::of(ERASURE - 1).file()));
    assert_eq!(finding.positions, ERASED..=ERASED);
}

#[test]
fn what_is_older_finds_a_rollback_a_fork_and_a_database_that_its_owner_rewrote() {
    let older = Log::of(17).file();
    assert_eq!(with(&Log::of(23).file(), than(&older)).unwrap().extends, Some(17));
    assert_eq!(with(&older, than(&older)).unwrap().extends, Some(17));
    // Signed by the log's own key, and whole by themselves:
    let rewritten = Log { rewritten: Some(8), ..Log::of(23) }.file();
    let rolled_back = Log::of(15).file();
    assert!(with(&rewritten, known(1)).is_ok() && with(&rolled_back, known(1)).is_ok());
    let finding = found(with(&rewritten, than(&older)));
    assert_eq!((finding.what, finding.positions), (Broken::Differs, 8..=8));
    let finding = found(with(&rolled_back, than(&older)));
    assert_eq!((finding.what, finding.positions), (Broken::RolledBack(17), 16..=17));
    let (fork, _) = Log { rewritten: Some(16), ..Log::of(18) }.lines();
    assert_eq!(found(with(&fork.concat(), than(&older))).positions, 16..=16);
    let other = Log { keys: [3, 4], ..Log::of(23) }.file();
    assert_eq!(found(with(&other, than(&older))).what, Broken::OtherLog);
}

#[test]
fn a_checkpoint_alone_is_enough_of_something_older() {
    let verdict = alone(&Log::of(17).file()).unwrap();
    let than = || Against { key: None, older: Some(Older::Checkpoint(verdict.checkpoint.clone())) };
    assert_eq!(with(&Log::of(23).file(), than()).unwrap().extends, Some(17));
    let rewritten = Log { rewritten: Some(8), ..Log::of(23) }.file();
    let finding = found(with(&rewritten, than()));
    assert_eq!((finding.what, finding.positions), (Broken::Differs, 1..=17));
    assert_eq!(found(with(&Log::of(16).file(), than())).what, Broken::RolledBack(17));
}

#[test]
fn a_key_is_believed_that_the_one_before_handed_over_to() {
    let rotated = Log { rotated: Some((12, true)), ..Log::of(23) };
    for number in [1, 2] {
        let verdict = with(&rotated.file(), known(number)).unwrap();
        assert_eq!(&verdict.signed_by, key(2).verifying(), "by key {number}");
    }
    assert_eq!(with(&rotated.file(), than(&Log::of(11).file())).unwrap().extends, Some(11));
    // Said in the log, and never signed by the one before.
    let taken = Log { rotated: Some((12, false)), ..Log::of(23) };
    assert_eq!(found(alone(&taken.file())).what, Broken::Handover);
    assert_eq!(found(with(&taken.file(), known(1))).what, Broken::Key);
}

#[test]
fn what_is_no_export_is_unreadable() {
    for text in ["", "\n", "{}\n", "hello", "{\"format\":\"other\"}\n"] {
        assert!(matches!(alone(text), Err(Failure::Unreadable(_))), "{text:?}");
    }
    let newer = Log::of(12).file().replacen("\"version\":1}", "\"version\":2}", 1);
    assert!(matches!(alone(&newer), Err(Failure::Unreadable(_))));
    let older = Log::of(11).file().replacen("as it was", "as it is!", 1);
    assert!(matches!(with(&Log::of(12).file(), than(&older)), Err(Failure::Unreadable(_))));
}

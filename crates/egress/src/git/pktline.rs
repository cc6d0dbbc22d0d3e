//! The head of a push: pkt-lines, read as strictly as they are written by git, so that nothing can
//! mean one thing here and another at the forge (gitprotocol-pack, "Reference Update Request").

/// What the head of a push asks for.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Updates {
    /// The updates, in their order.
    pub(crate) updates: Vec<Update>,
    /// What the client can do, and wants.
    pub(crate) capabilities: Vec<String>,
}

/// One reference to be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Update {
    /// The full name.
    pub(crate) reference: String,
    /// It is to go.
    pub(crate) deletes: bool,
}

/// Why the head of a push cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAPush {
    #[error("a packet's length makes no sense")]
    Length,
    #[error("a line of the list of updates makes no sense")]
    Line,
    #[error("signed pushes are not passed on")]
    Signed,
}

/// Reads the list of updates up to its flush packet. None: there is more to come. Otherwise the list
/// and the number of bytes that it took.
pub(crate) fn read_updates(bytes: &[u8]) -> Result<Option<(Updates, usize)>, NotAPush> {
    let mut found = Updates::default();
    let mut at = 0;
    loop {
        let Some(length) = bytes.get(at..at + 4) else {
            return Ok(None);
        };
        let length = packet_length(length)?;
        if length == 0 {
            return Ok(Some((found, at + 4)));
        }
        let Some(line) = bytes.get(at + 4..at + length) else {
            return Ok(None);
        };
        read_line(line, &mut found)?;
        at += length;
    }
}

/// Four hexadecimal digits. 0 is a flush; 1, 2 and 3 have no place in a push, and 4 is an empty line.
fn packet_length(digits: &[u8]) -> Result<usize, NotAPush> {
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(NotAPush::Length);
    }
    let text = str::from_utf8(digits).map_err(|_| NotAPush::Length)?;
    match usize::from_str_radix(text, 16) {
        Ok(0) => Ok(0),
        Ok(length @ 5..=65520) => Ok(length),
        _ => Err(NotAPush::Length),
    }
}

fn read_line(line: &[u8], found: &mut Updates) -> Result<(), NotAPush> {
    if line.starts_with(b"push-cert") {
        return Err(NotAPush::Signed);
    }
    let line = str::from_utf8(line).map_err(|_| NotAPush::Line)?;
    if let Some(id) = line.strip_prefix("shallow ") {
        let id = id.strip_suffix('\n').unwrap_or(id);
        return if is_object(id) && found.updates.is_empty() {
            Ok(())
        } else {
            Err(NotAPush::Line)
        };
    }
    let (command, capabilities) = match line.split_once('\0') {
        Some((command, capabilities)) => (command, Some(capabilities)),
        None => (line, None),
    };
    if let Some(capabilities) = capabilities {
        // Only on the first command.
        if !found.updates.is_empty() {
            return Err(NotAPush::Line);
        }
        let capabilities = capabilities.strip_suffix('\n').unwrap_or(capabilities);
        if capabilities.bytes().any(|byte| byte != b' ' && !byte.is_ascii_graphic()) {
            return Err(NotAPush::Line);
        }
        found.capabilities = capabilities.split_ascii_whitespace().map(str::to_owned).collect();
    }
    let command = command.strip_suffix('\n').unwrap_or(command);
    found.updates.push(read_command(command)?);
    Ok(())
}

/// `old new reference`, separated by one space each.
fn read_command(command: &str) -> Result<Update, NotAPush> {
    let mut parts = command.splitn(3, ' ');
    let (Some(old), Some(new), Some(reference)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(NotAPush::Line);
    };
    let plausible = is_object(old)
        && is_object(new)
        && old.len() == new.len()
        && !reference.is_empty()
        && reference.bytes().all(|byte| byte.is_ascii_graphic());
    if !plausible {
        return Err(NotAPush::Line);
    }
    let deletes = new.bytes().all(|byte| byte == b'0');
    Ok(Update { reference: reference.to_owned(), deletes })
}

/// An object's name: SHA-1 or SHA-256.
fn is_object(text: &str) -> bool {
    matches!(text.len(), 40 | 64)
        && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: &str = "1111111111111111111111111111111111111111";
    const B: &str = "2222222222222222222222222222222222222222";
    const ZERO: &str = "0000000000000000000000000000000000000000";

    fn packet(line: &str) -> String {
        format!("{:04x}{line}", line.len() + 4)
    }

    #[test]
    fn the_list_that_git_sends_is_read() {
        let list = packet(&format!("shallow {A}\n"))
            + &packet(&format!("{A} {B} refs/heads/x\0 report-status-v2 side-band-64k atomic"))
            + &packet(&format!("{A} {ZERO} refs/tags/y\n"))
            + "0000PACK";
        let (found, taken) = read_updates(list.as_bytes()).expect("a push").expect("whole");
        assert_eq!(&list[taken..], "PACK");
        assert_eq!(
            found.updates,
            [
                Update { reference: "refs/heads/x".into(), deletes: false },
                Update { reference: "refs/tags/y".into(), deletes: true },
            ]
        );
        assert_eq!(found.capabilities, ["report-status-v2", "side-band-64k", "atomic"]);
    }

    #[test]
    fn a_probe_without_updates_is_read() {
        assert_eq!(read_updates(b"0000"), Ok(Some((Updates::default(), 4))));
    }

    #[test]
    fn anything_that_git_does_not_write_is_refused() {
        let command = format!("{A} {B} refs/heads/x");
        for (what, bytes) in [
            ("delimiter", "0001".to_owned()),
            ("response end", "0002".to_owned()),
            ("length three", "0003".to_owned()),
            ("empty line", "0004".to_owned()),
            ("no digits", "zzzz".to_owned()),
            ("signed length", "+00f".to_owned()),
            ("too long", "fff1".to_owned()),
            ("two spaces", packet(&format!("{A}  {B} refs/heads/x"))),
            ("tab", packet(&format!("{A}\t{B} refs/heads/x"))),
            ("short object", packet(&format!("{} {B} refs/heads/x", &A[1..]))),
            ("upper case", packet(&format!("{} {B} refs/heads/x", "A".repeat(40)))),
            ("mixed lengths", packet(&format!("{} {B} refs/heads/x", "a".repeat(64)))),
            ("no reference", packet(&format!("{A} {B} "))),
            ("space in reference", packet(&format!("{A} {B} refs/heads/x refs/heads/y"))),
            ("newline in reference", packet(&format!("{A} {B} refs/heads/x\nrefs/heads/y"))),
            ("nul twice", packet(&format!("{command}\0a\0b"))),
            ("capabilities later", packet(&command) + &packet(&format!("{command}\0a"))),
            ("shallow later", packet(&command) + &packet(&format!("shallow {A}"))),
            ("signed push", packet("push-cert\0atomic\n")),
            ("not UTF-8", "0005\u{80}".to_owned()),
        ] {
            assert!(read_updates(bytes.as_bytes()).is_err(), "{what}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read_updates(&bytes);
        }

        #[test]
        fn a_list_is_the_same_whole_or_in_parts(names in prop::collection::vec("refs/heads/[a-z]{1,9}", 0..5), cut in 0..1000_usize) {
            let list: String = names.iter().map(|name| packet(&format!("{A} {B} {name}"))).collect();
            let list = list + "0000rest";
            let whole = read_updates(list.as_bytes()).unwrap().unwrap();
            prop_assert_eq!(whole.0.updates.len(), names.len());
            let cut = cut % list.len();
            match read_updates(&list.as_bytes()[..cut]).unwrap() {
                Some(part) => prop_assert_eq!(part, whole),
                None => prop_assert!(cut < whole.1),
            }
        }
    }
}

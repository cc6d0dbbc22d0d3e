//! The first message of a TLS connection, read only as far as the server name (RFC 8446 §4.1.2,
//! RFC 6066 §3). Bounded, and without a state: it is read again from its beginning as bytes come in.

/// What is taken of a ClientHello before it counts as malformed. The largest in use, with two
/// post-quantum key shares, are below 4 KiB.
pub(crate) const LONGEST: usize = 32 * 1024;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
const HOST_NAME: u8 = 0;

/// What a ClientHello says about where it goes.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct ClientHello {
    /// The server's name, in lower case.
    pub(crate) server_name: Option<String>,
    /// Another name may be inside, encrypted.
    pub(crate) encrypted: bool,
}

/// Why bytes are no ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAHello {
    #[error("not TLS")]
    NotTls,
    #[error("a ClientHello that makes no sense")]
    Malformed,
}

/// A record's content, and what follows it.
type Split<'a> = (&'a [u8], &'a [u8]);

/// Reads what there is. None: there is more to come.
pub(crate) fn read(bytes: &[u8]) -> Result<Option<ClientHello>, NotAHello> {
    let mut message = Vec::new();
    let mut rest = bytes;
    loop {
        if let Some(body) = body_of(&message)? {
            return parse(body).ok_or(NotAHello::Malformed).map(Some);
        }
        let Some((part, after)) = next_record(rest)? else {
            return if bytes.len() > LONGEST { Err(NotAHello::Malformed) } else { Ok(None) };
        };
        message.extend_from_slice(part);
        rest = after;
    }
}

/// The next record; none if it is not all there.
fn next_record(bytes: &[u8]) -> Result<Option<Split<'_>>, NotAHello> {
    // Said as early as possible: a client of another protocol may wait for an answer.
    if bytes.first().is_some_and(|kind| *kind != HANDSHAKE)
        || bytes.get(1).is_some_and(|major| *major != 3)
        || bytes.get(2).is_some_and(|minor| *minor > 4)
    {
        return Err(NotAHello::NotTls);
    }
    let Some((&[_, _, _, high, low], rest)) = bytes.split_first_chunk() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if !(1..=16_384).contains(&length) {
        return Err(NotAHello::Malformed);
    }
    Ok(rest.split_at_checked(length))
}

/// The body of the handshake message, if it is all there.
fn body_of(message: &[u8]) -> Result<Option<&[u8]>, NotAHello> {
    if message.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
        return Err(NotAHello::NotTls);
    }
    let Some((&[_, a, b, c], rest)) = message.split_first_chunk() else { return Ok(None) };
    let length = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap_or(usize::MAX);
    if length > LONGEST {
        return Err(NotAHello::Malformed);
    }
    match rest.get(..length) {
        // What follows in the same record would be another message: no client sends one here.
        Some(_) if rest.len() > length => Err(NotAHello::Malformed),
        body => Ok(body),
    }
}

fn parse(body: &[u8]) -> Option<ClientHello> {
    let mut body = Reader(body);
    body.take(2)?; // legacy version
    body.take(32)?; // random
    body.vector_u8()?; // legacy session id
    body.vector_u16()?; // cipher suites
    body.vector_u8()?; // legacy compression methods
    let mut hello = ClientHello::default();
    if body.0.is_empty() {
        return Some(hello);
    }
    let mut extensions = Reader(body.vector_u16()?);
    if !body.0.is_empty() {
        return None;
    }
    let mut seen = Vec::new();
    while !extensions.0.is_empty() {
        let kind = extensions.u16()?;
        let content = extensions.vector_u16()?;
        // Twice the same: one reader takes the first, another the last.
        if seen.contains(&kind) {
            return None;
        }
        seen.push(kind);
        match kind {
            SERVER_NAME => hello.server_name = Some(server_name(content)?),
            ENCRYPTED_CLIENT_HELLO => hello.encrypted = true,
            _ => {}
        }
    }
    Some(hello)
}

/// Exactly one name.
fn server_name(content: &[u8]) -> Option<String> {
    let mut content = Reader(content);
    let mut list = Reader(content.vector_u16()?);
    if !content.0.is_empty() || list.take(1)? != [HOST_NAME] {
        return None;
    }
    let name = list.vector_u16()?;
    let plain = !name.is_empty() && name.len() <= 255 && name.iter().all(u8::is_ascii_graphic);
    if !list.0.is_empty() || !plain {
        return None;
    }
    Some(str::from_utf8(name).ok()?.to_ascii_lowercase())
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        let (&bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(bytes))
    }

    fn vector_u8(&mut self) -> Option<&'a [u8]> {
        let (&length, rest) = self.0.split_first()?;
        self.0 = rest;
        self.take(usize::from(length))
    }

    fn vector_u16(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    fn vector_u16(content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap();
        [&length.to_be_bytes()[..], content].concat()
    }

    fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &vector_u16(content)].concat()
    }

    fn names(names: &[&[u8]]) -> Vec<u8> {
        let list: Vec<u8> =
            names.iter().flat_map(|name| [&[0][..], &vector_u16(name)].concat()).collect();
        extension(0, &vector_u16(&list))
    }

    fn message(extensions: &[u8]) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([0, 0, 2, 0x13, 0x01, 1, 0]);
        body.extend(vector_u16(extensions));
        let length = u32::try_from(body.len()).unwrap().to_be_bytes();
        [&[1, length[1], length[2], length[3]][..], &body].concat()
    }

    fn record(content: &[u8]) -> Vec<u8> {
        [&[22, 3, 1][..], &vector_u16(content)].concat()
    }

    fn hello(extensions: &[Vec<u8>]) -> Vec<u8> {
        record(&message(&extensions.concat()))
    }

    /// What rustls writes.
    fn real(name: &str) -> Vec<u8> {
        let config = rustls::ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::ring::default_provider(),
        ))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
        let name = name.to_owned().try_into().unwrap();
        let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
        let mut bytes = vec![];
        client.write_tls(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn the_name_that_a_real_client_sends_is_read() {
        let found = read(&real("Example.org")).unwrap().unwrap();
        assert_eq!(
            found,
            ClientHello { server_name: Some("example.org".into()), encrypted: false }
        );
        let found = read(&real("192.0.2.1")).unwrap().unwrap();
        assert_eq!(found.server_name, None);
    }

    #[test]
    fn a_message_in_many_records_is_read() {
        let whole = message(&names(&[b"example.org"]));
        let split: Vec<u8> = whole.chunks(3).flat_map(record).collect();
        assert_eq!(read(&split).unwrap().unwrap().server_name.as_deref(), Some("example.org"));
    }

    #[test]
    fn an_encrypted_inner_hello_is_seen() {
        let bytes = hello(&[names(&[b"outer.example"]), extension(0xfe0d, &[0; 40])]);
        assert!(read(&bytes).unwrap().unwrap().encrypted);
    }

    #[test]
    fn what_two_readers_could_read_in_two_ways_is_malformed() {
        for (what, bytes) in [
            ("two names", hello(&[names(&[b"a.example", b"b.example"])])),
            ("no name in the list", hello(&[names(&[])])),
            ("an empty name", hello(&[names(&[b""])])),
            ("a null byte", hello(&[names(&[b"a.example\0.b.example"])])),
            ("not ASCII", hello(&[names(&["\u{e4}.example".as_bytes()])])),
            ("two lists of names", hello(&[names(&[b"a.example"]), names(&[b"b.example"])])),
            ("another type of name", hello(&[extension(0, &vector_u16(&[1, 0, 1, b'a']))])),
            ("bytes after the list", hello(&[extension(0, &[0, 4, 0, 0, 1, b'a', 9])])),
            ("an extension cut short", record(&message(&[0, 0, 0, 9, 1]))),
            ("a second message", record(&[message(&[]), vec![1]].concat())),
            ("an empty record", record(&[])),
        ] {
            assert_eq!(read(&bytes), Err(NotAHello::Malformed), "{what}");
        }
    }

    #[test]
    fn other_protocols_are_seen_at_once() {
        for bytes in [
            &b"G"[..],
            b"SSH-2.0-x\r\n",
            b"\x16\x02",
            b"\x80\x2e\x01",
            b"\x17\x03\x03",
            b"\x16\x03\x05",
        ] {
            assert_eq!(read(bytes), Err(NotAHello::NotTls), "{bytes:?}");
        }
        assert_eq!(read(&record(&[2, 0, 0, 0])), Err(NotAHello::NotTls), "a ServerHello");
        assert_eq!(read(b""), Ok(None));
    }

    #[test]
    fn an_endless_hello_is_given_up() {
        let mut start = vec![1, 0, 0x7f, 0xff];
        start.resize(16_384, 0);
        let endless = record(&start);
        assert_eq!(read(&endless), Ok(None));
        assert_eq!(
            read(&[&endless[..], &record(&[0; 16_384]), &[22]].concat()),
            Err(NotAHello::Malformed)
        );
        assert_eq!(read(&record(&[1, 1, 0, 0])), Err(NotAHello::Malformed), "64 KiB announced");
        let drops: Vec<u8> = record(&[1])
            .into_iter()
            .chain(std::iter::repeat_n(record(&[0]), 9_000).flatten())
            .collect();
        assert!(read(&drops).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&bytes);
            let _ = read(&record(&bytes.iter().copied().chain([0]).collect::<Vec<_>>()));
            let _ = read(&record(&message(&bytes)));
        }

        #[test]
        fn a_part_is_never_taken_for_the_whole(name in "[a-z]{1,20}\\.example", cut in 0..10_000_usize) {
            let bytes = real(&name);
            let cut = cut % bytes.len();
            prop_assert_eq!(read(&bytes[..cut]), Ok(None));
            prop_assert_eq!(read(&bytes).unwrap().unwrap().server_name, Some(name));
        }

        #[test]
        fn a_changed_byte_never_panics(at in 0..10_000_usize, to in any::<u8>()) {
            let mut bytes = real("example.org");
            let at = at % bytes.len();
            bytes[at] = to;
            let _ = read(&bytes);
        }
    }
}

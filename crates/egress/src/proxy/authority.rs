//! The host and port that a client asks for, brought into one form, once. That form is matched,
//! resolved, compared with the TLS server name and recorded; the client's own spelling is used for
//! nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A host in its one form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    /// A name: lower case, ASCII, no dot at the end.
    Name(String),
    /// An address, however it was written.
    Address(IpAddr),
}

impl std::fmt::Display for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// Where a client wants to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) host: Host,
    pub(crate) port: u16,
}

/// Why a text names no host and port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("the host holds characters that no host has")]
    Character,
    #[error("user names and passwords have no place before a host")]
    UserInfo,
    #[error("brackets hold an IPv6 address and nothing else")]
    Brackets,
    #[error("the port is missing or not a number from 1 to 65535")]
    Port,
    #[error("not a host name")]
    Name,
    #[error("neither a host name nor an address")]
    Address,
}

/// Reads `host:port`, `host` where there is a default, or `[address]:port`.
pub(crate) fn parse(text: &str, default_port: Option<u16>) -> Result<Target, Malformed> {
    if text.contains('@') {
        return Err(Malformed::UserInfo);
    }
    // International names have an ASCII form; percent signs hide one spelling behind another.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    if !text.bytes().all(plain) {
        return Err(Malformed::Character);
    }
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (inside, after) = rest.split_once(']').ok_or(Malformed::Brackets)?;
        let address: Ipv6Addr = inside.parse().map_err(|_| Malformed::Brackets)?;
        let port = match after {
            "" => None,
            after => Some(after.strip_prefix(':').ok_or(Malformed::Brackets)?),
        };
        (Host::Address(address.into()), port)
    } else {
        match text.split_once(':') {
            Some((host, port)) => (parse_host(host)?, Some(port)),
            None => (parse_host(text)?, None),
        }
    };
    let port = match port {
        Some(port) => parse_port(port)?,
        None => default_port.ok_or(Malformed::Port)?,
    };
    Ok(Target { host, port })
}

fn parse_port(text: &str) -> Result<u16, Malformed> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || text.starts_with('0') {
        return Err(Malformed::Port);
    }
    text.parse().map_err(|_| Malformed::Port)
}

/// Brings a host without brackets into its one form.
pub(crate) fn parse_host(text: &str) -> Result<Host, Malformed> {
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    if name.is_empty() || name.len() > 253 || !name.split('.').all(is_label) {
        return Err(if name.contains(['[', ']']) { Malformed::Brackets } else { Malformed::Name });
    }
    // As resolvers and URL parsers do it: a last label that is a number makes it an address.
    let last = name.rsplit('.').next().unwrap_or_default();
    if !is_number(last) {
        return Ok(Host::Name(name));
    }
    parse_v4(&name).map(|address| Host::Address(address.into())).ok_or(Malformed::Address)
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
        })
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn is_number(label: &str) -> bool {
    label.bytes().all(|byte| byte.is_ascii_digit())
        || label
            .strip_prefix("0x")
            .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// One to four parts, decimal, octal or hexadecimal, the last one filling what is left: all the
/// forms that inet_aton(3) takes.
fn parse_v4(text: &str) -> Option<Ipv4Addr> {
    let parts = text.split('.').map(parse_number).collect::<Option<Vec<u32>>>()?;
    let (last, front) = parts.split_last()?;
    if front.len() > 3 || front.iter().any(|part| *part > 255) {
        return None;
    }
    let free = 32 - 8 * u32::try_from(front.len()).ok()?;
    if u64::from(*last) >= 1 << free {
        return None;
    }
    let shifts = [24, 16, 8];
    let high = front.iter().zip(shifts).map(|(part, shift)| part << shift).sum::<u32>();
    Some(Ipv4Addr::from_bits(high | last))
}

fn parse_number(text: &str) -> Option<u32> {
    if let Some(digits) = text.strip_prefix("0x") {
        return if digits.is_empty() { Some(0) } else { u32::from_str_radix(digits, 16).ok() };
    }
    match text.strip_prefix('0') {
        Some(digits) if !digits.is_empty() => u32::from_str_radix(digits, 8).ok(),
        _ => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn host(text: &str) -> String {
        match parse(text, Some(443)) {
            Ok(Target { host: Host::Name(name), port }) => format!("{name} {port}"),
            Ok(Target { host: Host::Address(address), port }) => format!("<{address}> {port}"),
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn every_spelling_has_one_form() {
        for (text, form) in [
            ("example.org", "example.org 443"),
            ("example.org:80", "example.org 80"),
            ("EXAMPLE.Org.:443", "example.org 443"),
            ("a_b.example.org", "a_b.example.org 443"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example 443"),
            ("localhost", "localhost 443"),
            ("127.0.0.1", "<127.0.0.1> 443"),
            ("127.1", "<127.0.0.1> 443"),
            ("2130706433", "<127.0.0.1> 443"),
            ("0x7f000001", "<127.0.0.1> 443"),
            ("0x7F.1", "<127.0.0.1> 443"),
            ("0177.0.0.01", "<127.0.0.1> 443"),
            ("017700000001", "<127.0.0.1> 443"),
            ("127.0.0.1.", "<127.0.0.1> 443"),
            ("0", "<0.0.0.0> 443"),
            ("0x", "<0.0.0.0> 443"),
            ("169.254.43518", "<169.254.169.254> 443"),
            ("[::1]:80", "<::1> 80"),
            ("[::ffff:127.0.0.1]", "<::ffff:127.0.0.1> 443"),
            ("[FE80::1]", "<fe80::1> 443"),
        ] {
            assert_eq!(host(text), form, "{text}");
        }
    }

    #[test]
    fn what_has_no_one_form_is_refused() {
        for text in [
            "",
            ".",
            "..",
            ":443",
            "example.org:",
            "example.org:0",
            "example.org:00443",
            "example.org:+443",
            "example.org:65536",
            "example.org:443:443",
            "example.org:4 43",
            "example..org",
            ".example.org",
            "example.org..",
            "-a.example.org",
            "a-.example.org",
            "exa mple.org",
            "example.org ",
            " example.org",
            "example.org\t",
            "example.org\0",
            "example.org\0.evil.example",
            "example.org%00",
            "example%2eorg",
            "ex\u{e4}mple.org",
            "example\u{3002}org",
            "\u{ff11}27.0.0.1",
            "user@example.org",
            "user:pw@example.org",
            "example.org@127.0.0.1",
            "[example.org]",
            "[127.0.0.1]",
            "[::1",
            "::1",
            "::1]",
            "[::1]443",
            "[fe80::1%25eth0]",
            "[fe80::1%eth0]",
            "fe80::1%eth0",
            "[v1.x]",
            "[]",
            "1.2.3.4.5",
            "256.1.1.1",
            "1.2.3.256",
            "09.0.0.1",
            "4294967296",
            "0x100000000",
            "example.123",
            "a.0x7f",
            "example.org/",
            "example.org/x",
            "example.org?x",
            "example.org#x",
            "example.org\\evil.example",
            "example,org",
            "exam$ple.org",
            "*.org",
            "[[::1]]",
            "a[b].org",
        ] {
            assert!(parse(text, Some(443)).is_err(), "{text:?}");
        }
        assert!(parse(&format!("{}.org", "a".repeat(64)), Some(443)).is_err());
        assert!(parse(&"a.".repeat(127), Some(443)).is_ok());
        assert!(parse(&"a.".repeat(128), Some(443)).is_err());
        assert_eq!(parse("example.org", None), Err(Malformed::Port));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC{0,40}") {
            let _ = parse(&text, None);
        }

        #[test]
        fn a_form_is_its_own_form(text in "[a-zA-Z0-9.:_\\[\\]-]{1,30}") {
            if let Ok(target) = parse(&text, Some(443)) {
                let again = match &target.host {
                    Host::Name(name) => name.clone(),
                    Host::Address(IpAddr::V4(address)) => address.to_string(),
                    Host::Address(IpAddr::V6(address)) => format!("[{address}]"),
                };
                prop_assert_eq!(parse(&format!("{again}:{}", target.port), None), Ok(target));
            }
        }

        #[test]
        fn every_spelling_of_an_address_is_that_address(bits in any::<u32>()) {
            let address = Ipv4Addr::from_bits(bits);
            let [a, b, c, d] = address.octets();
            let rest = bits & 0xff_ffff;
            for text in [
                address.to_string(),
                bits.to_string(),
                format!("{bits:#x}"),
                format!("0{bits:o}"),
                format!("{a}.{rest}"),
                format!("{a:#x}.0{b:o}.{}", bits & 0xffff),
                format!("0{a:o}.{b:#X}.{c}.{d}."),
            ] {
                let text = text.replace('X', "x");
                prop_assert_eq!(parse(&text, Some(1)).unwrap().host, Host::Address(address.into()), "{}", text);
            }
        }
    }
}

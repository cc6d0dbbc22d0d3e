//! The rules of the allow-list.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::authority::{Host, parse_host};

/// A host that may be reached: `example.org`, or `.example.org` for every name below it (not itself).
/// With `:port` at that port, otherwise at 443 by a tunnel and at 80 by plain HTTP. Names only:
/// addresses are no rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRule {
    host: String,
    below: bool,
    port: Option<u16>,
}

/// Why a text is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a host rule is example.org, .example.org or one of them with :port, not {0:?}")]
pub struct NotARule(String);

impl HostRule {
    /// Whether the rule allows this canonical name at this port.
    pub(crate) fn allows(&self, host: &str, port: u16, default_port: u16) -> bool {
        let same_host = if self.below {
            host.strip_suffix(&self.host)
                .is_some_and(|front| front.len() > 1 && front.ends_with('.'))
        } else {
            host == self.host
        };
        same_host && port == self.port.unwrap_or(default_port)
    }
}

impl FromStr for HostRule {
    type Err = NotARule;

    fn from_str(text: &str) -> Result<Self, NotARule> {
        let not = || NotARule(text.to_owned());
        let trimmed = text.trim();
        let (host, port) = match trimmed.split_once(':') {
            Some((host, port)) => {
                (host, Some(port.parse().ok().filter(|port| *port != 0).ok_or_else(not)?))
            }
            None => (trimmed, None),
        };
        let (host, below) = match host.strip_prefix('.') {
            Some(host) => (host, true),
            None => (host, false),
        };
        match parse_host(host) {
            // A whole top-level domain is a slip of the pen.
            Ok(Host::Name(host)) if !below || host.contains('.') => Ok(Self { host, below, port }),
            _ => Err(not()),
        }
    }
}

impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dot = if self.below { "." } else { "" };
        write!(f, "{dot}{}", self.host)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl Serialize for HostRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HostRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(rule: &str, host: &str, port: u16) -> bool {
        rule.parse::<HostRule>().expect(rule).allows(host, port, 443)
    }

    #[test]
    fn a_rule_allows_its_host_at_its_port_and_nothing_else() {
        assert!(allows("example.org", "example.org", 443));
        assert!(allows("Example.ORG.", "example.org", 443));
        assert!(allows("example.org:8443", "example.org", 8443));
        assert!(allows(".example.org", "a.example.org", 443));
        assert!(allows(".example.org", "a.b.example.org", 443));
        for (rule, host, port) in [
            ("example.org", "example.org", 80),
            ("example.org", "a.example.org", 443),
            ("example.org", "example.org.evil.example", 443),
            ("example.org", "evilexample.org", 443),
            ("example.org:8443", "example.org", 443),
            (".example.org", "example.org", 443),
            (".example.org", "evilexample.org", 443),
            (".example.org", "a.example.org", 80),
            (".example.org", "a.example.org.evil.example", 443),
        ] {
            assert!(!allows(rule, host, port), "{rule} {host}:{port}");
        }
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for text in [
            "",
            ".",
            ".org",
            "*.example.org",
            "example.org:",
            "example.org:0",
            "example.org:x",
            "127.0.0.1",
            "0x7f.1",
            "::1",
            "[::1]",
            "https://example.org",
            "example.org/",
            "a b",
            "..example.org",
        ] {
            assert!(text.parse::<HostRule>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_rule_is_written_as_it_is_read() {
        for text in ["example.org", ".example.org", "example.org:8443", ".example.org:22"] {
            assert_eq!(text.parse::<HostRule>().unwrap().to_string(), text);
        }
    }
}

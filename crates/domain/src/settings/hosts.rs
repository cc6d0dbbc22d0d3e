//! The rules of the allow-list, as gateways read them.

use std::collections::BTreeSet;

use super::rejection::Fault;

/// The most rules of an allow-list.
pub const MAX_HOSTS: usize = 500;

const FORM: &str =
    "is not example.org, .example.org (every name below it) or one of them with :port";

/// A rule in its one form, or what is wrong with it.
///
/// # Errors
///
/// In words, where it is no rule.
pub fn host_rule(text: &str) -> Result<String, String> {
    let text = text.trim().to_ascii_lowercase();
    if text.contains("://") || text.contains('/') {
        return Err("is an address of a page: only the host counts, such as example.org".to_owned());
    }
    if text.contains('*') {
        return Err("has a star: .example.org is every name below example.org".to_owned());
    }
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (&text[..], None),
    };
    let is_port = |port: &str| {
        port.bytes().all(|digit| digit.is_ascii_digit())
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    if port.is_some_and(|port| !is_port(port)) {
        return Err(FORM.to_owned());
    }
    let (name, below) = match host.strip_prefix('.') {
        Some(name) => (name, true),
        None => (host, false),
    };
    if !is_name(name) {
        return Err(FORM.to_owned());
    }
    if name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err("is an address: only names are allowed".to_owned());
    }
    if below && !name.contains('.') {
        return Err("is a whole top-level domain".to_owned());
    }
    Ok(text)
}

/// The rules in their one form, in order, each once.
///
/// # Errors
///
/// What is wrong with which of them.
pub fn checked_hosts(hosts: &[String]) -> Result<Vec<String>, Vec<Fault>> {
    let mut rules = BTreeSet::new();
    let mut faults = Vec::new();
    if hosts.len() > MAX_HOSTS {
        faults.push(Fault::new("hosts", format!("may have at most {MAX_HOSTS} rules")));
    }
    for (at, host) in hosts.iter().enumerate().take(MAX_HOSTS) {
        match host_rule(host) {
            Ok(rule) => drop(rules.insert(rule)),
            Err(words) => faults.push(Fault::new(format!("hosts[{at}]"), words)),
        }
    }
    if faults.is_empty() { Ok(rules.into_iter().collect()) } else { Err(faults) }
}

fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (1..=253).contains(&name.len()) && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_a_host_name_and_says_what_else_it_looks_like() {
        for (text, rule) in [
            ("example.org", "example.org"),
            (" .Example.ORG ", ".example.org"),
            ("registry.npmjs.org:8443", "registry.npmjs.org:8443"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(host_rule(text).as_deref(), Ok(rule));
        }
        for (text, words) in [
            ("https://example.org/x", "page"),
            ("*.example.org", "star"),
            ("192.0.2.7", "names"),
            (".org", "top-level"),
            ("example.org:0", ":port"),
            ("example.org:+80", ":port"),
            ("exam ple.org", ":port"),
            ("-x.org", ":port"),
            ("", ":port"),
            ("a..b", ":port"),
            ("[::1]", ":port"),
        ] {
            let found = host_rule(text).expect_err(text);
            assert!(found.contains(words), "{text}: {found}");
        }
    }

    #[test]
    fn rules_are_kept_once_and_in_order_and_each_wrong_one_is_named() {
        let hosts =
            |hosts: &[&str]| hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>();
        let rules = checked_hosts(&hosts(&["b.org", "A.org", "b.org"]));
        assert_eq!(rules, Ok(hosts(&["a.org", "b.org"])));
        let faults =
            checked_hosts(&hosts(&["a.org", "*.x", "1.2.3.4"])).expect_err("two are wrong");
        let fields: Vec<&str> = faults.iter().map(|fault| &fault.field[..]).collect();
        assert_eq!(fields, ["hosts[1]", "hosts[2]"]);
        let many = vec!["a.org".to_owned(); MAX_HOSTS + 1];
        assert_eq!(checked_hosts(&many).expect_err("too many")[0].field, "hosts");
    }
}

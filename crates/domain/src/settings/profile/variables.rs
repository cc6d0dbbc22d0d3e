//! The variables that a profile puts into the agent's environment.

use std::collections::BTreeMap;

use super::Fault;

/// The most variables of a profile.
pub const MAX_VARIABLES: usize = 64;
const MAX_VALUE: usize = 4096;

/// What Paddock sets itself, or what would change the programs around the agent.
const OWN: [&str; 14] = [
    "PATH",
    "HOME",
    "USER",
    "SHELL",
    "TERM",
    "IFS",
    "ENV",
    "BASH_ENV",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "GIT_TERMINAL_PROMPT",
    "GIT_CONFIG_GLOBAL",
];
const OWN_PREFIXES: [&str; 4] = ["PADDOCK_", "OPENCODE_", "XDG_", "LD_"];

/// Words of a name that say that the value is a secret.
const SECRET_WORDS: [&str; 11] = [
    "TOKEN",
    "SECRET",
    "SECRETS",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "CREDENTIAL",
    "CREDENTIALS",
    "APIKEY",
    "PAT",
    "BEARER",
];
/// The same, of more than one word.
const SECRET_KEYS: [&str; 6] =
    ["API_KEY", "ACCESS_KEY", "PRIVATE_KEY", "SECRET_KEY", "ENCRYPTION_KEY", "SIGNING_KEY"];

/// How values of well-known secrets begin.
const SECRET_BEGINNINGS: [&str; 15] = [
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "sk-",
    "xoxb-",
    "xoxp-",
    "AKIA",
    "ASIA",
    "AIza",
    "npm_",
    "pdk_",
];

const HINT: &str = "a profile is shown to everybody and kept for ever, and the agent can read it; register \
    secrets as credentials, which stay outside of the sandbox";

/// What is wrong with them, each with its name.
pub(super) fn faults(env: &BTreeMap<String, String>) -> Vec<Fault> {
    let mut faults = Vec::new();
    if env.len() > MAX_VARIABLES {
        faults.push(Fault::new("env", format!("may have at most {MAX_VARIABLES} variables")));
    }
    for (name, value) in env.iter().take(MAX_VARIABLES) {
        if let Some(words) = name_fault(name).or_else(|| value_fault(name, value)) {
            faults.push(Fault::new(format!("env.{name}"), words));
        }
    }
    faults
}

fn name_fault(name: &str) -> Option<String> {
    let fits = (1..=128).contains(&name.len())
        && !name.as_bytes()[0].is_ascii_digit()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !fits {
        let words = "is no name of a variable: letters, digits and '_', the first no digit";
        return Some(words.to_owned());
    }
    let upper = name.to_ascii_uppercase();
    let is_own = OWN.contains(&&upper[..]) || OWN_PREFIXES.iter().any(|own| upper.starts_with(own));
    is_own.then(|| "is Paddock's own to set".to_owned())
}

fn value_fault(name: &str, value: &str) -> Option<String> {
    if value.len() > MAX_VALUE {
        return Some(format!("may have at most {MAX_VALUE} bytes"));
    }
    if value.contains('\0') {
        return Some("must not have a NUL in it".to_owned());
    }
    // A switch or a number is no secret, whatever it is called.
    let plain = value.is_empty()
        || value.bytes().all(|byte| byte.is_ascii_digit())
        || ["true", "false", "yes", "no", "on", "off"].contains(&&value.to_lowercase()[..]);
    let upper = name.to_ascii_uppercase();
    let named = upper.split('_').any(|word| SECRET_WORDS.contains(&word))
        || SECRET_KEYS.iter().any(|key| upper.contains(key));
    if (named && !plain) || looks_secret(value) {
        return Some(format!("looks like a secret: {HINT}"));
    }
    None
}

fn looks_secret(value: &str) -> bool {
    let value = value.trim();
    let begins = SECRET_BEGINNINGS
        .iter()
        .any(|secret| value.starts_with(secret) && value.len() >= secret.len() + 12);
    let is_token = value.starts_with("eyJ") && value.matches('.').count() >= 2;
    let is_key = value.contains("-----BEGIN ");
    // user:password@host of an address
    let has_password = value.split_once("://").is_some_and(|(_, rest)| {
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        host.rsplit_once('@').is_some_and(|(user, _)| {
            user.split_once(':').is_some_and(|(_, password)| !password.is_empty())
        })
    });
    begins || is_token || is_key || has_password
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(name: &str, value: &str) -> Option<String> {
        let env = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let mut faults = faults(&env);
        let fault = faults.pop()?;
        assert_eq!(fault.field, format!("env.{name}"));
        Some(fault.words)
    }

    #[test]
    fn plain_variables_are_taken() {
        for (name, value) in [
            ("NODE_ENV", "test"),
            ("RUST_LOG", "debug,hyper=info"),
            ("TOKENIZERS_PARALLELISM", "false"),
            ("MAX_TOKEN_COUNT", "4096"),
            ("SORT_KEY", "name"),
            ("EMPTY", ""),
            ("MIRROR", "https://mirror.example.org/debian"),
            ("_x1", "a b"),
        ] {
            assert_eq!(fault(name, value), None, "{name}");
        }
    }

    #[test]
    fn secrets_are_refused_with_what_to_do_instead() {
        for (name, value) in [
            ("GITHUB_TOKEN", "whatever"),
            ("API_KEY", "abc"),
            ("DB_PASSWORD", "x"),
            ("HARMLESS", "ghp_0123456789abcdef0123"),
            ("HARMLESS", "eyJhbGciOi.eyJzdWIi.c2ln"),
            ("HARMLESS", "-----BEGIN RSA PRIVATE KEY-----"),
            ("DATABASE_URL", "postgres://user:word@db.example/x"),
        ] {
            let words = fault(name, value).unwrap_or_else(|| panic!("{name}={value}"));
            assert!(words.contains("credentials"), "{words}");
        }
    }

    #[test]
    fn names_that_are_none_and_names_that_are_paddocks_own_are_refused() {
        for name in ["", "1X", "A-B", "A B", "A=B", "Ä"] {
            assert!(fault(name, "x").is_some_and(|words| words.contains("no name")), "{name}");
        }
        for name in ["PATH", "path", "https_proxy", "LD_PRELOAD", "OPENCODE_PURE", "PADDOCK_X"] {
            assert!(fault(name, "x").is_some_and(|words| words.contains("own")), "{name}");
        }
        assert!(fault("X", &"x".repeat(MAX_VALUE + 1)).is_some());
        assert!(fault("X", "a\0b").is_some());
        let many: BTreeMap<String, String> =
            (0..=MAX_VARIABLES).map(|at| (format!("V{at}"), String::new())).collect();
        assert_eq!(faults(&many)[0].field, "env");
    }
}

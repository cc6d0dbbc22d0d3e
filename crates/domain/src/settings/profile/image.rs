//! The reference of an image, as container runtimes read it.

use super::Fault;

const MAX_REFERENCE: usize = 512;

/// What is wrong with it, if something is.
pub(super) fn fault(reference: &str) -> Option<Fault> {
    let words =
        "is not the reference of an image, such as ghcr.io/acme/agent:1.4 or one with @sha256:…";
    (!is_reference(reference)).then(|| Fault::new("image", words))
}

fn is_reference(text: &str) -> bool {
    if text.is_empty() || text.len() > MAX_REFERENCE {
        return false;
    }
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    // A colon before the last slash is that of the registry's port.
    let slash = rest.rfind('/').map_or(0, |at| at + 1);
    let (name, tag) = match rest[slash..].split_once(':') {
        Some((last, tag)) => (&rest[..slash + last.len()], Some(tag)),
        None => (rest, None),
    };
    digest.is_none_or(is_digest) && tag.is_none_or(is_tag) && is_name(name)
}

fn is_digest(digest: &str) -> bool {
    let hex = |hex: &str| hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    match digest.split_once(':') {
        Some(("sha256", value)) => value.len() == 64 && hex(value),
        Some(("sha512", value)) => value.len() == 128 && hex(value),
        _ => false,
    }
}

fn is_tag(tag: &str) -> bool {
    (1..=128).contains(&tag.len())
        && !tag.starts_with(['.', '-'])
        && tag
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

fn is_name(name: &str) -> bool {
    let mut parts = name.split('/');
    let Some(first) = parts.next() else { return false };
    let is_host = name.contains('/') && (first.contains(['.', ':']) || first == "localhost");
    if is_host { is_registry(first) && parts.all(is_part) } else { name.split('/').all(is_part) }
}

fn is_registry(host: &str) -> bool {
    let (name, port) = match host.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (host, None),
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    port.is_none_or(|port| port.parse::<u16>().is_ok()) && name.split('.').all(is_label)
}

fn is_part(part: &str) -> bool {
    let bytes = part.as_bytes();
    let ends = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    ends(bytes.first())
        && ends(bytes.last())
        && bytes.iter().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_as_container_runtimes_read_them() {
        let digest = format!("agent@sha256:{}", "a".repeat(64));
        for good in [
            "agent",
            "agent:1.4",
            "acme/agent",
            "ghcr.io/acme/agent:v1",
            "localhost:5000/agent",
            "registry.example:5000/a/b_c/d-e:1.0",
            &digest,
            &format!("ghcr.io/acme/{digest}"),
        ] {
            assert!(is_reference(good), "{good}");
        }
        for bad in [
            "",
            "Agent",
            "agent:",
            "agent:-x",
            "a//b",
            "/agent",
            "agent/",
            "https://ghcr.io/acme/agent",
            "agent@sha256:abc",
            "agent image",
            "agent:a:b",
            "ghcr.io/acme/agent:v1\n",
            &"a".repeat(MAX_REFERENCE + 1),
        ] {
            assert!(!is_reference(bad), "{bad}");
        }
    }
}

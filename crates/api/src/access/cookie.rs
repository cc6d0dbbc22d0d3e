use axum_extra::extract::cookie::{Cookie, SameSite};
use url::Url;

/// The browser's cookie where the address is not https: `__Host-` wants TLS, and this is loopback.
pub(crate) const COOKIE: &str = "paddock";

/// What a cookie is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Says who somebody is. Goes along with requests of our own page alone.
    Browser,
    /// Binds a sign-in under way to the browser that began it. Goes along when the provider sends it back.
    SignIn,
}

/// The cookie's name at this address. Browsers keep one jar for all ports of a host, and several
/// installations may be on one machine; over https no other host and no other path can set it.
pub(super) fn name(kind: Kind, public_url: &Url) -> String {
    let prefix = if public_url.scheme() == "https" { "__Host-" } else { "" };
    let suffix = match kind {
        Kind::Browser => "",
        Kind::SignIn => "-sign-in",
    };
    match public_url.port() {
        Some(port) => format!("{prefix}{COOKIE}{suffix}-{port}"),
        None => format!("{prefix}{COOKIE}{suffix}"),
    }
}

/// A cookie that scripts cannot read.
pub(super) fn build(kind: Kind, public_url: &Url, value: String) -> Cookie<'static> {
    let same_site = match kind {
        Kind::Browser => SameSite::Strict,
        Kind::SignIn => SameSite::Lax,
    };
    Cookie::build((name(kind, public_url), value))
        .path("/")
        .http_only(true)
        .secure(public_url.scheme() == "https")
        .same_site(same_site)
        .build()
}

/// What takes the cookie away.
pub(super) fn removal(kind: Kind, public_url: &Url) -> Cookie<'static> {
    let mut cookie = build(kind, public_url, String::new());
    cookie.make_removal();
    cookie
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn over_https_no_other_host_can_set_it() {
        let url = Url::parse("https://paddock.test").unwrap();
        let cookie = build(Kind::Browser, &url, "v".to_owned()).to_string();
        assert!(cookie.starts_with("__Host-paddock=v;"), "{cookie}");
        for word in ["Secure", "HttpOnly", "SameSite=Strict", "Path=/"] {
            assert!(cookie.contains(word), "{cookie}");
        }
        assert!(!cookie.contains("Domain"), "{cookie}");
        let sign_in = build(Kind::SignIn, &url, "v".to_owned()).to_string();
        assert!(sign_in.contains("SameSite=Lax") && sign_in.starts_with("__Host-paddock-sign-in="));
        let local = Url::parse("http://127.0.0.1:7080").unwrap();
        assert_eq!(name(Kind::Browser, &local), "paddock-7080");
        assert!(removal(Kind::Browser, &url).to_string().contains("Secure"));
    }
}

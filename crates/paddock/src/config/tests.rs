use super::*;

#[test]
fn a_flag_beats_the_file_and_the_file_beats_the_default() {
    let dir = tempfile::tempdir().unwrap();
    let token = dir.path().join("token");
    std::fs::write(&token, "t\n").unwrap();
    let file = dir.path().join("paddock.toml");
    let text = format!(
        "listen = '127.0.0.1:1'\nlink_listen = '127.0.0.1:2'\nmodel = 'a/b'\n\
         database_url = 'postgres:///x'\nnats_url = 'nats://x'\nopencode = '/o'\n\
         harness = '/h'\ngateway_token_file = '{}'\n",
        token.display()
    );
    std::fs::write(&file, text).unwrap();
    let settings = Settings { listen: Some("127.0.0.1:9".parse().unwrap()), ..Settings::default() };
    let effective = ServeArgs { config: Some(file), settings }.effective().unwrap();
    assert_eq!(effective.listen.port(), 9);
    assert_eq!(effective.link_listen.port(), 2);
    assert_eq!(effective.admin_listen.port(), 7081);
    assert_eq!(effective.gateway_token.expose(), "t");
    assert!(!format!("{effective:?}").contains("postgres:///x"));
    assert!(!serde_json::to_string(&effective).unwrap().contains("postgres:///x"));
}

#[test]
fn what_people_may_change_has_its_first_values_from_here_and_is_checked() {
    let profiles = |text: &str| toml::from_str::<api::profiles::Profiles>(text).unwrap();
    let settings = Settings {
        max_runs: Some(9),
        egress_allow: Some("a.org, .b.org:8443 ,".to_owned()),
        output_days: Some(30),
        ..Settings::default()
    };
    let large = profiles("[large]\nmemory_mib = 4096\nenv = { NODE_ENV = 'test' }\n");
    let configured = installation(&settings, large).unwrap();
    assert_eq!(configured.limits.value, Limits { max_runs: 9, max_runs_per_owner: 4 });
    assert!(configured.limits.given && configured.allow_list.given && configured.retention.given);
    assert_eq!(configured.allow_list.value, ["a.org", ".b.org:8443"]);
    assert_eq!(configured.retention.value.output_days, Some(30));
    assert_eq!(configured.profiles.get("large").unwrap().env["NODE_ENV"], "test");
    assert_eq!(installation(&Settings::default(), profiles("")).unwrap(), Configured::default());

    let settings = Settings {
        max_runs: Some(100_000),
        egress_allow: Some("https://a.org".to_owned()),
        ..Settings::default()
    };
    let wrong = profiles("[large]\nmemory_mib = 1\nenv = { A_TOKEN = 'x' }\n");
    let error = installation(&settings, wrong).unwrap_err().to_string();
    for field in ["max_runs", "egress_allow[0]", "large.memory_mib", "large.env.A_TOKEN"] {
        assert!(error.contains(field), "{field}: {error}");
    }
}

#[test]
fn credentials_are_kept_in_a_directory_or_in_a_namespace() {
    let of = |text: &str| CredentialStore::try_from(&Url::parse(text).unwrap());
    let directory = CredentialStore::Directory("/var/lib/x".into());
    assert_eq!(of("file:///var/lib/x").unwrap(), directory);
    let namespace = CredentialStore::Kubernetes("paddock".to_owned());
    assert_eq!(of("kubernetes://paddock").unwrap(), namespace);
    for text in ["s3://bucket", "kubernetes:///x", "kubernetes://a/b", "file://host/x"] {
        assert!(of(text).is_err(), "{text}");
    }
}

#[test]
fn an_unknown_name_in_the_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("paddock.toml");
    std::fs::write(&file, "lissten = '127.0.0.1:1'\n").unwrap();
    let args = ServeArgs { config: Some(file), settings: Settings::default() };
    let error = format!("{:#}", args.effective().unwrap_err());
    assert!(error.contains("lissten"), "{error}");
}

#[test]
fn other_than_loopback_is_refused() {
    let settings = Settings { listen: Some("0.0.0.0:1".parse().unwrap()), ..Settings::default() };
    let error = ServeArgs { config: None, settings }.effective().unwrap_err().to_string();
    assert!(error.contains("loopback"), "{error}");
}

#[test]
fn a_provider_is_asked_over_https_and_people_come_over_https() {
    let with = |change: &dyn Fn(&mut Settings)| {
        let mut settings = Settings {
            listen: Some("0.0.0.0:1".parse().unwrap()),
            public_url: Some("https://paddock.test".parse().unwrap()),
            oidc_issuer: Some("https://idp.test/realm".to_owned()),
            oidc_client_id: Some("paddock".to_owned()),
            ..Settings::default()
        };
        change(&mut settings);
        format!("{:#}", ServeArgs { config: None, settings }.effective().unwrap_err())
    };
    // What is missing comes after all that is checked of signing in.
    assert!(with(&|_| {}).contains("PADDOCK_DATABASE_URL"));
    let http = with(&|set| set.oidc_issuer = Some("http://idp.test".to_owned()));
    assert!(http.contains("oidc_issuer"), "{http}");
    let plain = with(&|set| set.public_url = None);
    assert!(plain.contains("https"), "{plain}");
    let nobody = with(&|set| set.oidc_client_id = None);
    assert!(nobody.contains("PADDOCK_OIDC_CLIENT_ID"), "{nobody}");
    let long = with(&|set| set.session_max_hours = Some(0));
    assert!(long.contains("session_max_hours"), "{long}");
    let both = with(&|set| {
        set.oidc_client_secret = Some("x".to_owned().into());
        set.oidc_client_secret_file = Some("/x".into());
    });
    assert!(both.contains("both set"), "{both}");
}

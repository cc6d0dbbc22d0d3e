//! The role and its client over a real socket, on a real directory.

use std::sync::Arc;

use artifacts::{Remote, Served, is_full};
use futures::TryStreamExt as _;
use object_store::{
    Error, GetOptions, GetRange, MultipartUpload as _, ObjectStore, ObjectStoreExt as _, PutMode,
    PutOptions, path::Path,
};
use reqwest::{Client, StatusCode};

struct Role {
    url: String,
    root: tempfile::TempDir,
    store: Arc<Remote>,
}

async fn role() -> Role {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let root = tempfile::tempdir().unwrap();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = Served::open(root.path(), "right").unwrap();
    tokio::spawn(async move { axum::serve(listener, artifacts::router(served)).await });
    let store = Arc::new(Remote::new(url.parse().unwrap(), "right").unwrap());
    Role { url, root, store }
}

async fn listed(store: &Remote, prefix: &str) -> Vec<(String, u64)> {
    let found: Vec<_> = store.list(Some(&Path::from(prefix))).try_collect().await.unwrap();
    let mut found: Vec<_> =
        found.into_iter().map(|meta| (meta.location.to_string(), meta.size)).collect();
    found.sort();
    found
}

#[tokio::test]
async fn an_object_is_put_read_in_ranges_listed_and_removed() {
    let role = role().await;
    let store = &role.store;
    let path = Path::from("bundle/ab/abc");
    let made = store.put(&path, "0123456789".into()).await.unwrap();
    let meta = store.head(&path).await.unwrap();
    assert_eq!((meta.size, &meta.e_tag, &meta.location), (10, &made.e_tag, &path));
    assert!((chrono::Utc::now() - meta.last_modified).num_seconds() < 60);
    for (range, expected) in [
        (GetRange::Bounded(2..5), "234"),
        (GetRange::Offset(7), "789"),
        (GetRange::Suffix(2), "89"),
        (GetRange::Bounded(8..50), "89"),
    ] {
        let options = GetOptions { range: Some(range), ..GetOptions::default() };
        let found = store.get_opts(&path, options).await.unwrap();
        assert_eq!(found.meta.size, 10);
        assert_eq!(found.range.end - found.range.start, expected.len() as u64);
        assert_eq!(found.bytes().await.unwrap(), expected);
    }
    let beyond = GetOptions { range: Some(GetRange::Offset(10)), ..GetOptions::default() };
    assert!(store.get_opts(&path, beyond).await.is_err());
    store.put(&Path::from("other/x"), "x".into()).await.unwrap();
    assert_eq!(listed(store, "bundle").await, [("bundle/ab/abc".to_owned(), 10)]);
    assert_eq!(listed(store, "").await.len(), 2);
    assert_eq!(listed(store, "none").await, []);
    store.delete(&path).await.unwrap();
    assert!(matches!(store.delete(&path).await, Err(Error::NotFound { .. })));
    assert!(matches!(store.get(&path).await, Err(Error::NotFound { .. })));
    assert!(!role.root.path().join("bundle").exists(), "an empty directory is left");
    let space = store.space().await.unwrap();
    assert!(space.free > 0 && space.total >= space.free);
}

#[tokio::test]
async fn of_two_that_create_an_object_one_does() {
    let role = role().await;
    let path = Path::from("partial/x");
    let create = || PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    let both = futures::future::join_all(
        ["one", "two"].map(|text| role.store.put_opts(&path, text.into(), create())),
    );
    let (done, refused): (Vec<_>, Vec<_>) = both.await.into_iter().partition(Result::is_ok);
    assert_eq!(done.len(), 1);
    assert!(matches!(refused[..], [Err(Error::AlreadyExists { .. })]), "{refused:?}");
}

#[tokio::test]
async fn an_upload_in_parts_is_seen_once_it_is_complete_and_a_dropped_one_never() {
    let role = role().await;
    let path = Path::from("bundle/cd/cde");
    let mut upload = role.store.put_multipart(&path).await.unwrap();
    let parts = [upload.put_part("first ".into()), upload.put_part("second ".into())];
    // They may be sent all at once, in whatever order they come to it.
    let [first, second] = parts;
    let (second, first) = tokio::join!(tokio::spawn(second), tokio::spawn(first));
    second.unwrap().unwrap();
    first.unwrap().unwrap();
    upload.put_part("third".into()).await.unwrap();
    assert_eq!(listed(&role.store, "").await, []);
    assert!(matches!(role.store.head(&path).await, Err(Error::NotFound { .. })));
    upload.complete().await.unwrap();
    let whole = role.store.get(&path).await.unwrap().bytes().await.unwrap();
    assert_eq!(whole, "first second third");
    assert!(upload.complete().await.is_err(), "it is over");

    let other = Path::from("bundle/ef/efg");
    let mut dropped = role.store.put_multipart(&other).await.unwrap();
    dropped.put_part("never".into()).await.unwrap();
    dropped.abort().await.unwrap();
    assert!(dropped.put_part("more".into()).await.is_err());
    assert!(dropped.complete().await.is_err());
    assert!(!role.root.path().join("bundle/ef/efg#1").exists(), "its bytes are left");
}

#[tokio::test]
async fn bytes_that_are_not_what_their_sender_says_are_not_kept() {
    let role = role().await;
    let client = Client::new();
    let wrong = "sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:";
    let put =
        |path: &str| client.put(format!("{}{path}", role.url)).bearer_auth("right").body("abc");
    let answer = put("/objects/x").header("content-digest", wrong).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    assert_eq!(put("/objects/x").send().await.unwrap().status(), StatusCode::BAD_REQUEST);
    assert_eq!(listed(&role.store, "").await, []);

    // A whole that is made of other parts than were sent is none.
    let begun = client.post(format!("{}/uploads/y", role.url)).bearer_auth("right");
    let begun: serde_json::Value = begun.send().await.unwrap().json().await.unwrap();
    let upload = format!("/upload/{}", begun["id"].as_str().unwrap());
    let right = "sha-256=:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=:";
    let second = put(&format!("{upload}/1")).header("content-digest", right).send().await.unwrap();
    assert_eq!(second.status(), StatusCode::CONFLICT, "the first is first");
    let first = || put(&format!("{upload}/0")).header("content-digest", right).send();
    assert_eq!(first().await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(first().await.unwrap().status(), StatusCode::NO_CONTENT, "once more is no harm");
    let whole = serde_json::json!({ "parts": ["00", "11"] });
    let done = client.post(format!("{}{upload}", role.url)).bearer_auth("right").json(&whole);
    assert_eq!(done.send().await.unwrap().status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(listed(&role.store, "").await, []);
    assert_eq!(first().await.unwrap().status(), StatusCode::GONE, "it is over");
}

#[tokio::test]
async fn without_the_token_nothing_is_served_and_no_path_leaves_the_directory() {
    let role = role().await;
    let stranger = Remote::new(role.url.parse().unwrap(), "wrong").unwrap();
    let path = Path::from("x");
    assert!(matches!(stranger.put(&path, "x".into()).await, Err(Error::Unauthenticated { .. })));
    assert!(stranger.put_multipart(&path).await.is_err());
    let client = Client::new();
    for path in ["/objects", "/objects/x", "/space", "/upload/x"] {
        let answer = client.get(format!("{}{path}", role.url)).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    for path in ["..%2Fx", "a%2F..%2F..%2Fx", "a%2F%2Fb"] {
        let get = client.get(format!("{}/objects/{path}", role.url)).bearer_auth("right");
        assert_eq!(get.send().await.unwrap().status(), StatusCode::BAD_REQUEST, "{path}");
    }
    let much = vec![0; artifacts::MAX_BODY + 1];
    let error = role.store.put(&path, much.into()).await.unwrap_err();
    assert!(!is_full(&error));
    assert_eq!(listed(&role.store, "").await, []);
}

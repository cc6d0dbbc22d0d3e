use std::net::SocketAddr;

use api::bundles::BundleError;
use domain::ids::BundleDigest;
use reqwest::{Client, Response, StatusCode};
use sha2::{Digest as _, Sha256};

use crate::world::{Workload, World};

pub(crate) fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

struct Uploads<'a> {
    address: SocketAddr,
    token: &'a str,
    digest: String,
}

impl<'a> Uploads<'a> {
    fn of(world: &'a World, workload: &'a Workload, bytes: &[u8]) -> Self {
        Self { address: world.address, token: &workload.token, digest: digest(bytes) }
    }

    fn url(&self) -> String {
        format!("http://{}/bundles/{}", self.address, self.digest)
    }

    async fn put(&self, first: usize, part: &[u8], total: usize) -> Response {
        let range = format!("bytes {first}-{}/{total}", first + part.len() - 1);
        Client::new()
            .put(self.url())
            .bearer_auth(self.token)
            .header("content-range", range)
            .body(part.to_vec())
            .send()
            .await
            .unwrap()
    }

    async fn offset(&self) -> Option<u64> {
        let head = Client::new().head(self.url()).bearer_auth(self.token).send().await.unwrap();
        match head.status() {
            StatusCode::NOT_FOUND => None,
            _ => Some(head.headers()["upload-offset"].to_str().unwrap().parse().unwrap()),
        }
    }

    async fn get(&self, range: Option<&str>) -> Response {
        let mut get = Client::new().get(self.url()).bearer_auth(self.token);
        if let Some(range) = range {
            get = get.header("range", range);
        }
        get.send().await.unwrap()
    }
}

#[tokio::test]
async fn an_upload_is_resumed_where_it_broke_off_and_seen_only_once_whole() {
    resumed_and_seen_only_once_whole(World::new().await).await;
}

#[tokio::test]
async fn with_the_role_an_upload_is_resumed_where_it_broke_off_and_seen_only_once_whole() {
    resumed_and_seen_only_once_whole(World::on_role().await).await;
}

#[tokio::test]
async fn on_s3_an_upload_is_resumed_where_it_broke_off_and_seen_only_once_whole() {
    resumed_and_seen_only_once_whole(World::on_s3().await).await;
}

async fn resumed_and_seen_only_once_whole(world: World) {
    let workload = world.admitted().await;
    let bytes: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[0] ^ 7).collect();
    let uploads = Uploads::of(&world, &workload, &bytes);
    assert_eq!(uploads.offset().await, None);
    assert_eq!(uploads.put(0, &bytes[..40_000], bytes.len()).await.status(), 204);
    assert_eq!(uploads.offset().await, Some(40_000));
    assert_eq!(uploads.get(None).await.status(), 404);
    let name = BundleDigest(uploads.digest.clone());
    assert!(matches!(world.bundles.open(&name, None).await, Err(BundleError::NotFound)));

    // A part that does not go on where the last one ended is told where that is.
    let gap = uploads.put(50_000, &bytes[50_000..], bytes.len()).await;
    assert_eq!(
        (gap.status(), &gap.headers()["upload-offset"]),
        (StatusCode::CONFLICT, &"40000".parse().unwrap())
    );
    assert_eq!(uploads.put(0, &bytes[..10], bytes.len()).await.status(), 409);

    assert_eq!(uploads.put(40_000, &bytes[40_000..], bytes.len()).await.status(), 201);
    assert_eq!(uploads.offset().await, Some(100_000));
    let whole = uploads.get(None).await;
    assert_eq!(whole.headers()["etag"], format!("\"{}\"", uploads.digest));
    assert!(whole.bytes().await.unwrap() == bytes);
    let part = uploads.get(Some("bytes=99990-")).await;
    assert_eq!(part.status(), 206);
    assert_eq!(part.headers()["content-range"], "bytes 99990-99999/100000");
    assert!(part.bytes().await.unwrap() == bytes[99_990..]);
    assert_eq!(uploads.get(Some("bytes=100000-")).await.status(), 416);
    // Once more from the beginning: it is there already.
    assert_eq!(uploads.put(0, &bytes, bytes.len()).await.status(), 201);
    world.end().await;
}

#[tokio::test]
async fn a_resumed_upload_with_a_wrong_digest_is_refused_and_dropped() {
    wrong_digest_is_refused_and_dropped(World::new().await).await;
}

#[tokio::test]
async fn with_the_role_a_resumed_upload_with_a_wrong_digest_is_refused_and_dropped() {
    wrong_digest_is_refused_and_dropped(World::on_role().await).await;
}

#[tokio::test]
async fn on_s3_a_resumed_upload_with_a_wrong_digest_is_refused_and_dropped() {
    wrong_digest_is_refused_and_dropped(World::on_s3().await).await;
}

async fn wrong_digest_is_refused_and_dropped(world: World) {
    let workload = world.admitted().await;
    let bytes = vec![1; 1000];
    let uploads = Uploads::of(&world, &workload, &bytes);
    assert_eq!(uploads.put(0, &bytes[..500], 1000).await.status(), 204);
    let mut flipped = bytes[500..].to_vec();
    flipped[499] ^= 1;
    assert_eq!(uploads.put(500, &flipped, 1000).await.status(), 422);
    assert_eq!(uploads.offset().await, None);
    assert_eq!(uploads.get(None).await.status(), 404);
    assert_eq!(uploads.put(0, &bytes, 1000).await.status(), 201);
    world.end().await;
}

#[tokio::test]
async fn what_breaks_off_in_the_middle_of_a_body_stays_and_is_not_visible() {
    use tokio::io::AsyncWriteExt as _;
    let world = World::new().await;
    let workload = world.admitted().await;
    let bytes = vec![7; 10_000];
    let uploads = Uploads::of(&world, &workload, &bytes);
    let mut socket = tokio::net::TcpStream::connect(world.address).await.unwrap();
    let head = format!(
        "PUT /bundles/{} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-range: bytes 0-9999/10000\r\ncontent-length: 10000\r\n\r\n",
        uploads.digest, workload.token
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(&bytes[..6_000]).await.unwrap();
    socket.flush().await.unwrap();
    drop(socket);
    while uploads.offset().await.unwrap_or(0) < 6_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(uploads.get(None).await.status(), 404);
    assert_eq!(uploads.put(6_000, &bytes[6_000..], 10_000).await.status(), 201);
    assert!(uploads.get(None).await.bytes().await.unwrap() == bytes);
    world.end().await;
}

#[tokio::test]
async fn another_session_can_neither_read_it_nor_tell_that_it_is_there() {
    let world = World::new().await;
    let (mine, theirs) = (world.admitted().await, world.admitted().await);
    let bytes = b"secret work".to_vec();
    let own = Uploads::of(&world, &mine, &bytes);
    assert_eq!(own.put(0, &bytes, bytes.len()).await.status(), 201);
    let other = Uploads::of(&world, &theirs, &bytes);
    assert_eq!(other.offset().await, None);
    assert_eq!(other.get(None).await.status(), 404);
    // Only who has the bytes has the bundle.
    assert_eq!(other.put(0, &bytes, bytes.len()).await.status(), 201);

    // What it is to restore, it may read.
    let from = BundleDigest(own.digest.clone());
    let fork = world.admitted_with(|requested| requested.from = Some(from)).await;
    assert_eq!(Uploads::of(&world, &fork, &bytes).get(None).await.status(), 200);
    world.end().await;
}

#[tokio::test]
async fn on_s3_a_bundle_of_many_parts_is_stored_and_what_nobody_goes_on_with_is_pruned() {
    many_parts_are_stored_and_what_nobody_goes_on_with_is_pruned(World::on_s3().await).await;
}

#[tokio::test]
async fn with_the_role_a_bundle_of_many_parts_is_stored_and_what_nobody_goes_on_with_is_pruned() {
    many_parts_are_stored_and_what_nobody_goes_on_with_is_pruned(World::on_role().await).await;
}

async fn many_parts_are_stored_and_what_nobody_goes_on_with_is_pruned(world: World) {
    let workload = world.admitted().await;
    let bytes: Vec<u8> = (0..20_000_000_u32).map(|n| (n / 7).to_le_bytes()[0]).collect();
    let uploads = Uploads::of(&world, &workload, &bytes);
    assert_eq!(uploads.put(0, &bytes[..9_000_000], bytes.len()).await.status(), 204);
    assert_eq!(uploads.put(9_000_000, &bytes[9_000_000..], bytes.len()).await.status(), 201);
    assert!(uploads.get(None).await.bytes().await.unwrap() == bytes);
    let part = uploads.get(Some("bytes=8999990-9000009")).await;
    assert!(part.bytes().await.unwrap() == bytes[8_999_990..9_000_010]);
    let other = vec![3; 10];
    let begun = Uploads::of(&world, &workload, &other);
    assert_eq!(begun.put(0, &other[..5], 10).await.status(), 204);
    let now = std::time::Duration::ZERO;
    assert_eq!(
        world.bundles.prune_partial(now).await.unwrap(),
        1,
        "of the whole one nothing is left"
    );
    world.end().await;
}

#[tokio::test]
async fn two_writers_of_one_upload_do_not_mix() {
    let world = World::new().await;
    let workload = world.admitted().await;
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let address = world.replica().await;
    let mut other = Uploads::of(&world, &workload, &bytes);
    other.address = address;
    let own = Uploads::of(&world, &workload, &bytes);
    let puts = futures::future::join_all((0..8).map(|n| {
        let through = if n % 2 == 0 { &own } else { &other };
        through.put(0, &bytes, bytes.len())
    }));
    let whole = puts.await.iter().filter(|answer| answer.status() == 201).count();
    assert!(whole > 0);
    assert!(own.get(None).await.bytes().await.unwrap() == bytes);
    assert!(other.get(None).await.bytes().await.unwrap() == bytes);
    world.end().await;
}

#[tokio::test]
async fn bytes_go_with_the_last_session_that_has_them() {
    gone_with_the_last_session(World::new().await).await;
}

#[tokio::test]
async fn with_the_role_bytes_go_with_the_last_session_that_has_them() {
    gone_with_the_last_session(World::on_role().await).await;
}

async fn gone_with_the_last_session(world: World) {
    let (one, two) = (world.admitted().await, world.admitted().await);
    let bytes = b"shared".to_vec();
    for workload in [&one, &two] {
        let put = Uploads::of(&world, workload, &bytes).put(0, &bytes, bytes.len()).await;
        assert_eq!(put.status(), 201);
    }
    let name = BundleDigest(digest(&bytes));
    world.bundles.remove(one.session, &name).await.unwrap();
    assert_eq!(Uploads::of(&world, &one, &bytes).get(None).await.status(), 404);
    assert_eq!(Uploads::of(&world, &two, &bytes).get(None).await.status(), 200);
    world.bundles.remove(two.session, &name).await.unwrap();
    assert!(matches!(world.bundles.open(&name, None).await, Err(BundleError::NotFound)));
    world.end().await;
}

#[tokio::test]
async fn nonsense_and_too_much_are_refused() {
    let world = World::new().await;
    let workload = world.admitted().await;
    let bytes = vec![0; 10];
    let mut uploads = Uploads::of(&world, &workload, &bytes);
    assert_eq!(uploads.put(0, &bytes, 2 * 1024 * 1024).await.status(), 413);
    assert_eq!(uploads.put(0, &bytes, 5).await.status(), 416);
    let other = vec![1; 10];
    let begun = Uploads::of(&world, &workload, &other);
    assert_eq!(begun.put(0, &other[..5], 10).await.status(), 204);
    assert_eq!(begun.put(5, &other[5..], 11).await.status(), 416, "another size than before");
    assert_eq!(begun.put(5, &other[5..], 10).await.status(), 201);
    let none = Client::new().put(uploads.url()).bearer_auth(&workload.token).send().await.unwrap();
    assert_eq!(none.status(), 416);
    uploads.digest = "..%2f..%2fetc%2fpasswd".to_owned();
    assert_eq!(uploads.put(0, &bytes, 10).await.status(), 400);
    assert_eq!(uploads.get(None).await.status(), 404);
    assert!(!world.store.path().join("partial").exists(), "a piece is left");
    world.end().await;
}

#[tokio::test]
async fn partial_uploads_that_nobody_goes_on_with_are_pruned() {
    let world = World::new().await;
    let workload = world.admitted().await;
    let bytes = vec![3; 10];
    let uploads = Uploads::of(&world, &workload, &bytes);
    assert_eq!(uploads.put(0, &bytes[..5], 10).await.status(), 204);
    let hour = std::time::Duration::from_hours(1);
    assert_eq!(world.bundles.prune_partial(hour).await.unwrap(), 0);
    assert_eq!(world.bundles.prune_partial(std::time::Duration::ZERO).await.unwrap(), 1);
    assert_eq!(uploads.offset().await, None);
    world.end().await;
}

#[tokio::test]
async fn only_what_a_newer_bundle_of_the_run_superseded_may_be_removed() {
    use domain::session::{BundleInfo, Command, Created};
    let world = World::new().await;
    let workload = world.admitted().await;
    for n in 0..3_u8 {
        let bytes = vec![n; 10];
        let put = Uploads::of(&world, &workload, &bytes).put(0, &bytes, 10).await;
        assert_eq!(put.status(), 201);
    }
    let names = [0, 1, 2].map(|n| BundleDigest(digest(&[n; 10])));
    let superseded = async |age| -> Vec<BundleDigest> {
        let kept = api::bundles::Kept { superseded: age, days: None };
        let found = world.bundles.superseded(kept).await.unwrap();
        found.into_iter().map(|bundle| bundle.digest).collect()
    };
    let now = std::time::Duration::ZERO;
    assert_eq!(superseded(now).await, names[..2]);
    assert_eq!(superseded(std::time::Duration::from_mins(1)).await, []);

    // A fork began from the first: it stays.
    let title = world.commands.context().seal("Fork".to_owned());
    let created = Created {
        repo: "acme/widget".parse().unwrap(),
        base: "main".parse().unwrap(),
        branch: "paddock/fork".parse().unwrap(),
        title: title.reference.clone(),
        issue: None,
        owner: world.owner,
    };
    let bundle =
        BundleInfo { digest: names[0].clone(), parent: None, size: 10, git_head: "0".repeat(40) };
    let fork = Command::Fork { created, from: workload.session, bundle };
    let mut caused = world.caused();
    caused.texts.push(title);
    let id = domain::ids::SessionId(uuid::Uuid::now_v7());
    world.commands.session(id, fork, caused).await.unwrap();
    assert_eq!(superseded(now).await, names[1..2]);

    // Uploaded once more, it is the newest again.
    let bytes = vec![1; 10];
    let again = Uploads::of(&world, &workload, &bytes).put(0, &bytes, 10).await;
    assert_eq!(again.status(), 201);
    assert_eq!(superseded(now).await, names[2..]);
    world.end().await;
}

#[tokio::test]
async fn an_upload_whose_end_a_killed_server_did_not_see_is_completed_when_asked_for() {
    let world = World::new().await;
    let workload = world.admitted().await;
    let bytes = vec![9; 1000];
    for (flipped, offset) in [(false, Some(1000)), (true, None)] {
        let mut bytes = bytes.clone();
        bytes[0] ^= u8::from(flipped);
        let uploads = Uploads::of(&world, &workload, &bytes);
        assert_eq!(uploads.put(0, &bytes[..400], 1000).await.status(), 204);
        let partial = world.store.path().join("partial");
        let upload = std::fs::read_dir(&partial).unwrap().next().unwrap().unwrap().path();
        bytes[999] ^= u8::from(flipped);
        std::fs::write(upload.join("1000").join(format!("{:020}", 400)), &bytes[400..]).unwrap();
        assert_eq!(uploads.offset().await, offset);
        assert!(!partial.exists());
        let found = if flipped { 404 } else { 200 };
        assert_eq!(uploads.get(None).await.status(), found);
    }
    world.end().await;
}

#[tokio::test]
async fn with_the_role_a_stale_generation_mixes_with_nothing_of_the_next() {
    let world = World::on_role().await;
    let old = world.admitted().await;
    let bytes: Vec<u8> = (0..1000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let stale = Uploads::of(&world, &old, &bytes);
    assert_eq!(stale.put(0, &bytes[..400], 1000).await.status(), 204);
    world
        .run(
            old.run,
            domain::run::Command::ReportLost { generation: old.generation, reason: "gone".into() },
        )
        .await;
    let next = old.generation.next();
    let new = Workload { token: world.identity(old.run, next).await, generation: next, ..old };
    let fresh = Uploads::of(&world, &new, &bytes);
    assert_eq!(fresh.offset().await, None, "it begins anew");
    assert_eq!(stale.put(400, &bytes[400..], 1000).await.status(), 403, "it is not heard any more");
    assert_eq!(fresh.put(0, &bytes, 1000).await.status(), 201);
    assert!(fresh.get(None).await.bytes().await.unwrap() == bytes);
    world.end().await;
}

#[tokio::test]
async fn without_the_role_an_upload_waits_and_goes_on_when_it_is_back() {
    let world = World::new().await;
    let store = tempfile::tempdir().unwrap();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = |listener: tokio::net::TcpListener| {
        let router = artifacts::router(artifacts::Served::open(store.path(), "right").unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() })
    };
    let role = serve(listener);
    let url = format!("http://{address}").parse().unwrap();
    let mib = 1024 * 1024;
    let open = async |token| {
        let pool = world.pool().clone();
        api::bundles::Bundles::open_store(pool, &url, Some(token), mib).await.unwrap()
    };
    let (bundles, stranger) = (open("right").await, open("wrong").await);
    assert!(bundles.look().await.unwrap().is_some_and(|space| space.free > 0));
    assert!(matches!(stranger.look().await, Err(BundleError::Object(_))));
    let mut other = World::serving(&world, bundles.clone()).await;
    let workload = world.admitted().await;
    let bytes = vec![5; 1000];
    let mut uploads = Uploads::of(&world, &workload, &bytes);
    uploads.address = other;
    assert_eq!(uploads.put(0, &bytes[..400], 1000).await.status(), 204);
    role.abort();
    let _ = role.await;
    assert_eq!(uploads.put(400, &bytes[400..], 1000).await.status(), 503);
    assert!(matches!(bundles.look().await, Err(BundleError::Object(_))));
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    let _role = serve(listener);
    // Another replica finds the same.
    other = World::serving(&world, open("right").await).await;
    uploads.address = other;
    assert_eq!(uploads.offset().await, Some(400));
    assert_eq!(uploads.put(400, &bytes[400..], 1000).await.status(), 201);
    assert!(uploads.get(None).await.bytes().await.unwrap() == bytes);
    world.end().await;
}

//! A bundle is downloaded through the API, whole or in ranges.

use domain::{ids::BundleDigest, run::SnapshotCause, session::BundleInfo};
use reqwest::{Client, Response, StatusCode};

use crate::{bundles::digest, front::Front};

struct Download {
    url: String,
    token: String,
}

impl Download {
    async fn get(&self, headers: &[(&str, &str)]) -> Response {
        let request = Client::new().get(&self.url).bearer_auth(&self.token);
        let asked =
            headers.iter().fold(request, |asked, (name, value)| asked.header(*name, *value));
        asked.send().await.unwrap()
    }
}

#[tokio::test]
async fn a_bundle_is_downloaded_whole_or_in_ranges() {
    let front = Front::new().await;
    let workload = front.world.admitted().await;
    let bytes: Vec<u8> = (0..100_000_u32).map(|n| (n / 3).to_le_bytes()[0]).collect();
    let name = digest(&bytes);
    let world = &front.world;
    let put = Client::new()
        .put(world.url(&format!("/bundles/{name}")))
        .bearer_auth(&workload.token)
        .header("content-range", "bytes 0-99999/100000")
        .body(bytes.clone())
        .send()
        .await
        .unwrap();
    assert_eq!(put.status(), StatusCode::CREATED);
    let bundle = BundleInfo {
        digest: BundleDigest(name.clone()),
        parent: None,
        size: 100_000,
        git_head: "a".repeat(40),
    };
    let mut tx = world.pool().begin().await.unwrap();
    let (run, generation) = (workload.run, workload.generation);
    let (cause, caused) = (SnapshotCause::Turn, world.caused());
    let stored =
        world.commands.store_snapshot_in_tx(&mut tx, run, generation, bundle, cause, &caused);
    stored.await.unwrap();
    tx.commit().await.unwrap();
    world.commands.doorbell().ring();
    front.caught_up().await;

    let path = format!("/api/v1/artifacts/{}.{name}/content", workload.session);
    let download = Download { url: front.url(&path), token: front.token.clone() };
    let whole = download.get(&[]).await;
    assert_eq!(whole.status(), StatusCode::OK);
    let headers = whole.headers().clone();
    assert_eq!(
        (&headers["accept-ranges"], &headers["content-length"]),
        (&"bytes".parse().unwrap(), &"100000".parse().unwrap())
    );
    assert!(headers["content-disposition"].to_str().unwrap().contains(&name[..12]));
    assert!(whole.bytes().await.unwrap() == bytes);
    let etag = headers["etag"].to_str().unwrap();

    for (range, first, end) in [
        ("bytes=0-9", 0, 10),
        ("bytes=99990-", 99_990, 100_000),
        ("bytes=99990-200000", 99_990, 100_000),
        ("bytes=-5", 99_995, 100_000),
    ] {
        for asked in [vec![("range", range)], vec![("range", range), ("if-range", etag)]] {
            let part = download.get(&asked).await;
            assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT, "{range}");
            let said = format!("bytes {first}-{}/100000", end - 1);
            assert_eq!(part.headers()["content-range"], said, "{range}");
            assert!(part.headers().contains_key("content-disposition"));
            assert!(part.bytes().await.unwrap() == bytes[first..end], "{range}");
        }
    }
    // Of another bundle than is there: all of what is.
    for other in ["\"another\"", "Wed, 21 Oct 2015 07:28:00 GMT"] {
        let all = download.get(&[("range", "bytes=0-9"), ("if-range", other)]).await;
        assert_eq!((all.status(), all.bytes().await.unwrap().len()), (StatusCode::OK, 100_000));
    }
    for range in ["bytes=100000-", "bytes=9-3"] {
        let none = download.get(&[("range", range)]).await;
        assert_eq!(none.status(), StatusCode::RANGE_NOT_SATISFIABLE, "{range}");
        assert_eq!(none.headers()["content-range"], "bytes */100000");
        assert_eq!(none.headers()["content-type"], "application/problem+json");
        let problem: serde_json::Value = none.json().await.unwrap();
        assert_eq!(problem["type"], "https://paddock.dev/problems/range");
    }
    front.end().await;
}

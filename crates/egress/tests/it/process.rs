//! The gateway as a process of its own, for tests that kill it.

use paddock_egress::{Config, run};
use tokio_util::sync::CancellationToken;

#[ignore = "a process that other tests start"]
#[tokio::test(flavor = "multi_thread")]
async fn gateway() {
    let config = std::env::var("PADDOCK_TEST_GATEWAY").expect("started by another test");
    let config: Config = serde_json::from_str(&config).expect("a configuration");
    run(config, CancellationToken::new()).await.expect("a gateway");
}

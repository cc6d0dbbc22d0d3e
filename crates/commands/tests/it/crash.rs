//! PostgreSQL stops at once, again and again, under load and with two rival sequencers.

use std::time::Duration;

use commands::sequencer::Options;
use tokio::task::JoinSet;

use crate::{
    postgres::Cluster,
    sequencer::sequence,
    support::{sequenced, whole},
    transactions::{Way, Writers},
};

const CRASHES: u32 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_stays_whole_over_immediate_stops_with_two_rival_sequencers() {
    let cluster = Cluster::start(true).await;
    let url = cluster.serve_url();
    let mut tasks = JoinSet::new();
    let mut stops = vec![];
    for elected in [true, true, false] {
        let pool = commands::connect(&url, 4).unwrap();
        let options = Options { elected, batch: 64, ..Options::default() };
        stops.push(sequence(&pool, options, &mut tasks).1);
    }
    let writers = Writers::start(&url, Way::KeyFirst, 12, 8);
    for _ in 0..CRASHES {
        tokio::time::sleep(Duration::from_millis(900)).await;
        cluster.crash();
        cluster.up().await;
    }
    tokio::time::sleep(Duration::from_millis(900)).await;
    let committed = writers.stop().await;
    let pool = commands::connect(&url, 4).unwrap();
    sequenced(&pool).await;
    for stop in stops {
        stop.cancel();
    }
    tasks.join_all().await;
    let report = whole(&pool).await;
    println!("{} events acknowledged over {CRASHES} crashes\n{report}", committed.len());
    assert!(committed.len() > 300, "only {} events: nothing is shown by that", committed.len());
    let ids: Vec<_> = committed.keys().copied().collect();
    let lost: i64 = sqlx::query_scalar(
        "select count(*) from unnest($1::uuid[]) a(id)
         where not exists (select from paddock.log l where l.event = a.id)",
    )
    .bind(&ids)
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(lost, 0, "acknowledged events without a position");
}

//! What people change of the settings has its effect while everything runs.

use domain::{
    ids::BundleDigest,
    settings::{self, Retention},
};
use uuid::Uuid;

use super::*;
use crate::tasks::{Task as _, retention};

impl World {
    async fn change(&self, command: settings::Command) {
        let caused = Caused::by(Actor::User(self.owner));
        self.commands.settings(command, caused).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_raised_lets_what_waits_start_and_a_lower_one_ends_nothing() {
    let world = World::new(ONE).await;
    let first = world.start(|_| {}).await;
    world.until(first, |event| matches!(event, Event::Admitted { .. })).await;
    let second = world.start(|_| {}).await;
    let full = QueueReason::RunsActive { active: 1, limit: 1 };
    world.until(second, |event| *event == Event::Queued { reason: full.clone() }).await;

    let limits = |max_runs, max_runs_per_owner| {
        settings::Command::ChangeLimits(Some(Limits { max_runs, max_runs_per_owner }))
    };
    world.change(limits(5, 1)).await;
    let own = QueueReason::OwnerRunsActive { active: 1, limit: 1 };
    world.until(second, |event| *event == Event::Queued { reason: own.clone() }).await;
    world.change(limits(5, 5)).await;
    world.until(second, |event| matches!(event, Event::Admitted { .. })).await;

    world.change(limits(0, 5)).await;
    let third = world.start(|_| {}).await;
    let none = QueueReason::RunsActive { active: 2, limit: 0 };
    world.until(third, |event| *event == Event::Queued { reason: none.clone() }).await;
    for run in [first, second] {
        assert_eq!(world.stage(run).await, Stage::Provisioning);
    }
    // As configuration says again.
    world.change(settings::Command::ChangeLimits(None)).await;
    let full = QueueReason::RunsActive { active: 2, limit: 1 };
    world.until(third, |event| *event == Event::Queued { reason: full.clone() }).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_allowed_or_no_longer_is_told_to_gateways_of_runs_that_are_active() {
    let world = World::new(Limits::default()).await;
    let run = world.start(|_| {}).await;
    world.until(run, |event| matches!(event, Event::Admitted { .. })).await;
    let told = async |wanted: &[&str]| {
        let seen = async {
            loop {
                let current = world.policies.current().unwrap_or_default();
                if current.len() == 1 && current[0].hosts == wanted {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), seen).await.expect("it is published");
    };
    told(&[]).await;
    let hosts = |hosts: &[&str]| hosts.iter().map(|host| (*host).to_owned()).collect();
    let allow = |of: &[&str]| settings::Command::ChangeAllowList(Some(hosts(of)));
    world.change(allow(&["registry.npmjs.org", ".debian.org"])).await;
    told(&[".debian.org", "registry.npmjs.org"]).await;
    world.change(allow(&[".debian.org"])).await;
    told(&[".debian.org"]).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweep_removes_what_is_older_than_it_is_to_be_kept_and_never_the_bundle_to_go_on_from()
{
    let world = World::new(Limits::default()).await;
    let run = world.start(|_| {}).await;
    world.until(run, |event| matches!(event, Event::Admitted { .. })).await;
    let RunState::Known(known) = world.commands.load_run(run).await.unwrap().0 else { panic!() };
    let session = known.requested.session;
    let digest = |letter: &str| BundleDigest(letter.repeat(64));
    let bundle = session::BundleInfo {
        digest: digest("a"),
        parent: None,
        size: 1,
        git_head: "0".repeat(40),
    };
    let store = session::Command::StoreBundle { run, generation: Generation::FIRST, bundle };
    world.commands.session(session, store, Caused::by(Actor::User(world.owner))).await.unwrap();
    let pool = world.commands.pool();
    for (letter, days) in [("a", 50), ("b", 45), ("c", 1)] {
        sqlx::query(
            "insert into runtime.artifact (digest, session, run, generation, size, uploaded_at)
             values ($1, $2, gen_random_uuid(), 1, 1, now() - make_interval(days => $3))",
        )
        .bind(digest(letter).0)
        .bind(session.0)
        .bind(days)
        .execute(pool)
        .await
        .unwrap();
    }
    let (old, young) = (Uuid::now_v7(), Uuid::now_v7());
    for (run, days) in [(old, 40), (young, 20)] {
        sqlx::query(
            "insert into runtime.run_link
               (run, session, generation, epoch, acked, done, items, seen_at, settled)
             values ($1, $2, 1, 1, 0, 0, 1, now() - make_interval(days => $3), true)",
        )
        .bind(run)
        .bind(session.0)
        .bind(days)
        .execute(pool)
        .await
        .unwrap();
        sqlx::query(
            "insert into runtime.run_output (run, seq, zstd, item) values ($1, 1, false, '{}')",
        )
        .bind(run)
        .execute(pool)
        .await
        .unwrap();
    }
    let left = async || -> (Vec<String>, Vec<Uuid>) {
        let bundles = "select left(digest, 1) from runtime.artifact order by 1";
        let outputs = "select run from runtime.run_output order by run";
        (
            sqlx::query_scalar(bundles).fetch_all(pool).await.unwrap(),
            sqlx::query_scalar(outputs).fetch_all(pool).await.unwrap(),
        )
    };
    let mut sweep = retention::Retention::new(&world.tools);
    sweep.round().await.unwrap();
    assert_eq!(left().await.0, ["a", "b", "c"], "nothing is removed unless told to");
    assert_eq!(left().await.1, [old, young]);

    let keep = Retention { bundle_days: Some(30), output_days: Some(30), ..Retention::default() };
    world.change(settings::Command::ChangeRetention(Some(keep))).await;
    sweep.round().await.unwrap();
    assert_eq!(left().await.0, ["a", "c"]);
    assert_eq!(left().await.1, [young]);
    world.end().await;
}

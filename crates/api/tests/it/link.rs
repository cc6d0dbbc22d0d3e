use std::time::Duration;

use commands::{Caused, output::digest_of};
use domain::{
    event::{Actor, Part},
    ids::{BundleDigest, Generation, InputId, RunId, StreamVersion},
    run::{self, Answer, Event, Failure, InputKind, SnapshotCause, Stage},
    session,
};
use link::{Answered, Ask, Body, Down, Fact, Instruct, Item, SnapshotUpload, Up};
use serde_json::json;

use crate::world::{Sidecar, Workload, World};

fn items(range: std::ops::RangeInclusive<u64>) -> Body {
    Body::Output { items: range.map(|n| Item::Gap { reason: format!("line {n}") }).collect() }
}

async fn lines(world: &World, run: RunId) -> Vec<(u64, String)> {
    let stored = world.outputs.read(run, 0, 100_000).await.unwrap();
    stored
        .into_iter()
        .map(|stored| match stored.item() {
            Item::Gap { reason } => (stored.seq, reason),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn expected(range: std::ops::RangeInclusive<u64>) -> Vec<(u64, String)> {
    range.map(|n| (n, format!("line {n}"))).collect()
}

#[tokio::test]
async fn a_frame_sent_again_after_a_reconnect_is_acknowledged_and_stored_once() {
    let world = World::new().await;
    let workload = world.admitted().await;
    let mut sidecar = world.dial(&workload).await;
    assert_eq!(sidecar.hello(workload.generation, 0).await, (1, 0));
    sidecar.frame(items(1..=2)).await;
    let last = sidecar.frame(items(3..=3)).await;
    sidecar.acked(last).await;
    drop(sidecar);

    // The acknowledgement of the second frame was lost, says the sidecar.
    let mut sidecar = world.dial(&workload).await;
    assert_eq!(sidecar.hello(workload.generation, 0).await, (2, 2));
    sidecar.next = 2;
    let repeated = sidecar.frame(items(3..=3)).await;
    sidecar.acked(repeated).await;
    let last = sidecar.frame(items(4..=5)).await;
    sidecar.acked(last).await;

    assert_eq!(lines(&world, workload.run).await, expected(1..=5));
    assert_eq!(world.outputs.read(workload.run, 3, 1).await.unwrap()[0].seq, 4);
    assert_eq!(world.outputs.newest(workload.run).await.unwrap(), 5);
    world.end().await;
}

#[tokio::test]
async fn the_event_that_closes_a_run_carries_the_digest_of_its_output_and_nothing_is_stored_after()
{
    let world = World::new().await;
    let (workload, mut sidecar) = world.running().await;
    let last = sidecar.frame(items(1..=3)).await;
    sidecar.acked(last).await;
    world.run(workload.run, run::Command::Cancel).await;
    world.run(workload.run, run::Command::AbandonSnapshot).await;
    let adapter = Caused::by(Actor::System(Part::Adapter));
    let generation = workload.generation;
    world.commands.workload_removed(workload.run, generation, adapter).await.unwrap();

    let stored = world.outputs.read(workload.run, 0, 10).await.unwrap();
    let sealed = digest_of(stored.iter().map(|stored| &stored.json[..]));
    let events = world.commands.run_events(workload.run, StreamVersion::NONE).await.unwrap();
    assert_eq!(
        events.last().map(|last| &last.event),
        Some(&domain::event::Event::Run(Event::WorkloadRemoved {
            generation,
            output_digest: Some(sealed),
        }))
    );

    // What is still on its way is too late, and so is another connection.
    sidecar.frame(items(4..=4)).await;
    // Whichever is noticed first: that the output is closed, or that the workload is gone.
    let (reason, retry) = sidecar.refused().await;
    let closed = reason == "another connection took the link" && retry;
    assert!(closed || (reason == "the run's workload is gone" && !retry), "{reason}");
    let mut again = world.dial(&workload).await;
    let hello = Up::Hello { generation, done: StreamVersion(0) };
    again.send(&hello).await;
    assert_eq!(again.refused().await, ("the run's output is closed".to_owned(), false));
    assert_eq!(lines(&world, workload.run).await, expected(1..=3));
    world.end().await;
}

#[tokio::test]
async fn a_connection_whose_link_was_taken_by_another_replica_stores_nothing_more() {
    let world = World::new().await;
    let workload = world.admitted().await;
    let mut old = world.dial(&workload).await;
    old.hello(workload.generation, 0).await;
    let first = old.frame(items(1..=1)).await;
    old.acked(first).await;

    let mut new = Sidecar::dial(world.replica().await, &workload.token).await.unwrap();
    assert_eq!(new.hello(workload.generation, 0).await, (2, 1));
    old.frame(Body::Output { items: vec![Item::Gap { reason: "stale".into() }] }).await;
    assert_eq!(old.refused().await, ("another connection took the link".to_owned(), true));
    let second = new.frame(items(2..=2)).await;
    new.acked(second).await;
    assert_eq!(lines(&world, workload.run).await, expected(1..=2));
    world.end().await;
}

#[tokio::test]
async fn a_connection_replaced_in_the_same_process_is_told_at_once() {
    let world = World::new().await;
    let workload = world.admitted().await;
    let mut old = world.dial(&workload).await;
    old.hello(workload.generation, 0).await;
    let mut new = world.dial(&workload).await;
    new.hello(workload.generation, 0).await;
    assert!(old.refused().await.1);
    assert!(world.links.connected(workload.run));
    world.end().await;
}

/// Sends everything from what is acknowledged on, and breaks off after a while.
async fn stretch(address: std::net::SocketAddr, workload: &Workload, frames: u64, most: u64) {
    let Ok(mut sidecar) = Sidecar::dial(address, &workload.token).await else { return };
    sidecar
        .send(&Up::Hello { generation: workload.generation, done: domain::ids::StreamVersion(0) })
        .await;
    let Some(Down::Welcome { acked, .. }) = sidecar.next().await else { return };
    for seq in acked + 1..=frames.min(acked + most) {
        sidecar.send(&Up::Frame { seq, body: items(seq..=seq) }).await;
    }
    if most.is_multiple_of(2) {
        // Sometimes it waits for an answer, sometimes it is cut off in the middle.
        let _ = sidecar.next().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rivals_on_two_replicas_that_keep_breaking_off_store_each_line_once_and_in_order() {
    const FRAMES: u64 = 600;
    let world = std::sync::Arc::new(World::new().await);
    let workload = std::sync::Arc::new(world.admitted().await);
    let addresses = [world.address, world.replica().await];
    let rivals = addresses.map(|address| {
        let (world, workload) = (world.clone(), workload.clone());
        tokio::spawn(async move {
            let mut most = 17;
            while world.outputs.newest(workload.run).await.unwrap() < FRAMES {
                stretch(address, &workload, FRAMES, most).await;
                most = most % 90 + 13;
            }
        })
    });
    let all = futures::future::join_all(rivals);
    tokio::time::timeout(Duration::from_mins(1), all).await.expect("they get through");
    assert_eq!(lines(&world, workload.run).await, expected(1..=FRAMES));
    std::sync::Arc::into_inner(world).expect("nobody else has it").end().await;
}

#[tokio::test]
async fn a_report_becomes_an_event_once_and_a_repeated_one_none() {
    let world = World::new().await;
    let (workload, mut sidecar) = world.running().await;
    assert_eq!(world.state_of(workload.run).await.stage, Stage::Running);
    let before = world.commands.load_run(workload.run).await.unwrap().1;

    drop(sidecar);
    sidecar = world.dial(&workload).await;
    let (_, acked) = sidecar.hello(workload.generation, before.0).await;
    assert_eq!(acked, 3);
    sidecar.next = 3;
    sidecar.fact(Fact::Ready { agent_session: "ses_1".into(), agent_version: "1.0".into() }).await;
    assert_eq!(world.commands.load_run(workload.run).await.unwrap().1, before);
    world.end().await;
}

#[tokio::test]
async fn a_report_that_is_refused_or_makes_no_sense_blocks_nothing() {
    let world = World::new().await;
    let (workload, mut sidecar) = world.running().await;
    let before = world.commands.load_run(workload.run).await.unwrap().1;
    for fact in [
        Fact::Pushed { head: "--force".into(), commits: 1, subject: String::new() },
        Fact::Ready { agent_session: "a b\n".into(), agent_version: "1".into() },
        Fact::InputWithdrawn { input: InputId("never asked".into()) },
        Fact::NothingToPublish,
        Fact::SnapshotAbandoned { detail: "x".repeat(100_000) },
        Fact::SnapshotStored { upload: upload("0", 5, SnapshotCause::Turn) },
    ] {
        sidecar.fact(fact).await;
    }
    assert_eq!(world.commands.load_run(workload.run).await.unwrap().1, before);

    // After all that, a good one still works; its words are stored apart from the event.
    let detail = format!("the model said \0 {}", "no ".repeat(60_000));
    sidecar.fact(Fact::Failed { failure: Failure::Model, detail }).await;
    let stop = sidecar.instruction().await;
    assert_eq!(stop.instruct, Instruct::SnapshotAndStop);
    let events = world.commands.run_events(workload.run, before).await.unwrap();
    let [recorded] = &events[..] else { panic!("{events:?}") };
    let domain::event::Event::Run(Event::TurnFailed { detail: Some(text), .. }) = &recorded.event
    else {
        panic!("{recorded:?}")
    };
    let words = world.commands.text(text.reference).await.unwrap().unwrap();
    assert!(words.starts_with("the model said \0 no no") && words.len() <= 64 * 1024);
    world.end().await;
}

#[tokio::test]
async fn instructions_arrive_as_they_are_appended_and_only_those_not_yet_carried_out() {
    let world = World::new().await;
    let (workload, mut sidecar) = world.running().await;
    let prompt = world.commands.context().seal("And the tests, please".to_owned());
    let message = world.commands.context().message_id();
    let mut caused = world.caused();
    caused.texts.push(prompt.clone());
    let command = run::Command::Prompt { message: message.clone(), text: prompt.reference };
    world.commands.run(workload.run, command, caused).await.unwrap();
    let told = sidecar.instruction().await;
    let text = "And the tests, please".to_owned();
    assert_eq!(told.instruct, Instruct::Prompt { message, text });

    // A text of the greatest length arrives however much longer it is once escaped.
    let largest = world.commands.context().seal("\u{1}".repeat(1024 * 1024));
    let message = world.commands.context().message_id();
    let mut caused = world.caused();
    caused.texts.push(largest.clone());
    let command = run::Command::Prompt { message, text: largest.reference };
    world.commands.run(workload.run, command, caused).await.unwrap();
    let told = sidecar.instruction().await;
    assert!(matches!(&told.instruct, Instruct::Prompt { text, .. } if text.len() == 1024 * 1024));
    assert!(serde_json::to_string(&told).unwrap().len() < link::MAX_MESSAGE_BYTES);

    // Another replica appends: no bell rings here, the poll finds it.
    let other = commands::Commands::new(world.pool().clone(), commands::Context::system());
    other.run(workload.run, run::Command::Interrupt, world.caused()).await.unwrap();
    let interrupt = sidecar.instruction().await;
    assert_eq!(interrupt.instruct, Instruct::Interrupt);

    drop(sidecar);
    let mut sidecar = world.dial(&workload).await;
    sidecar.hello(workload.generation, told.version.0).await;
    assert_eq!(sidecar.instruction().await, interrupt);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_and_commands_that_race_for_the_stream_all_get_through() {
    const EACH: u64 = 40;
    let world = World::new().await;
    let (workload, mut sidecar) = world.running().await;
    let prompts = async {
        for _ in 0..EACH {
            let text = world.commands.context().seal("More".to_owned());
            let message = world.commands.context().message_id();
            let mut caused = world.caused();
            caused.texts.push(text.clone());
            let command = run::Command::Prompt { message, text: text.reference };
            world.commands.run(workload.run, command, caused).await.unwrap();
        }
    };
    let reports = async {
        for input_tokens in 1..=EACH {
            let usage = run::Usage { input_tokens, ..run::Usage::default() };
            sidecar.fact(Fact::Usage { usage }).await;
        }
    };
    tokio::join!(prompts, reports);
    let none = domain::ids::StreamVersion(0);
    let events = world.commands.run_events(workload.run, none).await.unwrap();
    let reported = events.iter().filter_map(|recorded| match &recorded.event {
        domain::event::Event::Run(Event::UsageReported { usage }) => Some(usage.input_tokens),
        _ => None,
    });
    assert!(reported.eq(1..=EACH));
    world.end().await;
}

#[tokio::test]
async fn a_question_of_the_agent_is_kept_as_text_and_its_answer_comes_back() {
    let world = World::new().await;
    let (workload, mut sidecar) = world.running().await;
    let input = InputId("que_1".to_owned());
    let detail = json!({ "questions": [{ "question": "Which?" }] });
    let kind = InputKind::Question;
    sidecar.fact(Fact::InputRequired { input: input.clone(), kind, detail: detail.clone() }).await;
    assert!(matches!(world.state_of(workload.run).await.stage, Stage::AwaitingInput { .. }));

    let answers = world.commands.context().seal(r#"[["blue"],["one","two"]]"#.to_owned());
    let mut caused = world.caused();
    caused.texts.push(answers.clone());
    let answer = Answer::Answers { answers: answers.reference };
    let give = run::Command::GiveInput { input: input.clone(), answer };
    world.commands.run(workload.run, give, caused).await.unwrap();
    let chosen = Some(vec![vec!["blue".to_owned()], vec!["one".to_owned(), "two".to_owned()]]);
    let told = sidecar.instruction().await;
    assert_eq!(told.instruct, Instruct::AnswerQuestion { input, answers: chosen });
    world.end().await;
}

#[tokio::test]
async fn a_retried_workload_takes_over_and_the_older_one_is_ended() {
    let world = World::new().await;
    let (workload, mut old) = world.running().await;
    let seq = old.frame(items(1..=2)).await;
    old.acked(seq).await;
    let generation = workload.generation;
    world.run(workload.run, run::Command::ReportLost { generation, reason: "killed".into() }).await;
    assert!(!old.refused().await.1);
    // Its identity is good for nothing any more.
    let mut stale = world.dial(&workload).await;
    stale.send(&Up::Hello { generation, done: domain::ids::StreamVersion(0) }).await;
    assert!(!stale.refused().await.1);
    let upload = reqwest::Client::new()
        .put(world.url(&format!("/bundles/{}", "a".repeat(64))))
        .bearer_auth(&workload.token)
        .header("content-range", "bytes 0-0/1")
        .body("x");
    assert_eq!(upload.send().await.unwrap().status(), 403);

    let generation = Generation(2);
    let token = world.identity(workload.run, generation).await;
    let mut new = Sidecar::dial(world.address, &token).await.unwrap();
    assert_eq!(new.hello(generation, 0).await.1, 0, "its frames are numbered from one again");
    let first = new.instruction().await;
    assert!(matches!(first.instruct, Instruct::Prompt { .. }));
    let seq = new.frame(items(3..=3)).await;
    assert_eq!(seq, 1);
    new.acked(seq).await;
    assert_eq!(lines(&world, workload.run).await, expected(1..=3));
    world.end().await;
}

#[tokio::test]
async fn a_sidecar_is_asked_and_whoever_asked_gets_its_answer() {
    let world = World::new().await;
    let workload = world.admitted().await;
    let none = world.links.ask(workload.run, Ask::Changes, Duration::from_secs(1)).await;
    assert_eq!(none, Err(api::link::AskError::NotConnected));
    let mut sidecar = world.dial(&workload).await;
    sidecar.hello(workload.generation, 0).await;
    let short = world.links.ask(workload.run, Ask::Changes, Duration::from_millis(50)).await;
    assert_eq!(short, Err(api::link::AskError::TimedOut));

    let links = world.links.clone();
    let run = workload.run;
    let asked =
        tokio::spawn(async move { links.ask(run, Ask::Changes, Duration::from_secs(10)).await });
    let diff = Answered::Changes {
        base: "b".into(),
        head: "h".into(),
        diff: "+x".into(),
        truncated: false,
    };
    loop {
        match sidecar.next().await {
            // The first question timed out: its answer goes nowhere and harms nothing.
            Some(Down::Ask { ask, what: Ask::Changes }) => {
                let result = if ask == 1 { Err("late".to_owned()) } else { Ok(diff.clone()) };
                sidecar.send(&Up::Answer { ask, result }).await;
                if ask == 2 {
                    break;
                }
            }
            Some(Down::Instruction(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(asked.await.unwrap(), Ok(diff));
    world.end().await;
}

#[tokio::test]
async fn a_snapshot_counts_once_its_bytes_are_there_and_becomes_the_sessions_head() {
    let world = World::new().await;
    let (workload, mut sidecar) = world.running().await;
    let bytes = b"not really a bundle".to_vec();
    let digest = crate::bundles::digest(&bytes);
    let turn = upload(&digest, bytes.len() as u64, SnapshotCause::Turn);
    sidecar.fact(Fact::SnapshotStored { upload: turn.clone() }).await;
    assert_eq!(head(&world, &workload).await, None, "nothing was uploaded");

    let put = reqwest::Client::new()
        .put(world.url(&format!("/bundles/{digest}")))
        .bearer_auth(&workload.token)
        .header("content-range", format!("bytes 0-{}/{}", bytes.len() - 1, bytes.len()))
        .body(bytes.clone());
    assert_eq!(put.send().await.unwrap().status(), 201);
    let mut wrong = turn.clone();
    wrong.size += 1;
    sidecar.fact(Fact::SnapshotStored { upload: wrong }).await;
    assert_eq!(head(&world, &workload).await, None, "the size is another one");
    sidecar.fact(Fact::SnapshotStored { upload: turn }).await;
    assert_eq!(head(&world, &workload).await, Some(BundleDigest(digest.clone())));

    // The next hello is told to restore it.
    drop(sidecar);
    let mut sidecar = world.dial(&workload).await;
    let hello = Up::Hello { generation: workload.generation, done: domain::ids::StreamVersion(0) };
    sidecar.send(&hello).await;
    let Some(Down::Welcome { job, .. }) = sidecar.next().await else { panic!("no welcome") };
    assert_eq!(job.restore, Some(BundleDigest(digest)));
    assert_eq!(job.remote_url, "https://github.test/acme/widget.git");
    assert_eq!(job.run_url, format!("https://paddock.test/runs/{}", workload.run));
    assert!(!job.branch_is_ours);
    world.end().await;
}

#[tokio::test]
async fn a_last_snapshot_that_is_not_there_ends_the_run_without_one() {
    let world = World::new().await;
    let (workload, mut sidecar) = world.running().await;
    world.run(workload.run, run::Command::Cancel).await;
    assert_eq!(sidecar.instruction().await.instruct, Instruct::SnapshotAndStop);
    let missing = upload(&"a".repeat(64), 5, SnapshotCause::Final);
    sidecar.fact(Fact::SnapshotStored { upload: missing }).await;
    let ended = Stage::Ended(run::Outcome::Cancelled);
    assert_eq!(world.state_of(workload.run).await.stage, ended);
    assert_eq!(sidecar.instruction().await.instruct, Instruct::Exit);
    world.end().await;
}

#[tokio::test]
async fn once_a_run_began_to_publish_its_branch_is_the_sessions_own() {
    let world = World::new().await;
    let (workload, mut sidecar) = world.running().await;
    let finish = run::Command::Finish { cause: run::FinishCause::Asked };
    world.run(workload.run, finish).await;
    assert_eq!(sidecar.instruction().await.instruct, Instruct::Publish);
    let subject = "Fix the bug\u{7}".to_owned();
    sidecar.fact(Fact::Pushed { head: "1".repeat(40), commits: 1, subject }).await;
    assert_eq!(world.state_of(workload.run).await.pushed, Some("1".repeat(40)));
    drop(sidecar);
    let mut sidecar = world.dial(&workload).await;
    let hello = Up::Hello { generation: workload.generation, done: domain::ids::StreamVersion(0) };
    sidecar.send(&hello).await;
    let Some(Down::Welcome { job, .. }) = sidecar.next().await else { panic!("no welcome") };
    assert!(job.branch_is_ours);
    world.end().await;
}

#[tokio::test]
async fn without_a_known_identity_there_is_no_link() {
    let world = World::new().await;
    let workload = world.admitted().await;
    let mut unknown = Sidecar::dial(world.address, "made-up").await.unwrap();
    assert_eq!(unknown.refused().await, ("the identity is unknown".to_owned(), false));
    let none = reqwest::get(world.url("/bundles/x")).await.unwrap();
    assert_eq!(none.status(), 401);

    let mut other = world.dial(&workload).await;
    other.send(&Up::Hello { generation: Generation(2), done: domain::ids::StreamVersion(0) }).await;
    assert!(!other.refused().await.1);
    let mut rude = world.dial(&workload).await;
    rude.send_text("[".repeat(100_000)).await;
    assert!(rude.refused().await.1);
    let mut larger = world.dial(&workload).await;
    larger.hello(workload.generation, 0).await;
    larger.send_text("x".repeat(link::MAX_MESSAGE_BYTES + 1)).await;
    while larger.next().await.is_some() {}
    world.end().await;
}

#[tokio::test]
async fn far_too_much_output_in_one_frame_is_stored_as_a_gap() {
    let world = World::new().await;
    let workload = world.admitted().await;
    let mut sidecar = world.dial(&workload).await;
    sidecar.hello(workload.generation, 0).await;
    let item = Item::Message { id: "m".into(), info: json!("x".repeat(600_000)) };
    let seq = sidecar.frame(Body::Output { items: vec![item] }).await;
    sidecar.acked(seq).await;
    let lines = lines(&world, workload.run).await;
    assert!(lines.len() == 1 && lines[0].1.contains("were refused"), "{lines:?}");
    world.end().await;
}

#[tokio::test]
async fn a_frame_that_skips_one_ends_the_connection_and_stores_nothing() {
    let world = World::new().await;
    let workload = world.admitted().await;
    let mut sidecar = world.dial(&workload).await;
    sidecar.hello(workload.generation, 0).await;
    sidecar.next = 2;
    sidecar.frame(items(2..=2)).await;
    assert!(sidecar.refused().await.1);
    assert_eq!(lines(&world, workload.run).await, []);
    world.end().await;
}

#[tokio::test]
async fn the_newest_diff_is_kept_however_long_it_is_once_escaped() {
    let world = World::new().await;
    let workload = world.admitted().await;
    let mut sidecar = world.dial(&workload).await;
    sidecar.hello(workload.generation, 0).await;
    let changes = |diff: String| Answered::Changes {
        base: "a".repeat(40),
        head: "b".repeat(40),
        diff,
        truncated: true,
    };
    let newest = changes("\u{1}".repeat(768 * 1024));
    for changes in [changes("+old".to_owned()), newest.clone()] {
        let seq = sidecar.frame(Body::Changes(changes)).await;
        sidecar.acked(seq).await;
    }
    let kept = api::link::kept_changes(world.pool(), workload.run).await.unwrap();
    assert!(kept == Some(newest));
    world.end().await;
}

#[tokio::test]
async fn a_subscriber_wakes_when_output_is_stored() {
    let world = World::new().await;
    let workload = world.admitted().await;
    let mut sidecar = world.dial(&workload).await;
    sidecar.hello(workload.generation, 0).await;
    let mut subscription = world.outputs.subscribe(workload.run);
    let begun = std::time::Instant::now();
    sidecar.frame(items(1..=1)).await;
    while lines(&world, workload.run).await.is_empty() {
        subscription.woken().await;
    }
    assert!(begun.elapsed() < Duration::from_millis(900), "the bell, not the clock");
    world.end().await;
}

fn upload(digest: &str, size: u64, cause: SnapshotCause) -> SnapshotUpload {
    SnapshotUpload {
        digest: BundleDigest(digest.to_owned()),
        parent: None,
        size,
        git_head: "0".repeat(40),
        cause,
        left_out: vec![],
    }
}

async fn head(world: &World, workload: &Workload) -> Option<BundleDigest> {
    match world.commands.load_session(workload.session).await.unwrap().0 {
        session::State::Known(session) => session.head.map(|head| head.digest),
        other => panic!("{other:?}"),
    }
}

use std::collections::BTreeSet;

use domain::{
    event::Event,
    ids::{BundleDigest, Generation, RunId, SessionId, TextId},
    run,
    session::{self, BundleInfo},
    stream::StreamId,
    text::TextRef,
};
use projections::{Cursor, NotACursor, RunFilter, SessionFilter};
use uuid::Uuid;

use crate::{
    story::OWNER,
    support::{World, all, story},
};

/// Every page of a list, each of at most three.
macro_rules! all_pages {
    ($list:expr) => {{
        let mut items = vec![];
        let mut cursor: Option<String> = None;
        loop {
            let page = $list(cursor.clone()).await.unwrap().unwrap();
            assert!(page.items.len() <= 3);
            items.extend(page.items);
            match page.next.as_ref().map(Cursor::encode) {
                Some(next) => cursor = Some(next),
                None => break items,
            }
        }
    }};
}

#[tokio::test]
async fn every_list_goes_on_where_its_cursor_says_and_ends() {
    let world = World::new().await;
    let story = story(1_500);
    world.append(&story.events).await;
    let projector = world.project();
    world.caught_up().await;
    let views = &world.views;

    for archived in [false, true] {
        let filter = SessionFilter { archived, ..SessionFilter::default() };
        let listed = all_pages!(async |at: Option<String>| {
            views.sessions(&all(), &filter, at.as_deref(), 3).await
        });
        let standing = if archived { session::Standing::Archived } else { session::Standing::Open };
        let known = story.sessions.iter().filter(|(_, state)| {
            matches!(state, session::State::Known(known) if known.standing == standing)
        });
        let known: Vec<SessionId> = known.map(|(id, _)| *id).rev().collect();
        assert!(!known.is_empty());
        assert_eq!(listed.iter().map(|row| row.id).collect::<Vec<_>>(), known);
    }

    let ended = |run: &run::State| match run {
        run::State::Known(run) => matches!(run.stage, run::Stage::Ended(_)),
        run::State::New => panic!("a run without events"),
    };
    let busiest = story.sessions.keys().max_by_key(|id| runs_of(&story.runs, **id).len()).unwrap();
    for session in [None, Some(*busiest)] {
        for active in [false, true] {
            let filter = RunFilter { session, active };
            let listed = all_pages!(async |at: Option<String>| {
                views.runs(&all(), &filter, at.as_deref(), 3).await
            });
            let known = story.runs.iter().rev().filter(|(id, state)| {
                (!active || !ended(state))
                    && session.is_none_or(|session| runs_of(&story.runs, session).contains(id))
            });
            let known: Vec<RunId> = known.map(|(id, _)| *id).collect();
            assert_eq!(listed.iter().map(|row| row.id).collect::<Vec<_>>(), known, "{filter:?}");
        }
    }

    let longest = story.runs.keys().max_by_key(|id| told_of(&story.events, **id)).unwrap();
    let listed =
        all_pages!(async |at: Option<String>| views.timeline(*longest, at.as_deref(), 3).await);
    assert!(listed.len() > 3);
    let versions: Vec<u64> = listed.iter().map(|row| row.version.0).collect();
    assert_eq!(versions, (1..=told_of(&story.events, *longest) as u64).collect::<Vec<_>>());

    for (id, state) in &story.sessions {
        let session::State::Known(known) = state else { continue };
        let listed =
            all_pages!(async |at: Option<String>| views.bundles(*id, at.as_deref(), 3).await);
        let forked = known.forked_from.is_some();
        let own: BTreeSet<&BundleDigest> = listed.iter().map(|row| &row.info.digest).collect();
        assert_eq!(own.len(), listed.len());
        // What a fork began from is another session's.
        assert!(own.iter().all(|digest| known.bundles.contains(*digest)));
        assert!(forked || own.len() == known.bundles.len());
        for row in &listed {
            assert_eq!(views.bundle(*id, &row.info.digest).await.unwrap().as_ref(), Some(row));
        }
    }

    let (session, stored) = with_bundles(7);
    world.append(&stored).await;
    world.caught_up().await;
    let listed =
        all_pages!(async |at: Option<String>| views.bundles(session, at.as_deref(), 3).await);
    let sizes: Vec<u64> = listed.iter().map(|row| row.info.size).collect();
    assert_eq!(sizes, [7, 6, 5, 4, 3, 2, 1], "the newest first");
    projector.stop().await;
    world.drop().await;
}

/// A session with so many bundles, each larger than the one before.
fn with_bundles(count: u64) -> (SessionId, Vec<(StreamId, Event)>) {
    let id = SessionId(Uuid::max());
    let created = session::Created {
        repo: "acme/widget".parse().unwrap(),
        base: "main".parse().unwrap(),
        branch: "paddock/bundles".parse().unwrap(),
        title: TextRef { reference: TextId(Uuid::nil()), commit: String::new() },
        issue: None,
        owner: OWNER,
    };
    let stored = (1..=count).map(|size| session::Event::BundleStored {
        run: RunId(Uuid::nil()),
        generation: Generation::FIRST,
        bundle: BundleInfo {
            digest: BundleDigest(format!("{:064x}", size * 31 % 11)),
            parent: None,
            size,
            git_head: "a".repeat(40),
        },
    });
    let events = std::iter::once(session::Event::Created(created)).chain(stored);
    (id, events.map(|event| (id.into(), event.into())).collect())
}

fn runs_of(
    runs: &std::collections::BTreeMap<RunId, run::State>,
    session: SessionId,
) -> BTreeSet<RunId> {
    let of_session = |state: &run::State| match state {
        run::State::Known(run) => run.requested.session == session,
        run::State::New => false,
    };
    runs.iter().filter(|(_, state)| of_session(state)).map(|(id, _)| *id).collect()
}

fn told_of(events: &[(StreamId, Event)], run: RunId) -> usize {
    events.iter().filter(|(stream, _)| *stream == run.into()).count()
}

#[tokio::test]
async fn a_cursor_of_another_list_is_refused() {
    let world = World::new().await;
    let views = &world.views;
    let everything = RunFilter::default();
    let id = SessionId(Uuid::from_u128(1));
    let cursor = Cursor::after("runs 00000000-0000-0000-0000-000000000000 false", id).encode();
    assert!(views.runs(&all(), &everything, Some(&cursor), 3).await.unwrap().is_ok());
    let active = RunFilter { active: true, ..everything };
    assert_eq!(views.runs(&all(), &active, Some(&cursor), 3).await.unwrap(), Err(NotACursor));
    let of_one = RunFilter { session: Some(id), ..RunFilter::default() };
    assert_eq!(views.runs(&all(), &of_one, Some(&cursor), 3).await.unwrap(), Err(NotACursor));
    let sessions =
        views.sessions(&all(), &SessionFilter::default(), Some(&cursor), 3).await.unwrap();
    assert_eq!(sessions, Err(NotACursor));
    let line = views.timeline(RunId(id.0), Some(&cursor), 3).await.unwrap();
    assert_eq!(line, Err(NotACursor));
    assert_eq!(views.bundles(id, Some(&cursor), 3).await.unwrap(), Err(NotACursor));
    world.drop().await;
}

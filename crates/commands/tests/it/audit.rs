//! What is signed, proven, taken out and erased, on a real database.

use std::{io::Cursor, time::Duration};

use async_nats::jetstream;
use audit::{
    Hash, SignedCheckpoint, SigningKey, VerifyingKey,
    hold::{Breach, hold},
    proof::{self, Proof},
    tile::Tile,
    verify::{Against, Broken, Failure, Older, Verdict, verify},
};
use commands::{
    Caused, Commands, Context, Progress, Standing,
    audit::{EraseError, Keys, Memory, run},
    relay::{Relay, STREAM},
    sequencer::{self, Options},
};
use domain::{
    event::Actor,
    ids::{RunId, SessionId, TextId},
    run, session,
};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row as _};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    nats::Server,
    support::{Database, create, make_session, rename, request, sequenced, start_run, user, whole},
};

/// A log with all that works on it.
struct Log {
    database: Database,
    commands: Commands,
    progress: Progress,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

fn key(number: u8) -> SigningKey {
    SigningKey::parse(&SigningKey::generate("log.test", [number; 32]).unwrap()).unwrap()
}

fn keys(number: u8) -> Keys {
    Keys { key: key(number), previous: None, memory: None }
}

impl Log {
    async fn new() -> Self {
        let database = Database::new().await;
        let commands = Commands::new(database.pool(), Context::system());
        let mut log = Self {
            database,
            commands,
            progress: Progress::new(),
            stop: CancellationToken::new(),
            tasks: JoinSet::new(),
        };
        log.tasks.spawn(sequencer::run(
            log.commands.pool().clone(),
            log.commands.doorbell(),
            log.progress.clone(),
            None,
            Options::default(),
            log.stop.clone(),
        ));
        log
    }

    fn sign(&mut self, keys: Keys) -> CancellationToken {
        let stop = self.stop.child_token();
        let (commands, progress) = (self.commands.clone(), self.progress.clone());
        self.tasks.spawn(run(commands, keys, progress, stop.clone()));
        stop
    }

    async fn fill(&self, sessions: usize) -> Vec<(SessionId, RunId)> {
        let mut made = vec![];
        for _ in 0..sessions {
            let owner = user();
            let session = make_session(&self.commands, owner).await;
            made.push((session, start_run(&self.commands, session, owner).await));
            let (command, caused) = rename(self.commands.context(), owner, "another");
            self.commands.session(session, command, caused).await.unwrap();
        }
        made
    }

    /// Waits until all that was appended is signed, by the key of that number.
    async fn signed(&self, number: u8) -> SignedCheckpoint {
        let end = sequenced(self.commands.pool()).await;
        for _ in 0..600 {
            if let Some(signed) = self.commands.audit().checkpoint().await.unwrap()
                && signed.checkpoint.checkpoint().size >= end.0
                && signed.checkpoint.is_signed_by(key(number).verifying())
            {
                return signed.checkpoint;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{end} positions are not signed: {:?}", *self.progress.signer().borrow());
    }

    async fn halted(&self) -> String {
        let mut signer = self.progress.signer();
        let halted = signer.wait_for(|it| matches!(it, Standing::Halted(_)));
        let halted = tokio::time::timeout(Duration::from_secs(20), halted).await.expect("it halts");
        match halted.unwrap().clone() {
            Standing::Halted(reason) => reason,
            other => panic!("{other:?}"),
        }
    }

    async fn export(&self) -> Vec<u8> {
        let mut export = self.commands.audit().export().await.unwrap();
        let mut file = vec![];
        while let Some(lines) = export.next().await.unwrap() {
            file.extend(lines);
        }
        file
    }

    /// Does what only an owner of the database can do.
    async fn rewrite(&self, statements: &str) {
        let mut admin = PgConnection::connect(&self.database.admin_url()).await.unwrap();
        let tables = ["event", "log", "log_batch", "event_text", "tree_hash", "checkpoint"];
        let disable =
            tables.map(|table| format!("alter table paddock.{table} disable trigger all;"));
        let all = format!("{} {statements}", disable.concat());
        sqlx::raw_sql(AssertSqlSafe(all)).execute(&mut admin).await.unwrap();
    }

    async fn end(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

fn read(file: &[u8], against: Against) -> Result<Verdict, Failure> {
    verify(file, against, &mut |_, _| {})
}

fn known(number: u8) -> Against {
    Against { key: Some(key(number).verifying().clone()), older: None }
}

async fn consistency(
    commands: &Commands,
    old: &SignedCheckpoint,
    new: &SignedCheckpoint,
) -> Vec<Hash> {
    let (from, size) = (old.checkpoint().size, new.checkpoint().size);
    commands.audit().proof(Proof::Consistency { from, size }).await.unwrap_or_default()
}

fn trusted(number: u8) -> [VerifyingKey; 1] {
    [key(number).verifying().clone()]
}

#[tokio::test]
async fn what_is_signed_is_the_log_and_an_export_of_it_holds() {
    let mut log = Log::new().await;
    log.sign(keys(1));
    log.fill(3).await;
    let first = log.signed(1).await;
    assert_eq!(first.checkpoint().size, 15);
    assert_eq!(first.checkpoint().root, whole(log.commands.pool()).await.root);
    let older = log.export().await;
    // Over a tile's end, and with a signer that begins again in the middle.
    log.fill(60).await;
    let second = log.signed(1).await;
    assert_eq!(second.checkpoint().size, 315);
    assert_eq!(second.checkpoint().root, whole(log.commands.pool()).await.root);
    for position in [1, 15, 16, 255, 256, 257, 315] {
        let audit = log.commands.audit();
        let made = audit.proof(Proof::Inclusion { position, size: 315 }).await.unwrap();
        let leaf = audit.leaf(position).await.unwrap().unwrap();
        assert_eq!(
            proof::includes(second.checkpoint(), position, leaf, &made),
            Ok(()),
            "{position}"
        );
    }
    let made = consistency(&log.commands, &first, &second).await;
    assert_eq!(hold(&first, &second, &trusted(1), &made), Ok(()));
    let tile = |path| Tile::parse(path).unwrap();
    let full = log.commands.audit().tile(tile("0/000")).await.unwrap().unwrap();
    let above = log.commands.audit().tile(tile("1/000.p/1")).await.unwrap().unwrap();
    let hashes: Vec<Hash> = full.chunks(32).map(|hash| hash.try_into().unwrap()).collect();
    assert_eq!(audit::tile::root_of(&hashes).unwrap()[..], above);
    assert_eq!(log.commands.audit().tile(tile("0/001")).await.unwrap(), None, "it is not full yet");
    let newer = log.export().await;
    let verdict = read(&newer, known(1)).unwrap();
    assert_eq!((verdict.texts, verdict.erased), (189, 0));
    let again = || Box::new(Cursor::new(older.clone()));
    let against = Against { key: None, older: Some(Older::Export(again(), again())) };
    assert_eq!(read(&newer, against).unwrap().extends, Some(15));
    log.end().await;
}

#[tokio::test]
async fn of_two_signers_one_signs_and_the_other_takes_over() {
    let mut log = Log::new().await;
    let first = log.sign(keys(1));
    log.sign(keys(1));
    log.fill(2).await;
    log.signed(1).await;
    first.cancel();
    log.fill(2).await;
    log.signed(1).await;
    let numbers =
        "select max(number) = count(*), count(*) = count(distinct size) from paddock.checkpoint";
    let row = sqlx::query(numbers).fetch_one(log.commands.pool()).await.unwrap();
    assert!(row.get::<bool, _>(0) && row.get::<bool, _>(1));
    log.end().await;
}

#[tokio::test]
async fn a_database_that_its_owner_rewrote_is_found_by_whoever_remembers() {
    let mut log = Log::new().await;
    let dir = tempfile::tempdir().unwrap();
    let memory = || Some(Memory::at(&dir.path().join("signed")));
    let signer = log.sign(Keys { memory: memory(), ..keys(1) });
    log.fill(3).await;
    let before = log.signed(1).await;
    let kept = log.export().await;
    signer.cancel();
    // The owner changes an event, makes its leaf anew, and lets a signer without a memory sign all of it again.
    log.rewrite("delete from paddock.checkpoint; delete from paddock.tree_hash;").await;
    let rows =
        "select e.id, e.stream, e.version, e.name, e.schema, e.actor, e.time, e.body, e.correlation
        from paddock.log l join paddock.event e on e.id = l.event where l.position = 7";
    let row = sqlx::query(rows).fetch_one(log.commands.pool()).await.unwrap();
    let other = "user:00000000-0000-0000-0000-000000000007";
    let entry = domain::leaf::Entry {
        stream: row.get("stream"),
        version: row.get::<i64, _>("version").unsigned_abs(),
        id: domain::ids::EventId(row.get("id")),
        name: row.get("name"),
        time: row.get("time"),
        actor: other,
        schema: 1,
        body: row.get("body"),
        correlation: Some(domain::ids::CorrelationId(row.get("correlation"))),
    };
    log.rewrite(&format!(
        "update paddock.event set actor = '{other}' where id = '{}';
         update paddock.log set leaf = '\\x{}' where position = 7;",
        row.get::<Uuid, _>("id"),
        hex::encode(entry.leaf())
    ))
    .await;
    whole(log.commands.pool()).await;
    // One that remembers signs nothing of it.
    let remembers = log.sign(Keys { memory: memory(), ..keys(1) });
    assert!(log.halted().await.contains("rewritten or rolled back"));
    remembers.cancel();
    log.sign(keys(1));
    log.fill(1).await;
    let after = log.signed(1).await;
    let made = consistency(&log.commands, &before, &after).await;
    assert_eq!(hold(&before, &after, &trusted(1), &made), Err(Breach::Forked(15)));
    let rewritten = log.export().await;
    assert!(
        read(&rewritten, known(1)).is_ok(),
        "of itself it is whole, and signed by the log's key"
    );
    let again = || Box::new(Cursor::new(kept.clone()));
    let against = Against { key: None, older: Some(Older::Export(again(), again())) };
    let Err(Failure::Broken(finding)) = read(&rewritten, against) else { panic!("it is found") };
    assert_eq!((finding.what, finding.positions), (Broken::Differs, 7..=7));
    log.end().await;
}

#[tokio::test]
async fn a_log_that_was_rolled_back_is_found_by_whoever_remembers() {
    let mut log = Log::new().await;
    let dir = tempfile::tempdir().unwrap();
    let memory = || Some(Memory::at(&dir.path().join("signed")));
    let signer = log.sign(Keys { memory: memory(), ..keys(1) });
    log.fill(2).await;
    let older = log.signed(1).await;
    log.fill(2).await;
    let newer = log.signed(1).await;
    signer.cancel();
    log.rewrite("delete from paddock.checkpoint where size > 10").await;
    log.sign(Keys { memory: memory(), ..keys(1) });
    assert!(log.halted().await.contains("20 positions were signed"));
    let back = log.commands.audit().checkpoint().await.unwrap().unwrap().checkpoint;
    assert_eq!(back, older);
    let breach = Breach::RolledBack { before: 20, now: 10 };
    assert_eq!(hold(&newer, &back, &trusted(1), &[]), Err(breach));
    log.end().await;
}

#[tokio::test]
async fn a_key_hands_over_to_another_and_none_takes_over_by_itself() {
    let mut log = Log::new().await;
    let signer = log.sign(keys(1));
    log.fill(2).await;
    let before = log.signed(1).await;
    signer.cancel();
    let alone = log.sign(keys(2));
    assert!(log.halted().await.contains(&key(1).verifying().to_string()));
    alone.cancel();
    log.sign(Keys { previous: Some(key(1)), ..keys(2) });
    log.fill(2).await;
    let after = log.signed(2).await;
    let both = log.commands.audit().checkpoint_by(11, key(2).verifying()).await.unwrap().unwrap();
    assert!(both.is_signed_by(key(1).verifying()) && both.is_signed_by(key(2).verifying()));
    let file = log.export().await;
    for number in [1, 2] {
        assert_eq!(&read(&file, known(number)).unwrap().signed_by, key(2).verifying());
    }
    let made = consistency(&log.commands, &before, &after).await;
    assert_eq!(hold(&before, &after, &trusted(2), &made), Ok(()));
    let keys = log.commands.audit().keys().await.unwrap();
    assert_eq!(keys, [key(1).verifying().clone(), key(2).verifying().clone()]);
    log.end().await;
}

const SECRET: &str = "the words that nobody is to read again";

/// A run whose prompt says something that is to be erased, and what was kept of it.
async fn said(log: &Log) -> (SessionId, RunId, TextId) {
    let owner = user();
    let session = make_session(&log.commands, owner).await;
    let run = RunId(log.commands.context().id());
    let (command, _) = request(log.commands.context(), session, owner);
    let sealed = log.commands.context().seal(SECRET.to_owned());
    let text = sealed.reference.reference;
    let run::Command::Request { requested, message, egress_reason, .. } = command else {
        panic!("a request")
    };
    let prompt = sealed.reference.clone();
    let command = run::Command::Request { requested, message, prompt, egress_reason };
    let caused = Caused { texts: vec![sealed], ..Caused::by(Actor::User(owner)) };
    log.commands.start_run(session, run, command, caused).await.unwrap();
    for statement in [
        format!("insert into runtime.run_link (run, session, generation, epoch, acked, done, items, subject, seen_at, doing)
                 values ('{run}', '{session}', 1, 1, 0, 0, 1, '{SECRET}', now(), '{SECRET}')"),
        format!("insert into runtime.run_output (run, seq, zstd, item) values ('{run}', 1, false, '{SECRET}')"),
        format!("insert into runtime.run_changes (run, base, head, diff, truncated) values ('{run}', 'a', 'b', '{SECRET}', false)"),
        format!("insert into runtime.artifact (digest, session, run, generation, size, uploaded_at)
                 values ('{}', '{session}', '{run}', 1, 1, now())", "ab".repeat(32)),
    ] {
        sqlx::query(AssertSqlSafe(statement)).execute(log.commands.pool()).await.unwrap();
    }
    (session, run, text)
}

/// In which tables of the database the words are, as text or as bytes.
async fn found(database: &Database) -> Vec<String> {
    let mut admin = PgConnection::connect(&database.admin_url()).await.unwrap();
    let tables = "select format('%I.%I', schemaname, tablename) from pg_tables
        where schemaname in ('paddock', 'view', 'runtime')";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut admin).await.unwrap();
    assert!(tables.len() > 20, "{tables:?}");
    let mut found = vec![];
    for table in tables {
        let here = format!(
            "select exists (select from {table} t where strpos(t::text, '{SECRET}') > 0
               or strpos(t::text, '{}') > 0)",
            hex::encode(SECRET)
        );
        if sqlx::query_scalar(AssertSqlSafe(here)).fetch_one(&mut admin).await.unwrap() {
            found.push(table);
        }
    }
    found.sort();
    found
}

/// Whether the words are in any message of the stream, or in any file of its server.
async fn streamed(server: &Server, relay: &Relay, log: &Log, words: &str) -> bool {
    for _ in 0..500 {
        if relay.lag(log.commands.pool()).await.is_ok_and(|lag| lag == 0) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let stream = jetstream::new(server.client().await).get_stream(STREAM).await.unwrap();
    let last = stream.get_info().await.unwrap().state.last_sequence;
    assert!(last > 0);
    for sequence in 1..=last {
        let message = stream.get_raw_message(sequence).await.unwrap();
        if message.payload.windows(words.len()).any(|part| part == words.as_bytes()) {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn what_is_erased_is_nowhere_and_every_old_proof_still_holds() {
    let mut log = Log::new().await;
    log.sign(keys(1));
    let server = Server::start(&std::env::var("NATS_SERVER").unwrap_or("nats-server".to_owned()));
    let relay = Relay::new(server.client().await, "https://paddock.test");
    let (pool, progress, stop) =
        (log.commands.pool().clone(), log.progress.clone(), log.stop.clone());
    log.tasks.spawn(commands::relay::run(pool, relay.clone(), progress, stop));
    log.fill(1).await;
    let (session, run, text) = said(&log).await;
    let before = log.signed(1).await;
    let size = before.checkpoint().size;
    let audit = log.commands.audit();
    let mut proofs = vec![];
    for position in 1..=size {
        let leaf = audit.leaf(position).await.unwrap().unwrap();
        proofs.push((
            position,
            leaf,
            audit.proof(Proof::Inclusion { position, size }).await.unwrap(),
        ));
    }
    let kept = log.export().await;
    let tables = found(&log.database).await;
    assert!(tables.contains(&"paddock.event_text".to_owned()) && tables.len() >= 4, "{tables:?}");

    let caused = Caused::by(Actor::User(user()));
    let active = audit.erase(&[text], &caused).await.unwrap_err();
    assert!(matches!(active, EraseError::RunActive { .. }), "{active}");
    assert_eq!(found(&log.database).await, tables, "a refusal changes nothing");
    log.commands.run(run, run::Command::Cancel, caused.clone()).await.unwrap();
    let erased = audit.erase(&[text], &caused).await.unwrap();
    assert_eq!(erased.runs, [run]);
    assert_eq!(erased.bundles.len(), 1);
    assert_eq!(erased.bundles[0].session, session);
    assert_eq!(
        audit.erased_bundles().await.unwrap(),
        erased.bundles,
        "until they are out of the store"
    );
    assert_eq!(found(&log.database).await, Vec::<String>::new());
    let again = audit.erase(&[text], &caused).await.unwrap_err();
    assert!(matches!(again, EraseError::NoSuchText(_)), "{again}");

    let after = log.signed(1).await;
    for (position, leaf, made) in proofs {
        assert_eq!(audit.leaf(position).await.unwrap(), Some(leaf));
        assert_eq!(proof::includes(before.checkpoint(), position, leaf, &made), Ok(()));
    }
    let made = consistency(&log.commands, &before, &after).await;
    assert_eq!(hold(&before, &after, &trusted(1), &made), Ok(()));
    assert_eq!(whole(log.commands.pool()).await.erased, 1);
    assert!(!streamed(&server, &relay, &log, SECRET).await, "the stream never had it");
    assert!(streamed(&server, &relay, &log, &text.to_string()).await, "but what refers to it");
    let file = log.export().await;
    let read_again = || Box::new(Cursor::new(kept.clone()));
    let against = Against {
        key: Some(key(1).verifying().clone()),
        older: Some(Older::Export(read_again(), read_again())),
    };
    let verdict = read(&file, against).unwrap();
    assert_eq!((verdict.erased, verdict.extends), (1, Some(size)));
    assert!(!file.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()));
    log.end().await;
}

#[tokio::test]
async fn a_session_that_began_from_a_bundle_with_the_words_is_reached_too() {
    let log = Log::new().await;
    let (session, run, text) = said(&log).await;
    let context = log.commands.context();
    let owner = user();
    let bundle = session::BundleInfo {
        digest: domain::ids::BundleDigest("ab".repeat(32)),
        parent: None,
        size: 1,
        git_head: "c".repeat(40),
    };
    let caused = Caused::by(Actor::User(owner));
    let stored = session::Command::StoreBundle {
        run,
        generation: crate::support::GENERATION,
        bundle: bundle.clone(),
    };
    log.commands.session(session, stored, caused.clone()).await.unwrap();
    log.commands.run(run, run::Command::Cancel, caused.clone()).await.unwrap();
    let fork = SessionId(context.id());
    let (session::Command::Create(created), fork_caused) = create(context, owner) else { panic!() };
    let command = session::Command::Fork { created, from: session, bundle };
    log.commands.session(fork, command, fork_caused).await.unwrap();
    let erased = log.commands.audit().erase(&[text], &caused).await.unwrap();
    let sessions: Vec<SessionId> = erased.bundles.iter().map(|bundle| bundle.session).collect();
    assert!(sessions.contains(&session) && sessions.contains(&fork), "{erased:?}");
    log.end().await;
}

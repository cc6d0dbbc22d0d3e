//! What objects tell: the log's state, on views of the platform's own and on requests alike.

use std::{
    collections::{BTreeSet, HashMap},
    convert::identity,
};

use chrono::{TimeDelta, Utc};
use commands::{Caused, CommandError};
use domain::{
    event::Actor,
    ids::{RunId, SessionId},
    run,
};
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use kube::{
    Resource, ResourceExt as _,
    api::{DeleteParams, Preconditions},
    runtime::reflector::ObjectRef,
};
use projections::model::{RunRow, RunState, SessionRow, Workload};
use uuid::Uuid;

use super::{Known, Objects, request::Told as _, status, view};
use crate::{crds::HarnessRun, names};

/// How long a view stays after what it tells of has ended.
const STAYS: TimeDelta = TimeDelta::hours(1);
/// How many changed sessions are looked at in one go.
const MANY: u32 = 200;
/// How many writes are under way at once: pods come first.
const AT_ONCE: usize = 4;

impl Objects {
    /// Tells of everything that is going on, and of everything that objects are there for.
    pub(super) async fn tell_all(&self, known: &mut Known) -> anyhow::Result<()> {
        let active = self.views.active_runs().await?;
        let mut sessions: BTreeSet<SessionId> =
            active.iter().map(|row| row.requested.session).collect();
        let viewed = known
            .sessions
            .state()
            .into_iter()
            .filter_map(|object| view::viewed(&object.name_any()));
        sessions.extend(viewed.map(SessionId));
        let sessions: Vec<SessionId> = sessions.into_iter().collect();
        let rows = self.views.sessions_by_id(&sessions).await?;
        self.tell(rows, known).await
    }

    /// Tells of what changed since the last time.
    pub(super) async fn tell_news(&self, known: &mut Known) -> anyhow::Result<()> {
        loop {
            let changed = self.views.sessions_changed(known.told, MANY).await?;
            let Some(newest) = changed.last().map(|row| row.changed) else { return Ok(()) };
            let more = changed.len() == MANY as usize;
            self.tell(changed, known).await?;
            known.told = newest;
            if !more {
                return Ok(());
            }
        }
    }

    /// Tells again where somebody changed an object: an edit is put back.
    pub(super) async fn tell_touched(&self, known: &mut Known) -> anyhow::Result<()> {
        let mut sessions = BTreeSet::new();
        let mut there = HashMap::new();
        for object in known.sessions.state() {
            let Some(target) = target(&*object, known) else { continue };
            if touched(&*object, known, &mut there) {
                sessions.insert(SessionId(target));
            }
        }
        let mut runs = vec![];
        for object in known.runs.state() {
            let Some(target) = target(&*object, known) else { continue };
            if touched(&*object, known, &mut there) {
                runs.push(RunId(target));
            }
        }
        known.became.retain(|uid, _| there.contains_key(uid));
        known.seen = there;
        if runs.is_empty() && sessions.is_empty() {
            return Ok(());
        }
        let rows = self.views.runs_by_id(&runs).await?;
        sessions.extend(rows.iter().map(|row| row.requested.session));
        let sessions: Vec<SessionId> = sessions.into_iter().collect();
        let sessions = self.views.sessions_by_id(&sessions).await?;
        self.tell_rows(&sessions, rows, known).await
    }

    /// Tells of runs whose state passed by once, and now stands.
    pub(super) async fn tell_settled(&self, known: &mut Known) -> anyhow::Result<()> {
        let (now, mut settled) = (Utc::now(), vec![]);
        for run in std::mem::take(&mut known.unsettled) {
            match self.views.live_run(run).await {
                Some(row) if status::is_passing(&row, now) => {
                    known.unsettled.insert(run);
                }
                Some(row) => settled.push(RunRow::clone(&row)),
                // Of its end it is told as of all that is new.
                None => {}
            }
        }
        if settled.is_empty() {
            return Ok(());
        }
        let runs: Vec<RunId> = settled.iter().map(|row| row.id).collect();
        let told = self.tell_rows(&[], settled, known).await;
        if told.is_err() {
            // Nothing else would bring them up again.
            known.unsettled.extend(runs);
        }
        told
    }

    /// Tells of one session or run, whichever has that id.
    pub(super) async fn tell_of(&self, target: Uuid, known: &mut Known) -> anyhow::Result<()> {
        let run = self.views.run(RunId(target)).await?;
        let session = run.map_or(SessionId(target), |run| run.requested.session);
        let rows = self.views.sessions_by_id(&[session]).await?;
        self.tell(rows, known).await
    }

    async fn tell(&self, sessions: Vec<SessionRow>, known: &mut Known) -> anyhow::Result<()> {
        let mut runs: BTreeSet<RunId> = sessions
            .iter()
            .flat_map(|row| row.active_run.into_iter().chain(row.last_run))
            .collect();
        // One that ended while another began is told of too.
        let these: BTreeSet<String> = sessions.iter().map(|row| row.id.to_string()).collect();
        runs.extend(known.runs.state().iter().filter_map(|object| {
            let of_these = object.labels().get(names::SESSION).is_none_or(|id| these.contains(id));
            let open = of_these && !status::is_final(object.status.as_ref());
            target(&**object, known).filter(|_| open).map(RunId)
        }));
        let rows = self.views.runs_by_id(&runs.into_iter().collect::<Vec<_>>()).await?;
        self.tell_rows(&sessions, rows, known).await
    }

    async fn tell_rows(
        &self,
        sessions: &[SessionRow],
        runs: Vec<RunRow>,
        known: &mut Known,
    ) -> anyhow::Result<()> {
        let of_runs = runs.iter().flat_map(|row| [row.id.0, row.requested.session.0]);
        let ids: Vec<Uuid> = sessions.iter().map(|row| row.id.0).chain(of_runs).collect();
        let named: HashMap<Uuid, String> =
            self.commands.objects_of(&ids).await?.into_iter().collect();
        let states: HashMap<RunId, RunState> = runs.iter().map(|row| (row.id, row.state)).collect();
        let now = Utc::now();
        for row in &runs {
            known.unsettled.remove(&row.id);
            if status::is_passing(row, now) {
                known.unsettled.insert(row.id);
            }
        }
        let known = &*known;
        let of_sessions = sessions.iter().map(|row| {
            let newest = row.active_run.or(row.last_run).and_then(|run| states.get(&run).copied());
            self.tell_session(row, newest, named.get(&row.id.0), known).boxed()
        });
        let of_runs = runs.iter().map(|row| self.tell_run(row, &named, known).boxed());
        // The first error ends it: the next round tells what is left.
        stream::iter(of_sessions.chain(of_runs))
            .map(Ok)
            .try_for_each_concurrent(AT_ONCE, identity)
            .await
    }

    async fn tell_session(
        &self,
        row: &SessionRow,
        state: Option<RunState>,
        requested: Option<&String>,
        known: &Known,
    ) -> anyhow::Result<()> {
        let name = requested.cloned().unwrap_or_else(|| view::session_name(row.id));
        let there = known.sessions.get(&self.reference(&name));
        let object = match (there, requested) {
            (Some(object), None) if is_altered(&*object, names::SESSION, row.id.0, known) => {
                let object = view::session(row, &self.config.namespace, &known.own);
                self.apply(&self.sessions, &name, &object).await?.into()
            }
            (Some(object), _) => object,
            // A request that is gone was deleted by whoever made it.
            (None, Some(_)) => return Ok(()),
            (None, None) if row.active_run.is_none() => return Ok(()),
            (None, None) => {
                let object = view::session(row, &self.config.namespace, &known.own);
                self.apply(&self.sessions, &name, &object).await?.into()
            }
        };
        if requested.is_none() && view::requested_by(&*object) != known.own {
            return Ok(());
        }
        let told = status::of_session(row, state, &object.told(), object.metadata.generation);
        let told = status::plain(&told);
        if object.status.as_ref().map(status::plain).as_ref() == Some(&told) {
            return Ok(());
        }
        self.patch_status(&self.sessions, &*object, told).await
    }

    async fn tell_run(
        &self,
        row: &RunRow,
        named: &HashMap<Uuid, String>,
        known: &Known,
    ) -> anyhow::Result<()> {
        let requested = named.get(&row.id.0);
        let name = requested.cloned().unwrap_or_else(|| view::run_name(row.id));
        let there = known.runs.get(&self.reference(&name));
        let make = async || {
            let session = named.get(&row.requested.session.0).cloned();
            let session = session.unwrap_or_else(|| view::session_name(row.requested.session));
            let object = view::run(row, session, &self.config.namespace, &known.own);
            self.apply(&self.runs, &name, &object).await
        };
        let object = match (there, requested) {
            (Some(object), None) if is_altered(&*object, names::RUN, row.id.0, known) => {
                make().await?.into()
            }
            (Some(object), _) => object,
            (None, Some(_)) => return Ok(()),
            (None, None) if row.finished_at.is_some() => return Ok(()),
            // It is made just before its pod, which it is to own.
            (None, None) if row.workload == Workload::Create => return Ok(()),
            (None, None) => make().await?.into(),
        };
        if requested.is_none() && view::requested_by(&*object) != known.own {
            return Ok(());
        }
        // One of which nothing is told yet is told of at once.
        let is_told = object.status.as_ref().is_some_and(|status| status.id.is_some());
        if is_told && known.unsettled.contains(&row.id) {
            return Ok(());
        }
        let told = status::of_run(row, &object.told(), object.metadata.generation);
        let told = status::plain(&told);
        if object.status.as_ref().map(status::plain).as_ref() == Some(&told) {
            return Ok(());
        }
        self.patch_status(&self.runs, &*object, told).await
    }

    pub(super) fn reference<K: Resource<DynamicType = ()>>(&self, name: &str) -> ObjectRef<K> {
        ObjectRef::new(name).within(&self.config.namespace)
    }

    /// The deletion of a run's object asks for its end; the object stays until then.
    pub(super) async fn cancel_deleted(&self, known: &Known) -> anyhow::Result<()> {
        for object in known.runs.state() {
            let held = object.finalizers().iter().any(|held| held == view::FINALIZER);
            if object.metadata.deletion_timestamp.is_none() || !held {
                continue;
            }
            let run = target(&*object, known).map(RunId);
            let row = match run {
                Some(run) => self.views.run(run).await?,
                None => None,
            };
            match row {
                Some(row) if row.finished_at.is_none() => {
                    if row.cancelling {
                        continue;
                    }
                    // Who deleted it is not known: the API server does not tell.
                    let caused = Caused::by(Actor::Kubernetes(None));
                    match self.commands.run(row.id, run::Command::Cancel, caused).await {
                        Ok(_) | Err(CommandError::Run(_)) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                Some(row) => {
                    self.tell_run(&row, &self.names(&row).await?, known).await?;
                    self.release(&object).await?;
                }
                None => self.release(&object).await?,
            }
        }
        Ok(())
    }

    async fn names(&self, row: &RunRow) -> anyhow::Result<HashMap<Uuid, String>> {
        let ids = [row.id.0, row.requested.session.0];
        Ok(self.commands.objects_of(&ids).await?.into_iter().collect())
    }

    /// Lets a deleted object go.
    async fn release(&self, object: &HarnessRun) -> anyhow::Result<()> {
        let without: Vec<&String> =
            object.finalizers().iter().filter(|held| *held != view::FINALIZER).collect();
        let patch = serde_json::json!({ "metadata": {
            "resourceVersion": object.resource_version(), "finalizers": without } });
        let merge = kube::api::Patch::Merge(&patch);
        match self.runs.patch(&object.name_any(), &kube::api::PatchParams::default(), &merge).await
        {
            Ok(_) => Ok(()),
            // It changed meanwhile, or is gone: the next round sees.
            Err(kube::Error::Api(answer)) if matches!(answer.code, 404 | 409) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes views whose time is over: the log keeps what they told of. Somebody else's object is never deleted.
    pub(super) async fn sweep(&self, known: &Known) -> anyhow::Result<()> {
        let now = Utc::now().timestamp();
        let over = |second: i64| second + STAYS.num_seconds() < now;
        for object in known.runs.state() {
            let ended = object.status.as_ref().and_then(|status| status.finished_at.as_ref());
            if is_view(&*object, known) && ended.is_some_and(|ended| over(ended.0.as_second())) {
                let only = only(&*object);
                tolerant(self.runs.delete(&object.name_any(), &only).await.map(drop))?;
            }
        }
        for object in known.sessions.state() {
            let conditions = object.told();
            let created = conditions.first().map(|one| one.last_transition_time.0.as_second());
            if !is_view(&*object, known) || !created.is_some_and(over) {
                continue;
            }
            let Some(id) = view::viewed(&object.name_any()) else { continue };
            let row = self.views.session(SessionId(id)).await?;
            let idle =
                row.is_none_or(|row| row.active_run.is_none() && over(row.updated_at.timestamp()));
            if idle {
                tolerant(
                    self.sessions.delete(&object.name_any(), &only(&*object)).await.map(drop),
                )?;
            }
        }
        Ok(())
    }
}

/// The run or session that an object is about: by its name if it is a view, else by what came of it.
fn target<K: Resource<DynamicType = ()>>(object: &K, known: &Known) -> Option<Uuid> {
    if is_view(object, known) {
        return view::viewed(&object.name_any());
    }
    known.became.get(&object.uid()?).copied()
}

fn is_view<K: Resource<DynamicType = ()>>(object: &K, known: &Known) -> bool {
    view::viewed(&object.name_any()).is_some() && view::requested_by(object) == known.own
}

/// Whether somebody changed what says whose view it is. Its spec cannot be changed.
fn is_altered<K: Resource<DynamicType = ()>>(
    object: &K,
    label: &str,
    id: Uuid,
    known: &Known,
) -> bool {
    let labels = object.labels();
    let ours = labels.get(label) == Some(&id.to_string())
        && labels.get(names::MANAGED_BY.0).map(String::as_str) == Some(names::MANAGED_BY.1);
    is_view(object, known) && object.meta().deletion_timestamp.is_none() && !ours
}

/// Whether an object is another than it was; `there` learns how it is.
fn touched<K: Resource<DynamicType = ()>>(
    object: &K,
    known: &Known,
    there: &mut HashMap<String, String>,
) -> bool {
    let (uid, version) =
        (object.uid().unwrap_or_default(), object.resource_version().unwrap_or_default());
    let same = known.seen.get(&uid) == Some(&version);
    there.insert(uid, version);
    !same
}

fn only<K: Resource<DynamicType = ()>>(object: &K) -> DeleteParams {
    DeleteParams::default()
        .preconditions(Preconditions { uid: object.uid(), ..Preconditions::default() })
}

fn tolerant(answer: kube::Result<()>) -> kube::Result<()> {
    match answer {
        Err(kube::Error::Api(answer)) if matches!(answer.code, 404 | 409) => Ok(()),
        other => other,
    }
}

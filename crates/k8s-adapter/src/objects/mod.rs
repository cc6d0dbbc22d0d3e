//! Objects both ways: those that people and GitOps tools apply are requests, those that the platform makes are views
//! of its log (design §10).

mod guard;
mod request;
mod status;
mod tell;
mod view;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use commands::Commands;
use domain::ids::{Position, RunId};
use futures::{StreamExt as _, future::BoxFuture};
use k8s_openapi::{api::core::v1::Namespace, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube::{
    Api, Client, Error, Resource, ResourceExt as _,
    api::{Patch, PatchParams},
    runtime::{WatchStreamExt as _, reflector, reflector::Store, watcher},
};
use projections::Views;
use serde::de::DeserializeOwned;
use tokio::{
    sync::OnceCell,
    task::JoinSet,
    time::{Instant, sleep},
};
use uuid::Uuid;

use self::guard::Guard;
use crate::{
    config::Config,
    crds::{HarnessRun, HarnessRunSpec, Session, SessionSpec},
    names,
};

/// How often objects are brought up to date: a status is written at most once in this time.
const TICK: Duration = Duration::from_secs(1);
/// While many pods are to be made, objects are told of what changed only so often: pods come first.
const LATEST: Duration = Duration::from_secs(10);
/// How often it looks for views whose time is over.
const SWEEP: Duration = Duration::from_mins(1);
/// How often the cluster is asked again where it has no such objects.
const ABSENT: Duration = Duration::from_secs(10);

/// What takes the requests that objects make.
pub trait Requests: Send + Sync {
    /// Starts a session, or gives the one that this request started.
    fn session<'a>(
        &'a self,
        asked: Asked,
        spec: &'a SessionSpec,
    ) -> BoxFuture<'a, Result<Uuid, Refused>>;

    /// Starts a run of a session, or gives the one that this request started.
    fn run<'a>(
        &'a self,
        asked: Asked,
        session: Uuid,
        spec: &'a HarnessRunSpec,
    ) -> BoxFuture<'a, Result<Uuid, Refused>>;

    /// Whether somebody whom the API server authenticated by this name may ask for anything.
    fn may_ask(&self, name: &str) -> bool;
}

/// Who asks by an object.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Whom the API server authenticated.
    pub actor: domain::event::Actor,
    /// The object's name in the cluster, in full: the request's idempotency key.
    pub key: String,
    /// SHA-256 of its spec.
    pub fingerprint: [u8; 32],
}

/// Why a request is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It never will be.
    No {
        /// The stable code of the refusal.
        code: String,
        /// Why.
        words: String,
    },
    /// It is tried again.
    Later(String),
}

/// Sessions and runs as objects of one namespace. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Objects {
    config: Config,
    client: Client,
    commands: Commands,
    views: Views,
    requests: Arc<dyn Requests>,
    sessions: Api<Session>,
    runs: Api<HarnessRun>,
    guard: Guard,
    /// Who this process is to the API server.
    own: Arc<OnceCell<String>>,
    /// Whether many pods are still to be made.
    pods_wait: Arc<AtomicBool>,
    /// The runs' objects as they are, once they are kept.
    there: Arc<OnceLock<Store<HarnessRun>>>,
}

/// What it knows while it leads.
struct Known {
    sessions: Store<Session>,
    runs: Store<HarnessRun>,
    /// Who this process is to the API server.
    own: String,
    /// The namespace's uid: with it the name of an object is one in all clusters.
    place: String,
    /// What came of the requests, by the uids of their objects.
    became: HashMap<String, Uuid>,
    /// Up to where the log's changes were told.
    told: Position,
    /// The objects as they were when they were last told, by uid: their resource versions.
    seen: HashMap<String, String>,
    /// The runs of whose state nothing was told, as it passes by.
    unsettled: BTreeSet<RunId>,
    /// When objects were last told of what changed.
    told_at: Option<Instant>,
    /// When it was last looked for views whose time is over.
    swept: Option<Instant>,
}

impl Objects {
    pub(crate) fn new(
        client: Client,
        config: Config,
        commands: Commands,
        views: Views,
        requests: Arc<dyn Requests>,
    ) -> Self {
        Self {
            sessions: Api::namespaced(client.clone(), &config.namespace),
            runs: Api::namespaced(client.clone(), &config.namespace),
            guard: Guard::new(&client),
            own: Arc::default(),
            pods_wait: Arc::default(),
            there: Arc::default(),
            config,
            client,
            commands,
            views,
            requests,
        }
    }

    /// Keeps objects and log in step, for as long as it is polled.
    pub(crate) async fn keep(self) {
        // Without the definitions runs go on; they are only not to be seen by `kubectl get`.
        while let Some(problem) = self.absent().await {
            tracing::warn!(
                problem,
                "sessions and runs are not shown as objects: paddock crds | kubectl apply -f -"
            );
            sleep(ABSENT).await;
        }
        let mut watches = JoinSet::new();
        let sessions = follow(self.sessions.clone(), &mut watches);
        let runs = follow(self.runs.clone(), &mut watches);
        let _ = tokio::join!(sessions.wait_until_ready(), runs.wait_until_ready());
        let _ = self.there.set(runs.clone());
        let mut known = loop {
            match self.begin(&sessions, &runs).await {
                Ok(known) => break known,
                Err(error) => tracing::warn!(error = &*error, "objects cannot be kept yet"),
            }
            sleep(TICK).await;
        };
        loop {
            if let Err(error) = self.round(&mut known).await {
                tracing::warn!(error = &*error, "objects could not be brought up to date");
            }
            sleep(TICK).await;
        }
    }

    async fn absent(&self) -> Option<String> {
        let one = kube::api::ListParams::default().limit(1);
        let sessions = self.sessions.list_metadata(&one).await.err();
        let runs = self.runs.list_metadata(&one).await.err();
        sessions.or(runs).map(|error| error.to_string())
    }

    async fn begin(
        &self,
        sessions: &Store<Session>,
        runs: &Store<HarnessRun>,
    ) -> anyhow::Result<Known> {
        let own = self.own().await?.to_owned();
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let place = namespaces.get(&self.config.namespace).await?.uid().unwrap_or_default();
        let told = self.views.projected().await?;
        let mut known = Known {
            sessions: sessions.clone(),
            runs: runs.clone(),
            own,
            place,
            became: HashMap::new(),
            seen: HashMap::new(),
            unsettled: BTreeSet::new(),
            told_at: None,
            swept: None,
            told,
        };
        // What changed while nobody told of it.
        self.tell_all(&mut known).await?;
        Ok(known)
    }

    async fn round(&self, known: &mut Known) -> anyhow::Result<()> {
        self.take_requests(known).await?;
        let put_off = self.pods_wait.load(Ordering::Relaxed)
            && known.told_at.is_some_and(|at| at.elapsed() < LATEST);
        if !put_off {
            self.tell_news(known).await?;
            self.tell_touched(known).await?;
            self.tell_settled(known).await?;
            known.told_at = Some(Instant::now());
        }
        self.cancel_deleted(known).await?;
        if known.swept.is_none_or(|swept| swept.elapsed() >= SWEEP) {
            self.sweep(known).await?;
            known.swept = Some(Instant::now());
        }
        Ok(())
    }

    /// The object that is to own a run's pod, made where there is none yet. None where the cluster knows no such
    /// objects, or somebody has its name.
    pub(crate) async fn owner(&self, run: RunId) -> anyhow::Result<Option<OwnerReference>> {
        // The round that asked for its pod has just looked at it.
        let Some(row) = self.views.live_run(run).await else { return Ok(None) };
        let session = row.requested.session;
        let named = self.commands.objects_of(&[run.0, session.0]).await?;
        let name_of =
            |id: Uuid| named.iter().find(|(target, _)| *target == id).map(|(_, name)| name.clone());
        if let Some(name) = name_of(run.0) {
            let object = self.runs.get_opt(&name).await?;
            return Ok(object.as_ref().and_then(view::owner));
        }
        let own = self.own().await?;
        // One that was shown while it waited is there. A copy that is behind does no harm: of an owner that is gone
        // the cluster takes the pod away, and the run goes on in another.
        let there =
            self.there.get().and_then(|runs| runs.get(&self.reference(&view::run_name(run))));
        if let Some(object) = there.filter(|object| view::requested_by(&**object) == own) {
            return Ok(view::owner(&object));
        }
        let session = name_of(session.0).unwrap_or_else(|| view::session_name(session));
        let object = view::run(&row, session, &self.config.namespace, own);
        match self.apply(&self.runs, &object.name_any(), &object).await {
            Ok(made) if view::requested_by(&made) == own => Ok(view::owner(&made)),
            Ok(_) => Ok(None),
            Err(Error::Api(answer)) if matches!(answer.code, 403 | 404 | 409 | 422) => {
                tracing::warn!(%run, answer.message, "no HarnessRun tells of this run");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Says whether many pods are still to be made.
    pub(crate) fn pods_wait(&self, many: bool) {
        self.pods_wait.store(many, Ordering::Relaxed);
    }

    async fn own(&self) -> kube::Result<&str> {
        let own = self.own.get_or_try_init(|| guard::own_name(&self.client)).await?;
        Ok(own)
    }

    async fn apply<K>(&self, api: &Api<K>, name: &str, object: &K) -> kube::Result<K>
    where
        K: Resource<DynamicType = ()>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned
            + serde::Serialize,
    {
        let apply = PatchParams::apply(names::FIELD_MANAGER).force();
        api.patch(name, &apply, &Patch::Apply(object)).await
    }
}

/// Keeps a copy of all objects of a kind.
fn follow<K>(api: Api<K>, watches: &mut JoinSet<()>) -> Store<K>
where
    K: Resource<DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    let (store, writer) = reflector::store();
    let stream = watcher(api, watcher::Config::default())
        .default_backoff()
        .modify(|object| object.managed_fields_mut().clear())
        .reflect(writer);
    watches.spawn(stream.for_each(|event| {
        if let Err(error) = event {
            tracing::warn!(error = &error as &dyn std::error::Error, "a watch broke");
        }
        std::future::ready(())
    }));
    store
}

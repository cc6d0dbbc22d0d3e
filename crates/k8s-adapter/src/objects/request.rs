//! Objects that somebody applied: each is taken once, as a command of theirs.

use commands::Claim;
use domain::event::Actor;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Api, Resource, ResourceExt as _,
    api::{Patch, PatchParams},
    runtime::reflector::ObjectRef,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{
    Asked, Known, Objects, Refused,
    status::{self, Is},
    view,
};
use crate::{
    crds::{HarnessRun, Session},
    names,
};

/// The reasons that only another spec can change.
const FOR_GOOD: [&str; 3] = ["NameTaken", "NameReserved", "Refused"];

/// What an object is told.
struct No {
    reason: &'static str,
    words: String,
}

impl No {
    fn new(reason: &'static str, words: impl Into<String>) -> Self {
        Self { reason, words: words.into() }
    }
}

impl Objects {
    /// Takes what nobody has taken yet.
    pub(super) async fn take_requests(&self, known: &mut Known) -> anyhow::Result<()> {
        for object in known.sessions.state() {
            if !is_open(&*object, known) {
                continue;
            }
            let taken = match self.take(&*object, &object.spec, known).await? {
                Ok(Taken::Before(target)) => Ok(target),
                Ok(Taken::Now(asked)) => done(self.requests.session(asked, &object.spec).await),
                Err(no) => Err(no),
            };
            self.settle(&self.sessions, &*object, taken, known).await?;
        }
        for object in known.runs.state() {
            if !is_open(&*object, known) {
                continue;
            }
            let leaving = object.metadata.deletion_timestamp.is_some();
            let taken = match self.take(&*object, &object.spec, known).await? {
                Ok(Taken::Before(target)) => Ok(target),
                // It was deleted before anything came of it.
                Ok(Taken::Now(_)) | Err(_) if leaving => continue,
                Ok(Taken::Now(asked)) => match session_of(&object, known) {
                    Ok(session) if self.hold(&object).await? => {
                        done(self.requests.run(asked, session, &object.spec).await)
                    }
                    Ok(_) => continue,
                    Err(no) => Err(no),
                },
                Err(no) => Err(no),
            };
            self.settle(&self.runs, &*object, taken, known).await?;
        }
        Ok(())
    }

    /// Who asks, once that is proven; or what came of it before.
    async fn take<K: Resource<DynamicType = ()>>(
        &self,
        object: &K,
        spec: &impl Serialize,
        known: &Known,
    ) -> anyhow::Result<Result<Taken, No>> {
        let (name, uid) = (object.name_any(), object.uid().unwrap_or_default());
        if let Some(target) = self.commands.became(&uid).await? {
            return Ok(Ok(Taken::Before(target)));
        }
        if view::viewed(&name).is_some() {
            return Ok(Err(No::new(
                "NameReserved",
                "names like this one are for Paddock's own objects: choose another",
            )));
        }
        let Some(created) = object.meta().creation_timestamp.as_ref() else {
            return Ok(Err(No::new("IdentityUnproven", "the object has no time of creation")));
        };
        if let Some(words) = self.guard.unproven(created.0).await? {
            return Ok(Err(No::new("IdentityUnproven", words)));
        }
        let by = view::requested_by(object);
        if by.is_empty() {
            return Ok(Err(No::new("IdentityUnproven", "nothing says who asked")));
        }
        let actor = self.commands.kubernetes_actor(by).await?;
        if !self.requests.may_ask(by) {
            let words = format!(
                "{by} may not ask for sessions or runs here: an admin gives a role to kubernetes:{by} \
                 (`paddock access grant`)"
            );
            self.refused(object, actor, "not-allowed").await?;
            return Ok(Err(No::new("Forbidden", words)));
        }
        let kind = K::kind(&());
        let key = format!("kubernetes/{}/{kind}/{name}", known.place);
        let fingerprint: [u8; 32] = Sha256::digest(serde_json::to_vec(spec)?).into();
        match self.commands.claim_object(&key, &name, actor).await? {
            Claim::Others => {
                self.refused(object, actor, "name-taken").await?;
                Ok(Err(No::new("NameTaken", "another one used this name before: choose another")))
            }
            Claim::Own(target) => {
                let asked = Asked { actor, key, fingerprint };
                let idempotency = commands::Idempotency { key: asked.key.clone(), fingerprint };
                match self.commands.answered(actor, &idempotency).await {
                    Ok(Some(accepted)) => Ok(Ok(Taken::Before(accepted.target))),
                    Ok(None) if target.is_none() => Ok(Ok(Taken::Now(asked))),
                    Ok(None) | Err(commands::CommandError::KeyReused) => {
                        self.refused(object, actor, "name-taken").await?;
                        let words = "this name was used with another spec before: choose another";
                        Ok(Err(No::new("NameTaken", words)))
                    }
                    Err(error) => Err(error.into()),
                }
            }
        }
    }

    /// Puts a refusal on the record, once for each spec.
    async fn refused<K: Resource<DynamicType = ()>>(
        &self,
        object: &K,
        actor: Actor,
        code: &str,
    ) -> anyhow::Result<()> {
        let command = if K::kind(&()) == "Session" { "session.create" } else { "run.start" };
        let request = object.uid().unwrap_or_default();
        Ok(self.commands.refused(actor, command, None, code, &request).await?)
    }

    /// Makes that its deletion asks for its run's end and waits for it. Whether the object is still the same.
    async fn hold(&self, object: &HarnessRun) -> anyhow::Result<bool> {
        if object.finalizers().iter().any(|held| held == view::FINALIZER) {
            return Ok(true);
        }
        let patch = json!({
            "apiVersion": HarnessRun::api_version(&()), "kind": HarnessRun::kind(&()),
            // With its uid: one that is gone is not made anew.
            "metadata": { "name": object.name_any(), "uid": object.uid(),
                "finalizers": [view::FINALIZER] },
        });
        let apply = PatchParams::apply("paddock-finalizer").force();
        match self.runs.patch(&object.name_any(), &apply, &Patch::Apply(&patch)).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(answer)) if matches!(answer.code, 404 | 409 | 422) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Keeps what came of a request, or tells why nothing did.
    async fn settle<K>(
        &self,
        api: &Api<K>,
        object: &K,
        taken: Result<Uuid, No>,
        known: &mut Known,
    ) -> anyhow::Result<()>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Told,
    {
        match taken {
            Ok(target) => {
                let key =
                    format!("kubernetes/{}/{}/{}", known.place, K::kind(&()), object.name_any());
                let uid = object.uid().unwrap_or_default();
                self.commands.object_became(&key, &uid, target).await?;
                known.became.insert(uid, target);
                self.tell_of(target, known).await
            }
            Err(No { reason, words }) => {
                let before = object.told();
                let generation = object.meta().generation;
                let now =
                    status::condition(&before, "Accepted", Is::False, reason, words, generation);
                if before.contains(&now) {
                    return Ok(());
                }
                let told = json!({ "observedGeneration": generation, "conditions": [now] });
                self.patch_status(api, object, told).await
            }
        }
    }

    /// Writes a status; an object that is gone meanwhile needs none.
    pub(super) async fn patch_status<K>(
        &self,
        api: &Api<K>,
        object: &K,
        status: serde_json::Value,
    ) -> anyhow::Result<()>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned,
    {
        let patch =
            json!({ "apiVersion": K::api_version(&()), "kind": K::kind(&()), "status": status });
        let apply = PatchParams::apply(names::FIELD_MANAGER).force();
        match api.patch_status(&object.name_any(), &apply, &Patch::Apply(&patch)).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(answer)) if answer.code == 404 => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// The session that a run belongs to, once it is there.
fn session_of(object: &HarnessRun, known: &Known) -> Result<Uuid, No> {
    let name = &object.spec.session;
    if let Some(id) = name.strip_prefix("session-").and_then(|id| id.parse().ok()) {
        return Ok(id);
    }
    let namespace = object.namespace().unwrap_or_default();
    let Some(session) = known.sessions.get(&ObjectRef::new(name).within(&namespace)) else {
        return Err(No::new("NoSession", format!("there is no Session {name} in this namespace")));
    };
    let uid = session.uid().unwrap_or_default();
    known
        .became
        .get(&uid)
        .copied()
        .ok_or_else(|| No::new("SessionNotAccepted", format!("the Session {name} is not accepted")))
}

/// A request that is who it says it is.
enum Taken {
    /// It was done before: this came of it.
    Before(Uuid),
    /// It is to be done.
    Now(Asked),
}

/// What an object was told before.
pub(super) trait Told {
    fn told(&self) -> Vec<Condition>;
}

impl Told for Session {
    fn told(&self) -> Vec<Condition> {
        self.status.iter().flat_map(|status| status.conditions.clone()).collect()
    }
}

impl Told for HarnessRun {
    fn told(&self) -> Vec<Condition> {
        self.status.iter().flat_map(|status| status.conditions.clone()).collect()
    }
}

/// Whether somebody else's object still waits for an answer.
fn is_open<K: Resource<DynamicType = ()> + Told>(object: &K, known: &Known) -> bool {
    let own = view::viewed(&object.name_any()).is_some() && view::requested_by(object) == known.own;
    let taken = object.uid().is_some_and(|uid| known.became.contains_key(&uid));
    let answered = object.told().iter().any(|one| {
        one.type_ == "Accepted"
            && one.status == "False"
            && one.observed_generation == object.meta().generation
            && FOR_GOOD.contains(&one.reason.as_str())
    });
    // One that is being deleted asks for nothing any more, but what it began is still to be ended.
    let leaving = object.meta().deletion_timestamp.is_some() && object.finalizers().is_empty();
    !own && !taken && !answered && !leaving
}

fn done(answer: Result<Uuid, Refused>) -> Result<Uuid, No> {
    answer.map_err(|refused| match refused {
        Refused::No { code, words } if code == "idempotency-key-reused" => {
            No::new("NameTaken", words)
        }
        Refused::No { code, words } => No::new("Refused", format!("{words} ({code})")),
        Refused::Later(words) => No::new("Waiting", words),
    })
}

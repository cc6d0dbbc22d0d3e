use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use cedar_policy::{Authorizer, PolicyId, PolicySet};
use domain::{
    access::{Action, Resource, Role, Scope, Sight, Subject},
    ids::{BindingId, CredentialId, RunId, SessionId},
};
use sqlx::PgPool;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    Because, Binding, Configured, Decision, Holder, Principal, Who, bindings,
    origin::Origins,
    policy::{Rule, of_binding, question, standing},
};
use crate::StoreError;

/// How often it is looked at whether another process gave or took a role.
const POLL: Duration = Duration::from_millis(500);
/// The most principals whose policies are kept together.
const MOST: usize = 1_000;

/// Decides who may do what. Cheap to clone.
#[derive(Clone)]
pub struct Authority(Arc<Inner>);

struct Inner {
    pool: PgPool,
    configured: Configured,
    standing: Vec<Rule>,
    origins: Origins,
    now: RwLock<Arc<Edition>>,
    changes: watch::Sender<i64>,
}

/// Whose policies are kept together: a person's, in these groups.
type Asker = (Who, BTreeSet<String>);

/// The bindings of one moment.
struct Edition {
    number: i64,
    bindings: HashMap<BindingId, (Binding, Rule)>,
    of: HashMap<Subject, Vec<BindingId>>,
    /// The policies that are about one principal: what others may do is not asked.
    sets: Mutex<HashMap<Asker, Arc<PolicySet>>>,
}

impl Authority {
    /// Decides by the bindings in the log and by what is configured.
    pub async fn load(pool: PgPool, configured: Configured) -> Result<Self, StoreError> {
        let standing = standing(&configured);
        let edition = Edition::load(&pool).await?;
        let changes = watch::Sender::new(edition.number);
        let now = RwLock::new(Arc::new(edition));
        let origins = Origins::default();
        Ok(Self(Arc::new(Inner { pool, configured, standing, origins, now, changes })))
    }

    /// Whether somebody may do something.
    #[must_use]
    pub fn decide(&self, who: &Principal, action: Action, resource: &Resource) -> Decision {
        let because = self.ask(who, action, resource);
        if !because.is_empty() {
            return Decision::Allowed(because);
        }
        let scope = resource.scope();
        let role = action.needs().unwrap_or_else(|| action.ceiling());
        let whole = Principal { ceiling: None, only: None, ..who.clone() };
        let narrowed = whole != *who && !self.ask(&whole, action, resource).is_empty();
        Decision::Denied { role, scope, narrowed }
    }

    /// As [`decide`](Self::decide), without why.
    #[must_use]
    pub fn may(&self, who: &Principal, action: Action, resource: &Resource) -> bool {
        !self.ask(who, action, resource).is_empty()
    }

    fn ask(&self, who: &Principal, action: Action, resource: &Resource) -> Vec<Because> {
        let edition = self.edition();
        let policies = edition.policies(who, &self.0.standing);
        let permitted = asked(&policies, who, action, resource);
        permitted.iter().filter_map(|id| self.because(&edition, id)).collect()
    }

    fn because(&self, edition: &Edition, id: &PolicyId) -> Option<Because> {
        let standing = self.0.standing.iter().find(|rule| rule.policy.id() == id);
        let standing = standing.map(|rule| rule.because.clone());
        standing.or_else(|| {
            let text: &str = id.as_ref();
            let id = text.strip_prefix("binding-")?.parse().ok()?;
            edition.bindings.get(&id).map(|(_, rule)| rule.because.clone())
        })
    }

    /// Which sessions somebody sees.
    #[must_use]
    pub fn sight(&self, who: &Principal) -> Sight {
        // By configuration alone a right is over everything or none of a person's.
        let edition = self.edition();
        let granted = edition.of_principal(who).map(|binding| &binding.grant);
        let mut sight = Sight::of(who.id(), granted);
        let by_configuration = self.ask(who, Action::ReadSettings, &Resource::Installation);
        sight.everything |=
            by_configuration.iter().any(|why| matches!(why, Because::Configuration(_)));
        sight
    }

    /// Everybody who may do something, and why.
    #[must_use]
    pub fn who_may(&self, action: Action, resource: &Resource) -> Vec<Holder> {
        let mut holders = vec![];
        let owner = match resource {
            Resource::Session { owner, .. } => Some(*owner),
            Resource::Credential { owner, .. } => *owner,
            Resource::Installation | Resource::Repository(_) => None,
        };
        let of_owner = owner.map(|owner| Principal::of(Who::User(owner)));
        if let Some(owner) = &of_owner
            && self.ask(owner, action, resource).contains(&Because::Owner)
        {
            let subject = owner.subjects().next();
            holders.push(Holder { subject, because: Because::Owner });
        }
        let edition = self.edition();
        let scope = resource.scope();
        let mut bindings: Vec<_> = edition
            .bindings
            .values()
            .filter(|(binding, _)| {
                matches!(binding.grant.scope, Scope::Global) || binding.grant.scope == scope
            })
            .collect();
        bindings.sort_by_key(|(binding, _)| (binding.grant.role, binding.id));
        for (binding, rule) in bindings {
            let who = principal_of(&binding.grant.subject);
            let policies = set([rule]);
            if !asked(&policies, &who, action, resource).is_empty() {
                let subject = Some(binding.grant.subject.clone());
                holders.push(Holder { subject, because: rule.because.clone() });
            }
        }
        for subject in self.configured_subjects() {
            let because = self.ask(&principal_of(&subject), action, resource);
            let because = because.into_iter().find(|why| matches!(why, Because::Configuration(_)));
            if let Some(because) = because {
                holders.push(Holder { subject: Some(subject), because });
            }
        }
        for name in &self.0.configured.names {
            let because = Because::Configuration(format!("PADDOCK_ADMINS names user:{name}"));
            holders.push(Holder { subject: None, because });
        }
        if action.needs().is_none() {
            holders.push(Holder { subject: None, because: Because::Anybody });
        }
        holders
    }

    fn configured_subjects(&self) -> impl Iterator<Item = Subject> {
        let Configured { users, groups, requesters, .. } = &self.0.configured;
        let users = users.iter().copied().map(Subject::User);
        let groups = groups.iter().cloned().map(Subject::Group);
        users.chain(groups).chain(requesters.iter().copied().map(Subject::Kubernetes))
    }

    /// The most that somebody is to something; none where they may not even see it.
    #[must_use]
    pub fn role_on(&self, who: &Principal, resource: &Resource) -> Option<Role> {
        let may = |action| self.may(who, action, resource);
        let of = |viewer, maintainer, admin| {
            let roles =
                [(Role::Admin, admin), (Role::Maintainer, maintainer), (Role::Viewer, viewer)];
            roles.into_iter().find(|(_, action)| may(*action)).map(|(role, _)| role)
        };
        match resource {
            Resource::Installation => {
                of(Action::ReadSettings, Action::RegisterCredential, Action::ChangeSettings)
            }
            Resource::Repository(_) => may(Action::CreateSession).then_some(Role::Maintainer),
            Resource::Session { .. } => {
                of(Action::ReadSession, Action::ShareSession, Action::OpenEgress)
            }
            Resource::Credential { .. } => {
                of(Action::ReadCredential, Action::UseCredential, Action::ShareCredential)
            }
        }
    }

    /// The bindings that hold for somebody.
    #[must_use]
    pub fn bindings_of(&self, who: &Principal) -> Vec<Binding> {
        self.edition().of_principal(who).cloned().collect()
    }

    /// A binding that holds.
    #[must_use]
    pub fn binding(&self, id: BindingId) -> Option<Binding> {
        self.edition().bindings.get(&id).map(|(binding, _)| binding.clone())
    }

    /// Whether somebody may ask by objects on the cluster by configuration.
    #[must_use]
    pub fn is_requester(&self, name: domain::ids::UserId) -> bool {
        self.0.configured.requesters.contains(&name)
    }

    /// Whether an admin is named by configuration.
    #[must_use]
    pub fn has_configured_admin(&self) -> bool {
        self.0.configured.has_admin()
    }

    /// What a session is to a decision, deleted or not; none where there never was one.
    pub async fn session(&self, id: SessionId) -> Result<Option<Resource>, StoreError> {
        self.0.origins.session(&self.0.pool, id).await
    }

    /// The session of a run, as [`session`](Self::session).
    pub async fn run(&self, id: RunId) -> Result<Option<Resource>, StoreError> {
        self.0.origins.run(&self.0.pool, id).await
    }

    /// What a credential is to a decision, revoked or not; none where there never was one.
    pub async fn credential(&self, id: CredentialId) -> Result<Option<Resource>, StoreError> {
        self.0.origins.credential(&self.0.pool, id).await
    }

    /// Looks whether roles were given or taken, and decides by them from then on.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let number = bindings::edition(&self.0.pool).await?;
        if number == self.edition().number {
            return Ok(());
        }
        let edition = Edition::load(&self.0.pool).await?;
        let number = edition.number;
        let mut now = self.0.now.write().unwrap_or_else(PoisonError::into_inner);
        // Whoever looked at the same time may have seen more.
        if number > now.number {
            *now = Arc::new(edition);
            drop(now);
            self.0.changes.send_replace(number);
        }
        Ok(())
    }

    /// Looks again and again until told to stop.
    pub async fn refresh_until(&self, shutdown: CancellationToken) {
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(POLL) => {}
            }
            if let Err(error) = self.refresh().await {
                tracing::warn!(%error, "it is not known whether roles were taken; the known ones hold");
            }
        }
    }

    /// Changes with every role given or taken.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<i64> {
        self.0.changes.subscribe()
    }

    fn edition(&self) -> Arc<Edition> {
        self.0.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Edition {
    async fn load(pool: &PgPool) -> Result<Self, StoreError> {
        let (number, all) = bindings::all(pool).await?;
        let mut of: HashMap<Subject, Vec<BindingId>> = HashMap::new();
        for binding in &all {
            of.entry(binding.grant.subject.clone()).or_default().push(binding.id);
        }
        let bindings = all.into_iter().map(|binding| {
            let rule = of_binding(&binding);
            (binding.id, (binding, rule))
        });
        Ok(Self { number, bindings: bindings.collect(), of, sets: Mutex::default() })
    }

    fn rules_of(&self, who: &Principal) -> impl Iterator<Item = &(Binding, Rule)> {
        let ids = who.subjects().filter_map(|subject| self.of.get(&subject)).flatten();
        ids.filter_map(|id| self.bindings.get(id))
    }

    fn of_principal(&self, who: &Principal) -> impl Iterator<Item = &Binding> {
        self.rules_of(who).map(|(binding, _)| binding)
    }

    fn policies(&self, who: &Principal, standing: &[Rule]) -> Arc<PolicySet> {
        let key = (who.who, who.groups.clone());
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = sets.get(&key) {
            return known.clone();
        }
        if sets.len() >= MOST {
            sets.clear();
        }
        let rules = standing.iter().chain(self.rules_of(who).map(|(_, rule)| rule));
        let made = Arc::new(set(rules));
        sets.insert(key, made.clone());
        made
    }
}

fn set<'a>(rules: impl IntoIterator<Item = &'a Rule>) -> PolicySet {
    let mut policies = PolicySet::new();
    for rule in rules {
        policies.add(rule.policy.clone()).expect("every policy has an id of its own");
    }
    policies
}

/// Somebody of whom nothing is known but what a binding calls them.
fn principal_of(subject: &Subject) -> Principal {
    match subject {
        Subject::User(id) => Principal::of(Who::User(*id)),
        Subject::Kubernetes(id) => Principal::of(Who::Kubernetes(*id)),
        Subject::Group(name) => {
            let nobody = domain::ids::UserId(uuid::Uuid::nil());
            let groups = BTreeSet::from([name.clone()]);
            Principal { groups, ..Principal::of(Who::User(nobody)) }
        }
    }
}

/// The policies that permit it; none where it is denied.
fn asked(
    policies: &PolicySet,
    who: &Principal,
    action: Action,
    resource: &Resource,
) -> Vec<PolicyId> {
    if action.on() != resource.on() {
        tracing::error!(%action, ?resource, "an action was asked of what it is not done to");
        return vec![];
    }
    let (request, entities) = match question(who, action, resource) {
        Ok(question) => question,
        Err(error) => {
            tracing::error!(%action, error, "a question that cannot be asked is denied");
            return vec![];
        }
    };
    let answer = Authorizer::new().is_authorized(&request, policies, &entities);
    for error in answer.diagnostics().errors() {
        tracing::error!(%error, "a policy failed and counts as if it were not there");
    }
    match answer.decision() {
        cedar_policy::Decision::Allow => answer.diagnostics().reason().cloned().collect(),
        cedar_policy::Decision::Deny => vec![],
    }
}

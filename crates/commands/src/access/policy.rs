//! What bindings, ownership and configuration say, as Cedar policies.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Policy, PolicyId, Request,
    RestrictedExpression,
};
use domain::{
    access::{Action, Resource, Role, Scope, Subject},
    ids::UserId,
};

use super::{Because, Binding, Principal, Who};

/// Who has rights by configuration, before anybody was given any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configured {
    /// Persons who are admins.
    pub users: Vec<UserId>,
    /// Those who are admins by what the provider calls them.
    pub names: Vec<String>,
    /// Groups whose members are admins.
    pub groups: Vec<String>,
    /// Those who may ask for sessions and runs by objects on the cluster, on every repository.
    pub requesters: Vec<UserId>,
}

impl Configured {
    /// Whether it names an admin.
    #[must_use]
    pub fn has_admin(&self) -> bool {
        !(self.users.is_empty() && self.names.is_empty() && self.groups.is_empty())
    }
}

/// A policy, and what it means that it permits.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) policy: Policy,
    pub(super) because: Because,
}

/// What limits credentials: these forbid, whatever permits.
const LIMITS: [(&str, &str); 3] = [
    (
        "ceiling-viewer",
        r#"forbid(principal, action, resource)
           when { context.ceiling == "viewer" } unless { action in Action::"by-viewer" };"#,
    ),
    (
        "ceiling-maintainer",
        r#"forbid(principal, action, resource)
           when { context.ceiling == "maintainer" } unless { action in Action::"by-maintainer" };"#,
    ),
    (
        "only-session",
        r#"forbid(principal, action, resource) when { context has only }
           unless { resource == context.only || action == Action::"me.read" };"#,
    ),
];

const ANYBODY: &str =
    r#"permit(principal, action in Action::"anybody", resource is Installation);"#;
const OWNER: [(&str, &str); 2] = [
    (
        "owner-of-session",
        r#"permit(principal, action in Action::"maintainer", resource is Session)
           when { principal == resource.owner };"#,
    ),
    (
        "owner-of-credential",
        r#"permit(principal, action in Action::"admin", resource is Credential)
           when { resource has owner && principal == resource.owner };"#,
    ),
];

/// The policies that are there without any binding.
pub(super) fn standing(configured: &Configured) -> Vec<Rule> {
    let mut rules = vec![rule("anybody", ANYBODY, Because::Anybody)];
    rules.extend(OWNER.map(|(id, text)| rule(id, text, Because::Owner)));
    rules.extend(LIMITS.map(|(id, text)| rule(id, text, Because::Anybody)));
    let mut admin = |who: String, words: String| {
        let id = format!("configuration-{}", rules.len());
        rules.push(rule(&id, &who, Because::Configuration(words)));
    };
    for user in &configured.users {
        let user = uid("User", &user.to_string());
        admin(
            format!("permit(principal == {user}, action, resource);"),
            "the user of this machine is its admin".to_owned(),
        );
    }
    for name in &configured.names {
        let name_as_text = EntityUid::from_type_name_and_id(kind("Name"), EntityId::new(name));
        // The same escapes as in an entity's name: `Name::"…"`.
        let quoted = name_as_text.to_string().split_off("Name::".len());
        admin(
            format!(
                "permit(principal is User, action, resource)
                 when {{ principal has name && principal.name == {quoted} }};"
            ),
            format!("PADDOCK_ADMINS names user:{name}"),
        );
    }
    for group in &configured.groups {
        let subject = uid("Group", group);
        admin(
            format!("permit(principal in {subject}, action, resource);"),
            format!("PADDOCK_ADMINS names group:{group}"),
        );
    }
    for requester in &configured.requesters {
        let requester = uid("Kubernetes", &requester.to_string());
        admin(
            format!(
                r#"permit(principal == {requester}, action in Action::"maintainer", resource)
                   when {{ resource is Session || resource is Repository }};"#
            ),
            "PADDOCK_KUBERNETES_REQUESTERS names them".to_owned(),
        );
    }
    rules
}

/// What a binding permits.
pub(super) fn of_binding(binding: &Binding) -> Rule {
    let grant = &binding.grant;
    let principal = match &grant.subject {
        Subject::User(id) => format!("principal == {}", uid("User", &id.to_string())),
        Subject::Group(name) => format!("principal in {}", uid("Group", name)),
        Subject::Kubernetes(id) => format!("principal == {}", uid("Kubernetes", &id.to_string())),
    };
    let action = format!(r#"action in Action::"{}""#, grant.role);
    let text = match (grant.scope, grant.role) {
        (Scope::Global, Role::Admin) => format!("permit({principal}, {action}, resource);"),
        (Scope::Global, Role::Maintainer) => {
            // Letters, digits, `.`, `_`, `-`, `/` and stars: nothing that would have to be escaped.
            let likes = grant.repositories.iter();
            let likes = likes.map(|like| format!(r#"resource.repo like "{}""#, like.folded()));
            let likes: Vec<String> = likes.collect();
            format!(
                "permit({principal}, {action}, resource)
                 when {{ resource is Installation ||
                         ((resource is Session || resource is Repository) && ({})) }};",
                likes.join(" || ")
            )
        }
        (Scope::Global, Role::Viewer) => format!(
            "permit({principal}, {action}, resource)
             when {{ resource is Installation || resource is Session }};"
        ),
        (Scope::Session(id), _) => {
            let session = uid("Session", &id.to_string());
            format!("permit({principal}, {action}, resource == {session});")
        }
        (Scope::Credential(id), _) => {
            let credential = uid("Credential", &id.to_string());
            format!("permit({principal}, {action}, resource == {credential});")
        }
    };
    rule(&format!("binding-{}", binding.id), &text, Because::Binding(binding.id))
}

/// The question, as Cedar is asked it.
pub(super) fn question(
    who: &Principal,
    action: Action,
    resource: &Resource,
) -> Result<(Request, Entities), Box<dyn std::error::Error + Send + Sync>> {
    let text = |text: &str| RestrictedExpression::new_string(text.to_owned());
    let (principal, groups) = match who.who {
        Who::User(id) => (uid("User", &id.to_string()), Some(&who.groups)),
        Who::Kubernetes(id) => (uid("Kubernetes", &id.to_string()), None),
    };
    let groups = groups.into_iter().flatten().map(|name| uid("Group", name)).collect();
    let attributes = who.name.iter().map(|name| ("name".to_owned(), text(name))).collect();
    let asker = Entity::new(principal.clone(), attributes, groups)?;

    let doing = uid("Action", action.as_str());
    let act = Entity::new(doing.clone(), HashMap::new(), included_in(action))?;

    let (thing, attributes) = match resource {
        Resource::Installation => (uid("Installation", "this"), HashMap::new()),
        Resource::Repository(repo) => {
            let repo = repo.as_str().to_ascii_lowercase();
            (uid("Repository", &repo), HashMap::from([("repo".to_owned(), text(&repo))]))
        }
        Resource::Session { id, owner, repo } => {
            let owner = owner_of(who, *owner);
            let repo = repo.as_str().to_ascii_lowercase();
            let attributes =
                HashMap::from([("owner".to_owned(), owner), ("repo".to_owned(), text(&repo))]);
            (uid("Session", &id.to_string()), attributes)
        }
        Resource::Credential { id, owner } => {
            let owner = owner.map(|owner| ("owner".to_owned(), owner_of(who, owner)));
            (uid("Credential", &id.to_string()), owner.into_iter().collect())
        }
    };
    let object = Entity::new(thing.clone(), attributes, HashSet::new())?;

    let ceiling = who.ceiling.map_or("none", Role::as_str);
    let mut context = vec![("ceiling".to_owned(), text(ceiling))];
    if let Some(session) = who.only {
        let session = uid("Session", &session.to_string());
        context.push(("only".to_owned(), RestrictedExpression::new_entity_uid(session)));
    }
    let context = Context::from_pairs(context)?;
    let entities = Entities::from_entities([asker, act, object], None)?;
    Ok((Request::new(principal, doing, thing, context, None)?, entities))
}

/// Ids of persons and of names on the cluster are of one kind in events; an owner is whichever asks.
fn owner_of(who: &Principal, owner: UserId) -> RestrictedExpression {
    let kind = match who.who {
        Who::User(_) => "User",
        Who::Kubernetes(_) => "Kubernetes",
    };
    RestrictedExpression::new_entity_uid(uid(kind, &owner.to_string()))
}

/// The roles that include an action, and what credentials it can be done by.
fn included_in(action: Action) -> HashSet<EntityUid> {
    let named = |name: &str| uid("Action", name);
    let roles = match action.needs() {
        None => vec![named("anybody")],
        Some(least) => {
            let roles = Role::ALL.into_iter().filter(|role| *role >= least);
            roles.map(|role| named(role.as_str())).collect()
        }
    };
    let by = Role::ALL.into_iter().filter(|role| *role >= action.ceiling());
    roles.into_iter().chain(by.map(|role| named(&format!("by-{role}")))).collect()
}

fn rule(id: &str, text: &str, because: Because) -> Rule {
    let policy = Policy::parse(Some(PolicyId::new(id)), text)
        .unwrap_or_else(|error| panic!("{text}: {error:?}"));
    Rule { policy, because }
}

fn uid(of: &str, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind(of), EntityId::new(id))
}

/// Parsed once: a name is read by the parser of policies, which costs more than a decision.
fn kind(name: &str) -> EntityTypeName {
    const NAMES: [&str; 9] = [
        "User",
        "Group",
        "Kubernetes",
        "Name",
        "Action",
        "Installation",
        "Repository",
        "Session",
        "Credential",
    ];
    static KINDS: LazyLock<HashMap<&str, EntityTypeName>> = LazyLock::new(|| {
        NAMES.into_iter().map(|name| (name, name.parse().expect("the name of a type"))).collect()
    });
    KINDS[name].clone()
}

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::{
    access::{RepositoryPattern, Subject},
    ids::UserId,
};
use projections::model::BindingRow;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{access::subject_name, problem::Answer, state::AppState};

/// A role that somebody has somewhere.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct BindingBody {
    id: Uuid,
    /// Who has it: user:<id>, group:<name> or kubernetes:<user name>.
    subject: String,
    /// A name for people, where one is known.
    name: Option<String>,
    /// admin, maintainer or viewer.
    role: String,
    /// global, session:<id> or credential:<id>.
    scope: String,
    /// The repositories that a maintainer of the installation works with.
    repositories: Vec<String>,
    /// Who gave it.
    granted_by: String,
    granted_at: DateTime<Utc>,
    version: u64,
}

/// What subjects are called.
pub(crate) struct Names(HashMap<UserId, String>);

impl Names {
    /// The names of those whom these bindings are about.
    pub(crate) async fn of(
        state: &AppState,
        subjects: impl IntoIterator<Item = &Subject>,
    ) -> Answer<Self> {
        let ids = subjects.into_iter().filter_map(|subject| match subject {
            Subject::Kubernetes(id) | Subject::User(id) => Some(id.0),
            Subject::Group(_) => None,
        });
        let ids: Vec<Uuid> = ids.collect();
        if ids.is_empty() {
            return Ok(Self(HashMap::new()));
        }
        let mut names = state.commands.kubernetes_names(&ids).await?;
        let people = sqlx::query!(
            r#"select id, coalesce(name, email) as "name!" from runtime.person
               where id = any($1) and coalesce(name, email) is not null"#,
            &ids,
        )
        .fetch_all(state.pool())
        .await?;
        names.extend(people.into_iter().map(|person| (UserId(person.id), person.name)));
        Ok(Self(names))
    }

    /// As people write it.
    pub(crate) fn subject(&self, subject: &Subject) -> String {
        match subject {
            Subject::Kubernetes(id) => match self.0.get(id) {
                Some(name) => format!("kubernetes:{name}"),
                None => subject_name(subject),
            },
            Subject::User(_) | Subject::Group(_) => subject_name(subject),
        }
    }

    /// What people call them.
    pub(crate) fn name(&self, subject: &Subject) -> Option<String> {
        match subject {
            Subject::User(id) => self.0.get(id).cloned(),
            Subject::Group(_) | Subject::Kubernetes(_) => None,
        }
    }
}

impl BindingBody {
    pub(crate) async fn list(state: &AppState, rows: Vec<BindingRow>) -> Answer<Vec<Self>> {
        let names = Names::of(state, rows.iter().map(|row| &row.grant.subject)).await?;
        Ok(rows.iter().map(|row| Self::with(row, &names)).collect())
    }

    fn with(row: &BindingRow, names: &Names) -> Self {
        Self {
            id: row.id.0,
            subject: names.subject(&row.grant.subject),
            name: names.name(&row.grant.subject),
            role: row.grant.role.as_str().to_owned(),
            scope: row.grant.scope.to_string(),
            repositories: row.grant.repositories.iter().map(RepositoryPattern::to_string).collect(),
            granted_by: row.granted_by.to_string(),
            granted_at: row.granted_at,
            version: row.version.0,
        }
    }
}

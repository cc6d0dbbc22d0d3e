use domain::access::Scope;

use super::{Cursor, NotACursor, Page, Views, lists::start};
use crate::{ViewError, model::BindingRow};

impl Views {
    /// The role bindings that hold, in one scope or in all, what was granted last first.
    pub async fn bindings(
        &self,
        scope: Option<Scope>,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Result<Page<BindingRow>, NotACursor>, ViewError> {
        let list = format!("bindings {scope:?}");
        let Ok(before) = start(&list, cursor, i64::MAX) else { return Ok(Err(NotACursor)) };
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "select position, body::text from view.binding
             where holds and position < $1 and ($2::text is null or scope = $2)
             order by position desc limit $3",
        )
        .bind(before)
        .bind(scope.map(|scope| scope.to_string()))
        .bind(i64::from(limit) + 1)
        .fetch_all(&self.pool)
        .await?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        let last = rows.iter().take(limit).next_back().map(|(position, _)| *position);
        let next = last.filter(|_| more).map(|last| Cursor::after(&list, last));
        let shown = rows.iter().take(limit).map(|(_, body)| serde_json::from_str(body));
        Ok(Ok(Page { items: shown.collect::<Result<_, _>>()?, next }))
    }
}

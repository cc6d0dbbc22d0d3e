//! Free texts, which events only refer to.

use std::collections::HashMap;

use domain::ids::TextId;
use uuid::Uuid;

use crate::{Commands, StoreError};

impl Commands {
    /// A text; none if it was erased.
    pub async fn text(&self, id: TextId) -> Result<Option<String>, StoreError> {
        Ok(self.texts(&[id]).await?.remove(&id))
    }

    /// Those of the texts that were not erased.
    pub async fn texts(&self, ids: &[TextId]) -> Result<HashMap<TextId, String>, StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let rows =
            sqlx::query!("select id, bytes from paddock.event_text where id = any($1)", &ids)
                .fetch_all(self.pool())
                .await?;
        Ok(rows
            .into_iter()
            .map(|row| (TextId(row.id), String::from_utf8_lossy(&row.bytes).into_owned()))
            .collect())
    }
}

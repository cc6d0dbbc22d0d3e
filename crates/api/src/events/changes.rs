use domain::ids::RunId;
use tokio::time::sleep;

use super::{
    connection::{Closed, Out, RETRY},
    message::{ChangesEvent, EventMessage},
    run::gone,
};
use crate::{link::changes_edition, state::AppState};

/// Tells that a run's diff changed: first of all if there is one, because there is no place to go on from.
pub(super) async fn watch(
    state: &AppState,
    topic: String,
    run: RunId,
    out: &Out,
) -> Result<(), Closed> {
    let mut more = state.outputs.subscribe_to_changes(run);
    while let known = state.views.run(run).await
        && !matches!(known, Ok(Some(_)))
    {
        if let Ok(None) = known {
            return gone(topic, out).await;
        }
        sleep(RETRY).await;
    }
    let mut known = None;
    loop {
        match changes_edition(state.pool(), run).await {
            Ok(edition) if edition != known => {
                known = edition;
                let topic = topic.clone();
                out.send(EventMessage::Changes(ChangesEvent { topic })).await?;
            }
            Ok(_) => {}
            Err(_) => sleep(RETRY).await,
        }
        more.woken().await;
    }
}

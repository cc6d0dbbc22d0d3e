use super::{
    connection::{Closed, Out},
    message::{EventMessage, SystemEvent},
};
use crate::{state::AppState, system::SystemBody};

/// Tells how the installation's parts are: at once, and at each change.
pub(super) async fn watch(state: &AppState, topic: String, out: &Out) -> Result<(), Closed> {
    let mut parts = state.system.follow();
    loop {
        let system = SystemBody::clone(&parts.borrow_and_update());
        let topic = topic.clone();
        out.send(EventMessage::System(SystemEvent { topic, system })).await?;
        if parts.changed().await.is_err() {
            return Ok(());
        }
    }
}

use domain::ids::RunId;
use tokio::time::sleep;

use super::{
    connection::{Closed, Out, RETRY},
    message::{EventMessage, OutputEndEvent, OutputEvent, OutputItem},
    run::gone,
};
use crate::{runs::has_ended, state::AppState};

/// The most items of one message.
const MOST: u32 = 256;

/// Tells what a run's agent puts out, until nothing more will come.
pub(super) async fn watch(
    state: &AppState,
    topic: String,
    run: RunId,
    at: Option<u64>,
    out: &Out,
) -> Result<(), Closed> {
    let mut more = state.outputs.subscribe(run);
    let mut at = loop {
        let known = async {
            Ok::<_, ()>((
                state.views.run(run).await.map_err(drop)?.is_some(),
                state.outputs.newest(run).await.map_err(drop)?,
            ))
        };
        match known.await {
            Ok((true, newest)) => break at.unwrap_or(newest),
            Ok((false, _)) => return gone(topic, out).await,
            Err(()) => sleep(RETRY).await,
        }
    };
    loop {
        let Ok(batch) = state.outputs.read(run, at, MOST).await else {
            sleep(RETRY).await;
            continue;
        };
        if let Some(last) = batch.last() {
            at = last.seq;
            let items = batch.iter().map(|stored| OutputItem::of(stored.seq, stored.item()));
            let (topic, items) = (topic.clone(), items.collect());
            let event = OutputEvent { topic, at: at.to_string(), items };
            out.send(EventMessage::Output(event)).await?;
            continue;
        }
        if has_ended(state, run).await {
            // Asked before it is read once more: what was stored before the end is told.
            match state.outputs.newest(run).await {
                Ok(newest) if newest <= at => {
                    let event = OutputEndEvent { topic, at: at.to_string() };
                    return out.send(EventMessage::OutputEnd(event)).await;
                }
                Ok(_) => continue,
                Err(_) => sleep(RETRY).await,
            }
        }
        more.woken().await;
    }
}

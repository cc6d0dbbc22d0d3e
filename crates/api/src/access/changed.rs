use std::{pin::pin, time::Duration};

use tokio::time::{sleep, timeout};

use super::{Allowance, Caller, live::ended};
use crate::state::AppState;

/// How often it is looked at whether a reader may do more or less than before, whichever process gave or took it.
const CHECK: Duration = Duration::from_secs(3);

/// Returns once a reader may no longer read, or may do more or less than before: what it was told then says too
/// little or too much, and it comes back for the rest.
pub(crate) async fn changed(state: AppState, caller: Caller) {
    let before = Allowance::of(&state, &caller);
    let (before, had) = (before.who().clone(), before.bindings());
    let mut changes = state.authority.changes();
    let mut over = pin!(ended(state.clone(), caller.clone()));
    loop {
        tokio::select! {
            () = &mut over => return,
            () = sleep(CHECK) => {}
            _ = changes.changed() => {}
        }
        // A database that does not answer says nothing about anybody.
        if let Ok(Ok(caller)) = timeout(CHECK / 2, caller.credential.present(&state)).await {
            let now = Allowance::of(&state, &caller);
            if *now.who() != before || now.bindings() != had {
                return;
            }
        }
    }
}

use std::time::Duration;

use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use super::Caller;
use crate::state::AppState;

/// How often it is looked at whether a reader may still read: a little less than 5 s after it may not, its
/// stream is closed, whichever process took the right away.
const CHECK: Duration = Duration::from_secs(3);

/// Says that somebody may do less than before, to the streams of this process. Cheap to clone.
#[derive(Clone)]
pub struct Rights(watch::Sender<u64>);

impl Default for Rights {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Rights {
    /// Looks at every live stream at once. After the commit that took a right away.
    pub fn changed(&self) {
        self.0.send_modify(|times| *times += 1);
    }
}

/// Returns once a reader may no longer read: signed out, revoked, signed off. A database that does not
/// answer says nothing about anybody.
pub(crate) async fn ended(state: AppState, caller: Caller) {
    let mut changes = state.access.rights().0.subscribe();
    loop {
        tokio::select! {
            () = sleep(CHECK) => {}
            _ = changes.changed() => {}
        }
        let may = timeout(CHECK / 2, caller.credential.present(&state)).await;
        if let Ok(Err(problem)) = may
            && problem.is_unauthenticated()
        {
            return;
        }
    }
}

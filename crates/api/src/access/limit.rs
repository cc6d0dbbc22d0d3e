use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::problem::{Answer, Problem};

/// How long failures count.
const WINDOW: Duration = Duration::from_mins(1);

/// Bounds how often something may fail within a minute, by anybody: who guesses is not told apart from whoever
/// else sends wrong ones.
pub(crate) struct Limit {
    most: u32,
    window: Mutex<(Instant, u32)>,
}

impl Limit {
    pub(super) fn new(most: u32) -> Self {
        Self { most, window: Mutex::new((Instant::now(), 0)) }
    }

    /// Refuses once too much has failed.
    pub(super) fn check(&self) -> Answer<()> {
        let window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.0.elapsed() < WINDOW && window.1 >= self.most {
            return Err(Problem::too_many());
        }
        Ok(())
    }

    /// One more failed.
    pub(super) fn failed(&self) {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if window.0.elapsed() >= WINDOW {
            *window = (Instant::now(), 0);
        }
        window.1 += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whoever_guesses_is_slowed_down_for_a_minute() {
        let limit = Limit::new(2);
        for _ in 0..2 {
            assert!(limit.check().is_ok());
            limit.failed();
        }
        assert!(limit.check().is_err());
        tokio::time::advance(WINDOW).await;
        assert!(limit.check().is_ok());
    }
}

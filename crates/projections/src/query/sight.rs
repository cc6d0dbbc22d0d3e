//! The filter of lists: what a person sees, as a condition on rows of sessions.

use domain::access::Sight;

/// The condition on a session `s`, given where the four parts of a [`Sight`] are to be found: whether it is
/// everything, whose it is, which sessions, and repositories like which.
#[must_use]
pub fn seen(everything: &str, owner: &str, sessions: &str, repositories: &str) -> String {
    format!(
        "({everything} or s.owner = {owner} or s.id = any({sessions}) or s.repo like any({repositories}))"
    )
}

/// The condition with the parts as parameters from `$first` on. Where everything is seen, that is in the text: so
/// the database plans as if there were no condition.
pub(super) fn condition(sight: &Sight, first: usize) -> String {
    let everything = if sight.everything { "true or " } else { "" };
    let parameter = |offset: usize, kind: &str| format!("${}::{kind}", first + offset);
    let seen = seen(
        &parameter(0, "boolean"),
        &parameter(1, "uuid"),
        &parameter(2, "uuid[]"),
        &parameter(3, "text[]"),
    );
    format!("({everything}{seen})")
}

/// Binds those parameters.
macro_rules! bind_sight {
    ($query:expr, $sight:expr) => {{
        let sessions: Vec<uuid::Uuid> = $sight.sessions.iter().map(|id| id.0).collect();
        $query
            .bind($sight.everything)
            .bind($sight.owner.0)
            .bind(sessions)
            .bind(&$sight.repositories)
    }};
}
pub(super) use bind_sight;

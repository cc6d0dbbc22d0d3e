//! Looking at pull requests, at the least possible cost to anybody's quota.

use api::github::{GitHub, GitHubError, Looked};
use commands::Context;
use domain::session::PullState;

use crate::forge::{Forge, a_pull};

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let forge = Forge::start().await;
    let github = GitHub::new(&forge.url, None, Context::system().clock).unwrap();
    let repo = "acme/widget".parse().unwrap();
    let mut edition: Option<String> = None;
    for (pull, standing) in [
        (a_pull(9, "open", true, false), PullState::Draft),
        (a_pull(9, "open", false, false), PullState::Open),
        (a_pull(9, "closed", false, false), PullState::Closed),
        (a_pull(9, "closed", false, true), PullState::Merged),
    ] {
        forge.told.lock().unwrap().pulls.insert(9, pull);
        let looked = github.look_at_pull(&repo, 9, edition.as_deref()).await.unwrap();
        let Looked::Now(pull, new) = looked else { panic!("{standing:?} is news") };
        assert_eq!(pull.standing(), standing);
        let again = github.look_at_pull(&repo, 9, new.as_deref()).await.unwrap();
        assert_eq!(again, Looked::AsBefore);
        edition = new;
    }
    assert_eq!(forge.told.lock().unwrap().unchanged, 4);
    let none = github.look_at_pull(&repo, 10, None).await;
    assert_eq!(none, Err(GitHubError::NotFound));
    forge.told.lock().unwrap().limited_until = Some(4_102_444_800);
    let asked = forge.told.lock().unwrap().asked;
    let limited = github.look_at_pull(&repo, 9, edition.as_deref()).await;
    assert!(matches!(limited, Err(GitHubError::RateLimited { .. })), "{limited:?}");
    assert_eq!(forge.told.lock().unwrap().asked, asked + 1, "asked once");
}

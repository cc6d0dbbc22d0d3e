//! The credentials of runs: asked of the control plane for each request, held in memory alone.
//!
//! The control plane answers with the value that counts at that moment, so that a rotated one is used by the next
//! request and a revoked one by none. While it is away, the last value is used on, for a while: a run is not cut off
//! because the control plane starts anew. Nothing of it is on disk, so that a gateway that starts anew meanwhile has
//! nothing to use.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use domain::ids::{CredentialId, Generation, RunId};
use http::StatusCode;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::{
    answer::Refusal,
    control::{Control, ControlError},
    policy::PolicyCredential,
    upstream::{Injected, git_credential},
};

/// How long a value is used without the control plane's word.
const ALONE: Duration = Duration::from_mins(30);
/// How long the control plane may take: it may have to ask the forge for a token first.
const PATIENCE: Duration = Duration::from_secs(25);

/// What is held for each run. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Credentials {
    control: Control,
    held: Arc<Mutex<HashMap<RunId, Held>>>,
}

struct Held {
    generation: Generation,
    credential: CredentialId,
    injected: Arc<Injected>,
    expires_at: Option<DateTime<Utc>>,
    /// When the control plane last said so.
    said: Instant,
}

/// The control plane's answer. Without `Debug`: it holds a secret.
#[derive(Deserialize)]
struct Answer {
    credential: CredentialId,
    generation: Generation,
    #[serde(deserialize_with = "secret")]
    token: Zeroizing<String>,
    #[serde(default)]
    expires_at: Option<DateTime<Utc>>,
}

fn secret<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(from).map(Zeroizing::new)
}

#[derive(Deserialize)]
struct No {
    rule: String,
    detail: String,
}

impl Credentials {
    pub(crate) fn new(control: Control) -> Self {
        Self { control, held: Arc::default() }
    }

    /// What a run's request to the forge is to carry now, in place of the gateway's own token.
    pub(crate) async fn of_run(
        &self,
        run: RunId,
        policy: PolicyCredential,
    ) -> Result<Arc<Injected>, Refusal> {
        if policy.revoked {
            self.forget(run);
            return Err(refused("credential.revoked", "the run's credential was revoked"));
        }
        match self.ask(run).await {
            Ok(Ok(answer)) if answer.credential == policy.id => self.keep(run, &answer),
            Ok(Ok(_)) => {
                self.forget(run);
                Err(refused("credential.unknown", "the run has another credential"))
            }
            Ok(Err(refusal)) => {
                self.forget(run);
                Err(refusal)
            }
            Err(error) => {
                tracing::warn!(run.id = %run, %error, "the control plane hands out no credential");
                self.last(run, policy).ok_or_else(|| {
                    refused(
                        "credential.unavailable",
                        "the control plane hands out no credential now",
                    )
                    .with_status(StatusCode::SERVICE_UNAVAILABLE)
                })
            }
        }
    }

    /// Lets go of what no run has any more, and of values that count no longer.
    pub(crate) fn keep_only(&self, wanted: &HashMap<RunId, PolicyCredential>) {
        self.lock().retain(|run, held| {
            wanted.get(run).is_some_and(|policy| {
                !policy.revoked
                    && policy.id == held.credential
                    && policy.generation <= held.generation
            })
        });
    }

    fn keep(&self, run: RunId, answer: &Answer) -> Result<Arc<Injected>, Refusal> {
        let injected = git_credential(&answer.token).map_err(|_| {
            refused("credential.refused", "the run's credential cannot be sent over HTTP")
        })?;
        let injected = Arc::new(injected);
        let held = Held {
            generation: answer.generation,
            credential: answer.credential,
            injected: injected.clone(),
            expires_at: answer.expires_at,
            said: Instant::now(),
        };
        self.lock().insert(run, held);
        Ok(injected)
    }

    /// The last value, if it may be used without the control plane's word.
    fn last(&self, run: RunId, policy: PolicyCredential) -> Option<Arc<Injected>> {
        let mut all = self.lock();
        let held = all.get(&run)?;
        let counts = held.credential == policy.id
            && held.generation >= policy.generation
            && held.said.elapsed() < ALONE
            && held.expires_at.is_none_or(|at| at > chrono::Utc::now());
        if counts {
            return Some(held.injected.clone());
        }
        all.remove(&run);
        None
    }

    fn forget(&self, run: RunId) {
        self.lock().remove(&run);
    }

    /// The control plane's answer: a value, or that there is none for this run.
    async fn ask(&self, run: RunId) -> Result<Result<Answer, Refusal>, ControlError> {
        let url = self.control.url("gateway/v1/credential");
        let request = self.control.post(url).json(&serde_json::json!({ "run": run }));
        let answer = self.control.send_any(request.timeout(PATIENCE)).await?;
        match answer.status() {
            StatusCode::OK => Ok(Ok(answer.json().await.map_err(ControlError::unreachable)?)),
            StatusCode::FORBIDDEN => {
                let no: No = answer.json().await.map_err(ControlError::unreachable)?;
                Ok(Err(refused(rule_named(&no.rule), &no.detail)))
            }
            // It knows nothing of what the policy says: nothing is to go out in its place.
            StatusCode::NO_CONTENT => {
                Ok(Err(refused("credential.unknown", "the run's credential is not there")))
            }
            status => Err(ControlError::Status(status)),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RunId, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused(rule: &'static str, detail: &str) -> Refusal {
    Refusal::new(rule, detail)
}

/// Rules are a closed set, whatever comes over the wire.
fn rule_named(name: &str) -> &'static str {
    const RULES: [&str; 5] = [
        "credential.unknown",
        "credential.revoked",
        "credential.expired",
        "credential.lost",
        "credential.refused",
    ];
    RULES.into_iter().find(|rule| *rule == name).unwrap_or("credential.refused")
}

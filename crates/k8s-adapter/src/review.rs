//! Whose a sidecar's token is: the API server says it, by the pod that the token is bound to.

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec};
use kube::{Api, Client, api::PostParams};
use uuid::Uuid;

use crate::pod::AUDIENCE;

/// What Kubernetes calls the uid of the pod that a token is bound to.
const POD_UID: &str = "authentication.kubernetes.io/pod-uid";

/// Asks the API server about tokens. Cheap to clone.
#[derive(Clone)]
pub struct Reviewer {
    reviews: Api<TokenReview>,
    /// Whose tokens count.
    user: String,
}

impl Reviewer {
    /// For the tokens of pods in one namespace.
    #[must_use]
    pub fn new(client: Client, namespace: &str) -> Self {
        let user = format!("system:serviceaccount:{namespace}:default");
        Self { reviews: Api::all(client), user }
    }

    /// The uid of the pod to which the token is bound, if it is a good one and for Paddock.
    ///
    /// # Errors
    ///
    /// Where the API server does not answer.
    pub async fn pod_of(&self, token: &str) -> Result<Option<Uuid>, kube::Error> {
        let review = TokenReview {
            spec: TokenReviewSpec {
                token: Some(token.to_owned()),
                audiences: Some(vec![AUDIENCE.to_owned()]),
            },
            ..TokenReview::default()
        };
        let review = self.reviews.create(&PostParams::default(), &review).await?;
        let Some(status) = review.status else { return Ok(None) };
        let audience = status.audiences.iter().flatten().any(|audience| audience == AUDIENCE);
        let Some(user) = status.user.filter(|_| status.authenticated == Some(true) && audience)
        else {
            return Ok(None);
        };
        if user.username.as_deref() != Some(&self.user) {
            return Ok(None);
        }
        let extra = user.extra.unwrap_or_default();
        Ok(extra.get(POD_UID).and_then(|uids| uids.first()?.parse().ok()))
    }
}

use std::sync::{Arc, atomic::Ordering};

use axum::{
    Json,
    body::Body,
    extract::{Query, State},
    http::StatusCode,
};

use super::{Harness, asked::Asked};
use crate::{
    bundle,
    failure::{Failure, Step},
    forward::Way,
    git, probe,
    wire::{
        Changes, ChangesRequest, CloneRequest, Cloned, CommitRequest, Committed, GatewayRequest,
        ProbeReport, ProbeRequest, PushReport, PushRequest, RestoreQuery, Restored, Snapshot,
        StartRequest, Status,
    },
};

type Shared = State<Arc<Harness>>;

/// Does a step to its end, whether or not the asker waits for it: half a step leaves locks behind, and an
/// asker that was restarted asks again and finds it done.
async fn to_the_end<T: Send + 'static>(
    step: impl Future<Output = Step<T>> + Send + 'static,
) -> Step<Json<T>> {
    tokio::spawn(step).await.map_err(Failure::other)?.map(Json)
}

pub(super) async fn status(State(harness): Shared) -> Json<Status> {
    Json(harness.status())
}

pub(super) async fn gateway(State(harness): Shared, Asked(request): Asked<GatewayRequest>) {
    harness.way.send_replace(Some(Way::Tunnel(request)));
}

pub(super) async fn probe_fence(Asked(request): Asked<ProbeRequest>) -> Json<ProbeReport> {
    Json(probe::probe(request).await)
}

pub(super) async fn clone(
    State(harness): Shared,
    Asked(request): Asked<CloneRequest>,
) -> Step<Json<Cloned>> {
    to_the_end(async move {
        let _step = harness.steps.lock().await;
        harness.must_be_free()?;
        git::clone(&harness.config, &request).await
    })
    .await
}

pub(super) async fn restore(
    State(harness): Shared,
    Query(query): Query<RestoreQuery>,
    body: Body,
) -> Step<Json<Restored>> {
    to_the_end(async move {
        let _step = harness.steps.lock().await;
        harness.must_be_free()?;
        let manifest = bundle::restore(&harness.config, body).await?;
        let restored = git::resume(&harness.config, &query).await?;
        if manifest.git_head != restored.git_head {
            return Err(Failure::bad_bundle("the repository's HEAD is not the one that was kept"));
        }
        Ok(restored)
    })
    .await
}

pub(super) async fn start(
    State(harness): Shared,
    Asked(request): Asked<StartRequest>,
) -> Step<Json<Status>> {
    to_the_end(async move {
        harness.agents.start(&request.config).await?;
        Ok(harness.status())
    })
    .await
}

pub(super) async fn stop(State(harness): Shared) -> Step<Json<Status>> {
    to_the_end(async move {
        harness.agents.stop().await;
        Ok(harness.status())
    })
    .await
}

pub(super) async fn changes(
    State(harness): Shared,
    Asked(request): Asked<ChangesRequest>,
) -> Step<Json<Changes>> {
    to_the_end(async move {
        let _step = harness.steps.lock().await;
        git::changes(&harness.config, &request).await
    })
    .await
}

pub(super) async fn commit(
    State(harness): Shared,
    Asked(request): Asked<CommitRequest>,
) -> Step<Json<Committed>> {
    to_the_end(async move {
        let _step = harness.steps.lock().await;
        git::commit(&harness.config, harness.agents.pid(), &request).await
    })
    .await
}

pub(super) async fn push(
    State(harness): Shared,
    Asked(request): Asked<PushRequest>,
) -> Step<Json<PushReport>> {
    to_the_end(async move {
        let _step = harness.steps.lock().await;
        git::push(&harness.config, &request).await
    })
    .await
}

pub(super) async fn snapshot(State(harness): Shared) -> Step<Json<Snapshot>> {
    to_the_end(async move {
        let mut step = harness.steps.lock().await;
        *step = None;
        let last = harness.ending.load(Ordering::SeqCst);
        let (taken, bundle) = bundle::snapshot(&harness.config, harness.agents.pid(), last).await?;
        *step = Some(bundle);
        Ok(taken)
    })
    .await
}

pub(super) async fn discard(State(harness): Shared) -> StatusCode {
    let bundle = harness.steps.lock().await.take();
    if bundle.is_some_and(|bundle| bundle.is_last) {
        harness.kept.notify_one();
    }
    StatusCode::NO_CONTENT
}

impl Harness {
    /// What replaces the repository would destroy an agent's work.
    fn must_be_free(&self) -> Step<()> {
        match self.agents.pid() {
            None => Ok(()),
            Some(_) => Err(Failure::agent("it works on the repository that is there")),
        }
    }
}

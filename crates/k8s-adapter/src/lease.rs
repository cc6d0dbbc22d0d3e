//! One adapter at a time: whoever holds the Lease. Two that both believe it for a moment do no harm, as names are
//! derived and every write is conditional; the Lease only keeps them from working twice.

use std::time::Duration;

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
    jiff::{SignedDuration, Timestamp},
};
use kube::{Api, Client, Error, api::PostParams};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

const NAME: &str = "paddock-adapter";
/// How long a Lease is good without being renewed.
const GOOD_SECONDS: i32 = 15;
/// How often it is renewed, and tried for.
const RENEW: Duration = Duration::from_secs(4);
/// Without having renewed it for so long, its holder stops: before another may take it.
const STOP: Duration = Duration::from_secs(11);

/// The Lease, as one process sees it.
pub(crate) struct Election {
    leases: Api<Lease>,
    holder: String,
}

impl Election {
    /// The Lease of the adapters of one namespace.
    pub(crate) fn new(client: Client, namespace: &str, holder: String) -> Self {
        Self { leases: Api::namespaced(client, namespace), holder }
    }

    /// Does `work` whenever this process holds the Lease, until told to stop; `work` ends when its token says so.
    /// In between it says why the Lease cannot be had, if it cannot.
    pub(crate) async fn run<W: Future<Output = ()>>(
        &self,
        shutdown: CancellationToken,
        mut stands_by: impl FnMut(Option<String>),
        mut work: impl FnMut(CancellationToken) -> W,
    ) {
        while !shutdown.is_cancelled() {
            match self.try_take().await {
                Ok(None) => {
                    let stop = shutdown.child_token();
                    let keep = async {
                        self.keep(&stop).await;
                        stop.cancel();
                    };
                    tokio::join!(work(stop.clone()), keep);
                    continue;
                }
                // Another one works: that is no problem.
                Ok(Some(holder)) => {
                    tracing::debug!(holder, "another adapter holds the Lease");
                    stands_by(None);
                }
                Err(error) => stands_by(Some(format!("the Lease {NAME} cannot be had: {error}"))),
            }
            tokio::select! {
                () = sleep(RENEW) => {}
                () = shutdown.cancelled() => {}
            }
        }
    }

    /// Returns once the Lease could not be renewed in time, or is somebody else's, or `stop` says so.
    async fn keep(&self, stop: &CancellationToken) {
        let mut renewed = Instant::now();
        loop {
            tokio::select! {
                () = sleep(RENEW) => {}
                () = stop.cancelled() => return self.give_up().await,
            }
            let began = Instant::now();
            match self.try_take().await {
                Ok(None) => renewed = began,
                Ok(Some(holder)) => {
                    tracing::warn!(holder, "another adapter holds the Lease");
                    return;
                }
                Err(error) => tracing::warn!(%error, "the Lease was not renewed"),
            }
            if renewed.elapsed() > STOP {
                tracing::warn!("the Lease could not be renewed in time");
                return;
            }
        }
    }

    /// Takes or renews it; the name of its holder where that is somebody else.
    async fn try_take(&self) -> Result<Option<String>, Error> {
        let now = Timestamp::now();
        let Some(mut lease) = self.leases.get_opt(NAME).await? else {
            let metadata = ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() };
            let lease = Lease { metadata, spec: Some(self.spec(now, now, 0)) };
            return settled(self.leases.create(&PostParams::default(), &lease).await);
        };
        let spec = lease.spec.take().unwrap_or_default();
        let holder = spec.holder_identity.filter(|holder| !holder.is_empty());
        let mine = holder.as_ref() == Some(&self.holder);
        let good = SignedDuration::from_secs(GOOD_SECONDS.into());
        let over = spec.renew_time.is_none_or(|MicroTime(at)| now.duration_since(at) > good);
        if let Some(holder) = holder
            && !mine
            && !over
        {
            return Ok(Some(holder));
        }
        let since = spec.acquire_time.filter(|_| mine).map_or(now, |MicroTime(at)| at);
        let taken = spec.lease_transitions.unwrap_or(0) + i32::from(!mine);
        lease.spec = Some(self.spec(since, now, taken));
        // The resource version that was read goes with it: of two that try, one is refused.
        settled(self.leases.replace(NAME, &PostParams::default(), &lease).await)
    }

    /// Lets the next one have it at once.
    async fn give_up(&self) {
        let Ok(Some(mut lease)) = self.leases.get_opt(NAME).await else { return };
        let Some(spec) = lease.spec.as_mut() else { return };
        if spec.holder_identity.as_ref() == Some(&self.holder) {
            spec.holder_identity = None;
            let _ = self.leases.replace(NAME, &PostParams::default(), &lease).await;
        }
    }

    fn spec(&self, since: Timestamp, now: Timestamp, taken: i32) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(self.holder.clone()),
            lease_duration_seconds: Some(GOOD_SECONDS),
            acquire_time: Some(MicroTime(since)),
            renew_time: Some(MicroTime(now)),
            lease_transitions: Some(taken),
            ..LeaseSpec::default()
        }
    }
}

/// Who holds the Lease of the adapters of one namespace, if anybody does.
///
/// # Errors
///
/// Where the API server does not answer, or does not let it be read.
pub async fn holder(client: Client, namespace: &str) -> Result<Option<String>, Error> {
    let lease = Api::<Lease>::namespaced(client, namespace).get_opt(NAME).await?;
    let spec = lease.and_then(|lease| lease.spec).unwrap_or_default();
    let good = SignedDuration::from_secs(GOOD_SECONDS.into());
    let over =
        spec.renew_time.is_none_or(|MicroTime(at)| Timestamp::now().duration_since(at) > good);
    Ok(spec.holder_identity.filter(|holder| !over && !holder.is_empty()))
}

/// A conflict: somebody else was faster.
fn settled(written: Result<Lease, Error>) -> Result<Option<String>, Error> {
    match written {
        Ok(_) => Ok(None),
        Err(Error::Api(answer)) if answer.code == 409 => Ok(Some("another adapter".to_owned())),
        Err(error) => Err(error),
    }
}

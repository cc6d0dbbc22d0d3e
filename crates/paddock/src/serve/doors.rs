//! What opens runs' doors at the gateway over TCP.

use std::{net::SocketAddr, sync::Arc};

use domain::ids::{Generation, RunId};
use hmac::{Hmac, Mac as _};
use link::Door;
use sha2::{Digest as _, Sha256};

/// Makes the credential of each workload from the secret that control plane and gateways share, so that there
/// is none to store. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Doors(Option<Arc<Made>>);

struct Made {
    secret: Vec<u8>,
    address: SocketAddr,
    full: Option<SocketAddr>,
}

impl Doors {
    /// No run needs one: each has a socket of its own.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// Doors at this address, and at the other one for runs that may reach any public host.
    pub(crate) fn at(address: SocketAddr, full: Option<SocketAddr>, secret: &str) -> Self {
        Self(Some(Arc::new(Made { secret: secret.as_bytes().to_vec(), address, full })))
    }

    /// Whether there is a door for runs that may reach any public host.
    pub(crate) fn may_be_full(&self) -> bool {
        self.0.as_ref().is_none_or(|made| made.full.is_some())
    }

    /// A workload's door.
    pub(crate) fn door(&self, run: RunId, generation: Generation) -> Option<Door> {
        let made = self.0.as_ref()?;
        Some(Door {
            address: made.address.to_string(),
            full: made.full.map(|address| address.to_string()),
            credential: made.credential(run, generation),
        })
    }

    /// What gateways know a workload's credential by.
    pub(crate) fn sha256(&self, run: RunId, generation: Generation) -> Option<String> {
        let made = self.0.as_ref()?;
        Some(hex::encode(Sha256::digest(made.credential(run, generation))))
    }
}

impl Made {
    fn credential(&self, run: RunId, generation: Generation) -> String {
        // A key of any length is taken.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.secret) else {
            return String::new();
        };
        mac.update(b"paddock door v1");
        mac.update(run.0.as_bytes());
        mac.update(&generation.0.to_be_bytes());
        hex::encode(mac.finalize().into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn every_workload_has_a_credential_of_its_own() {
        let doors = Doors::at("192.0.2.1:3129".parse().unwrap(), None, "secret");
        let (one, other) = (RunId(Uuid::from_u128(1)), RunId(Uuid::from_u128(2)));
        let of = |run, generation| doors.door(run, Generation(generation)).unwrap().credential;
        assert_eq!(of(one, 1), of(one, 1));
        assert_ne!(of(one, 1), of(one, 2));
        assert_ne!(of(one, 1), of(other, 1));
        let another = Doors::at("192.0.2.1:3129".parse().unwrap(), None, "another secret");
        assert_ne!(of(one, 1), another.door(one, Generation(1)).unwrap().credential);
        let digest = hex::encode(Sha256::digest(of(one, 1)));
        assert_eq!(doors.sha256(one, Generation(1)), Some(digest));
        assert_eq!(Doors::none().door(one, Generation(1)), None);
    }
}

use std::{
    error::Error,
    io::{self, ErrorKind},
};

/// What a full volume is called, everywhere.
pub(crate) const FULL: &str = "the artifact store is full";

/// Whether an error comes from a volume without room, here or at the other end.
#[must_use]
pub fn is_full(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if matches!(kind, Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded)) {
            return true;
        }
        next = error.source();
    }
    false
}

/// The same error at this end.
pub(crate) fn full() -> io::Error {
    io::Error::new(ErrorKind::StorageFull, FULL)
}

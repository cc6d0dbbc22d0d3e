use std::error::Error;

/// Why the bundle store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The store's address is not one that this build can use.
    #[error(
        "an artifact store is file:///an/absolute/path, s3://bucket/prefix or http://host:port of `paddock artifacts`, \
         not {0}"
    )]
    Address(url::Url),
    /// There is no token for the store's role.
    #[error(
        "the artifact store at {0} wants a token: name its file in PADDOCK_ARTIFACT_TOKEN_FILE"
    )]
    Token(url::Url),
    /// The name is not a SHA-256 in lower-case hexadecimal.
    #[error("a bundle is named by its SHA-256 in lower-case hexadecimal")]
    Name,
    /// There is no such bundle, or it is not this caller's.
    #[error("there is no such bundle")]
    NotFound,
    /// The range does not begin where the bytes received so far end.
    #[error("{have} bytes are there; go on from that")]
    Offset {
        /// How many bytes are there.
        have: u64,
    },
    /// The range makes no sense, or the body is not as long as it says.
    #[error("the range or the length of the body is wrong")]
    Range,
    /// The range that is asked for is none of the bundle's.
    #[error("the bundle has {size} bytes; the range is none of them")]
    Beyond {
        /// How many bytes it has.
        size: u64,
    },
    /// It is larger than bundles may be.
    #[error("a bundle may have at most {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// All bytes are there and their digest is another one. They are gone again.
    #[error("the bytes have another digest; they are dropped")]
    Digest,
    /// The body broke off. What arrived stays, to go on from.
    #[error("the upload broke off")]
    BrokenOff,
    /// There is no room for it. Half of it is nowhere.
    #[error("the artifact store is full")]
    Full(#[source] Box<dyn Error + Send + Sync>),
    /// The file system failed.
    #[error("the artifact store failed")]
    Io(#[source] std::io::Error),
    /// The object store failed, or does not answer.
    #[error("the artifact store does not answer")]
    Object(#[source] object_store::Error),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

impl From<std::io::Error> for BundleError {
    fn from(error: std::io::Error) -> Self {
        if artifacts::is_full(&error) { Self::Full(error.into()) } else { Self::Io(error) }
    }
}

impl From<object_store::Error> for BundleError {
    fn from(error: object_store::Error) -> Self {
        if artifacts::is_full(&error) { Self::Full(error.into()) } else { Self::Object(error) }
    }
}

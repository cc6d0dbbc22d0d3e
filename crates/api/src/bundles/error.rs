/// Why the bundle store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The store's address is not one that this build can use.
    #[error("an artifact store is file:///an/absolute/path or s3://bucket/prefix, not {0}")]
    Address(url::Url),
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
    /// The file system failed.
    #[error("the artifact store failed")]
    Io(#[from] std::io::Error),
    /// The object store failed.
    #[error("the artifact store failed")]
    Object(#[from] object_store::Error),
    /// The database failed.
    #[error("the database failed")]
    Database(#[from] sqlx::Error),
}

/// How much a bundle may unpack to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Of the whole archive, in bytes.
    pub(super) bytes: u64,
    /// Of one file.
    pub(super) file: u64,
    /// Files, directories and links together.
    pub(super) entries: u64,
}

impl Limits {
    /// Far above any repository that is worked on, far below what would fill a machine's memory with names.
    pub(super) const BUNDLE: Self =
        Self { bytes: 16 * 1024 * 1024 * 1024, file: 8 * 1024 * 1024 * 1024, entries: 2_000_000 };
    /// The longest path or link target: the kernel's own limit.
    pub(super) const NAME: u64 = 4096;
    /// The longest manifest.
    pub(super) const MANIFEST: u64 = 8 * 1024 * 1024;
    /// The largest zstd window, as a power of two: 128 MiB.
    pub(super) const WINDOW_LOG: u32 = 27;
}

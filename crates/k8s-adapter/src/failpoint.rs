//! Where a test may end this process in the middle of something. Nothing of it is in a release build.

/// The places, in the order in which a run comes past them.
pub const FAILPOINTS: [&str; 7] = [
    "before-create",
    "pod-made",
    "pod-recorded",
    "created-reported",
    "before-delete",
    "pod-deleted",
    "removed-reported",
];

/// Kills this process if `$PADDOCK_FAILPOINTS` is a directory with a file of that name, which goes first: it happens
/// once.
#[cfg(debug_assertions)]
pub(crate) fn reached(name: &str) {
    use rustix::process::{Signal, getpid, kill_process};
    debug_assert!(FAILPOINTS.contains(&name));
    let Some(dir) = std::env::var_os("PADDOCK_FAILPOINTS") else { return };
    if std::fs::remove_file(std::path::Path::new(&dir).join(name)).is_ok() {
        let _ = kill_process(getpid(), Signal::KILL);
        // It takes a moment to arrive, in which nothing more may be done.
        loop {
            std::thread::park();
        }
    }
}

#[cfg(not(debug_assertions))]
pub(crate) const fn reached(_: &str) {}

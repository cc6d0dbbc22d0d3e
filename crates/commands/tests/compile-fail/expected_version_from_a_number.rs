//! An expected version cannot be made from a number.

use commands::store::LoadedVersion;
use domain::{ids::StreamVersion, stream::StreamId};

fn main() {
    let _ = LoadedVersion { stream: StreamId::LOG, version: StreamVersion(7) };
}

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use axum::body::Body;
use futures::TryStreamExt as _;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::{limits::Limits, manifest::Manifest, unpack::unpack};
use crate::{
    config::Config,
    failure::{Failure, Step},
};

/// Restores a bundle in place of whatever is there.
pub(crate) async fn restore(config: &Config, body: Body) -> Step<Manifest> {
    let stream = body.into_data_stream().map_err(std::io::Error::other);
    let reader = SyncIoBridge::new(StreamReader::new(stream));
    let (repository, state) = (config.repository(), config.state());
    let work = move || {
        for dir in [&repository, &state] {
            clear(dir)?;
            fs::create_dir_all(dir)?;
        }
        unpack(reader, &repository, &state, Limits::BUNDLE)
    };
    tokio::task::spawn_blocking(work).await.map_err(Failure::other)?
}

/// Removes a directory, also one that its owner may not write to.
pub(crate) fn clear(dir: &Path) -> Step<()> {
    match dir.symlink_metadata() {
        Err(_) => return Ok(()),
        Ok(about) if !about.is_dir() => return Ok(fs::remove_file(dir)?),
        Ok(_) => open_up(dir)?,
    }
    Ok(fs::remove_dir_all(dir)?)
}

fn open_up(dir: &Path) -> std::io::Result<()> {
    let permissions = dir.metadata()?.permissions();
    if permissions.mode() & 0o700 != 0o700 {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
    }
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}

use std::{io, os::unix::fs::FileExt as _, sync::Arc};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures::stream;

use super::Harness;
use crate::{
    bundle::Bundle,
    failure::{Failure, Step},
};

/// How much is read at once.
const CHUNK: u64 = 256 * 1024;

/// The bundle's bytes, from the start that a `Range: bytes=N-` names.
pub(super) async fn content(
    State(harness): State<Arc<Harness>>,
    headers: HeaderMap,
) -> Step<Response> {
    let bundle = harness.steps.lock().await.clone();
    let bundle = bundle.ok_or_else(|| Failure::other("there is no snapshot"))?;
    let size = bundle.size;
    let asked = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let from = asked
        .map_or(Some(0), |range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let Some(from) = from.filter(|from| *from <= size) else {
        let range = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
        let failure = Failure::other("this range is not served");
        return Ok((StatusCode::RANGE_NOT_SATISFIABLE, range, failure.into_json()).into_response());
    };
    let length = [(header::CONTENT_LENGTH, (size - from).to_string())];
    let body = Body::from_stream(bytes(bundle, from));
    if from == 0 {
        return Ok((length, body).into_response());
    }
    let range = format!("bytes {from}-{}/{size}", size.saturating_sub(1));
    let range = [(header::CONTENT_RANGE, range)];
    Ok((StatusCode::PARTIAL_CONTENT, length, range, body).into_response())
}

/// Read by place, not by the file's own position: two readers do not disturb each other.
fn bytes(bundle: Bundle, from: u64) -> impl stream::Stream<Item = io::Result<Bytes>> {
    stream::try_unfold(from, move |at| {
        let bundle = bundle.clone();
        async move {
            let left = bundle.size.saturating_sub(at).min(CHUNK);
            if left == 0 {
                return Ok(None);
            }
            let read = tokio::task::spawn_blocking(move || {
                let mut chunk = vec![0; usize::try_from(left).map_err(io::Error::other)?];
                bundle.file.read_exact_at(&mut chunk, at)?;
                io::Result::Ok(chunk)
            });
            let chunk = read.await.map_err(io::Error::other)??;
            Ok(Some((Bytes::from(chunk), at + left)))
        }
    })
}

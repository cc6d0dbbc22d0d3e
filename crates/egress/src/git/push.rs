//! Which pushes pass: one update of the run's own branch.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use domain::github::Branch;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Incoming};

use super::pktline::{Updates, read_updates};
use crate::answer::{BoxError, Refusal};

/// The list of updates is a line or two; only this much of a push is ever held.
const HEAD: usize = 64 * 1024;
/// What is read and thrown away of a push that is refused: a client that still writes may never see
/// the answer otherwise.
const DRAIN: usize = 16 * 1024 * 1024;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);

/// Reads up to the end of the list of updates and checks it. The bytes returned are all that was
/// read: the list, and perhaps the beginning of the pack.
pub(super) async fn read_head<B>(
    body: &mut B,
    branch: &Branch,
    time: Duration,
) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    tokio::time::timeout(time, read(body, branch))
        .await
        .unwrap_or_else(|_| Err(malformed("the list of updates did not come in time")))
}

async fn read<B>(body: &mut B, branch: &Branch) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    let mut head = BytesMut::new();
    loop {
        let bounded = &head[..head.len().min(HEAD)];
        let found = read_updates(bounded).map_err(|error| malformed(&error.to_string()))?;
        if let Some((updates, taken)) = found {
            check(&updates, branch)?;
            if updates.updates.is_empty() {
                // git asks with an empty list whether it may push. Nothing follows one.
                at_end(body, head.len() == taken).await?;
            }
            return Ok(head.freeze());
        }
        if head.len() >= HEAD {
            return Err(malformed("the list of updates is too long"));
        }
        match body.frame().await {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    head.extend_from_slice(data);
                }
            }
            Some(Err(_)) | None => return Err(malformed("the push ends in its list of updates")),
        }
    }
}

async fn at_end<B: Body<Data = Bytes> + Unpin>(
    body: &mut B,
    nothing_yet: bool,
) -> Result<(), Refusal> {
    let mut empty = nothing_yet;
    while empty && !body.is_end_stream() {
        match body.frame().await {
            Some(Ok(frame)) => empty = frame.data_ref().is_none_or(Bytes::is_empty),
            Some(Err(_)) | None => break,
        }
    }
    if empty { Ok(()) } else { Err(malformed("something follows an empty list of updates")) }
}

fn check(updates: &Updates, branch: &Branch) -> Result<(), Refusal> {
    let own = format!("refs/heads/{branch}");
    if let Some(other) = updates.updates.iter().find(|update| update.reference != own) {
        let what = other.reference.chars().take(200).collect::<String>();
        return Err(Refusal::new("git.ref", format!("this run may push {own} only, not {what}")));
    }
    if updates.updates.iter().any(|update| update.deletes) {
        return Err(Refusal::new("git.delete", "a run may not delete its branch"));
    }
    if updates.updates.len() > 1 {
        return Err(malformed("the same branch twice"));
    }
    if updates.capabilities.iter().any(|capability| capability == "push-options") {
        return Err(Refusal::new("git.push-options", "push options are not passed on"));
    }
    Ok(())
}

fn malformed(detail: &str) -> Refusal {
    Refusal::new("git.malformed", detail)
}

/// Reads on for a while.
pub(super) async fn drain(mut body: Incoming) {
    let read = async {
        let mut left = DRAIN;
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, read).await;
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::stream;
    use http_body_util::StreamBody;
    use hyper::body::Frame;

    use super::*;

    const A: &str = "1111111111111111111111111111111111111111";
    const B: &str = "2222222222222222222222222222222222222222";
    const ZERO: &str = "0000000000000000000000000000000000000000";

    fn packet(line: &str) -> String {
        format!("{:04x}{line}", line.len() + 4)
    }

    async fn rule_of(bytes: &[u8], chunk: usize) -> Result<Bytes, &'static str> {
        let frames = bytes
            .chunks(chunk)
            .map(|part| Ok::<_, Infallible>(Frame::data(Bytes::copy_from_slice(part))))
            .collect::<Vec<_>>();
        let mut body = StreamBody::new(stream::iter(frames));
        let branch = "paddock/fix".parse().expect("a branch");
        read_head(&mut body, &branch, Duration::from_secs(9)).await.map_err(|refusal| refusal.rule)
    }

    #[tokio::test]
    async fn only_one_update_of_the_own_branch_passes() {
        let own = format!("{A} {B} refs/heads/paddock/fix");
        let table = [
            ("own", packet(&format!("{own}\0report-status")) + "0000PACK", None),
            ("new", packet(&format!("{ZERO} {B} refs/heads/paddock/fix")) + "0000PACK", None),
            ("probe", "0000".to_owned(), None),
            ("probe and more", "0000PACK".to_owned(), Some("git.malformed")),
            ("two lists", "0000".to_owned() + &packet(&own) + "0000", Some("git.malformed")),
            ("main", packet(&format!("{A} {B} refs/heads/main")) + "0000", Some("git.ref")),
            (
                "prefix",
                packet(&format!("{A} {B} refs/heads/paddock/fix2")) + "0000",
                Some("git.ref"),
            ),
            ("case", packet(&format!("{A} {B} refs/heads/Paddock/fix")) + "0000", Some("git.ref")),
            ("tag", packet(&format!("{A} {B} refs/tags/paddock/fix")) + "0000", Some("git.ref")),
            ("short", packet(&format!("{A} {B} paddock/fix")) + "0000", Some("git.ref")),
            (
                "second",
                packet(&own) + &packet(&format!("{A} {B} refs/heads/main")) + "0000",
                Some("git.ref"),
            ),
            ("twice", packet(&own) + &packet(&own) + "0000", Some("git.malformed")),
            (
                "delete",
                packet(&format!("{A} {ZERO} refs/heads/paddock/fix")) + "0000",
                Some("git.delete"),
            ),
            ("options", packet(&format!("{own}\0push-options")) + "0000", Some("git.push-options")),
            ("cut", packet(&own), Some("git.malformed")),
            ("empty", String::new(), Some("git.malformed")),
        ];
        for (what, bytes, refused) in table {
            for chunk in [1, 7, 100_000] {
                let got = rule_of(bytes.as_bytes(), chunk).await;
                assert_eq!(got.as_ref().err().copied(), refused, "{what} in parts of {chunk}");
                if let Ok(head) = got {
                    assert!(bytes.as_bytes().starts_with(&head), "{what}: what was read is kept");
                }
            }
        }
    }

    #[tokio::test]
    async fn an_endless_list_is_given_up() {
        let list = packet(&format!("{A} {B} refs/heads/paddock/fix")).repeat(2_000);
        assert_eq!(rule_of(list.as_bytes(), 4_096).await, Err("git.malformed"));
    }
}

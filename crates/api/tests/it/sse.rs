//! A reader of server-sent events.

use std::time::Duration;

use futures::StreamExt as _;
use reqwest::{Method, Response};
use serde_json::Value;

use crate::front::Front;

/// For the next event.
const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) struct Events {
    body: futures::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    rest: Vec<u8>,
    /// Those that were read while something else was waited for.
    pub(crate) seen: Vec<(String, Value)>,
}

impl Events {
    /// Opens the stream of these topics and takes its greeting off.
    pub(crate) async fn open(front: &Front, topics: &str) -> Self {
        let path = format!("/api/v1/events?topics={topics}");
        let answer = front.request(Method::GET, &path).send().await.unwrap();
        let mut events = Self::of(answer);
        let (kind, hello) = events.next().await.unwrap();
        assert_eq!(kind, "hello");
        assert!(hello["server"].is_string() && hello["epoch"].is_string(), "{hello}");
        events
    }

    pub(crate) fn of(answer: Response) -> Self {
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self { body: answer.bytes_stream().boxed(), rest: vec![], seen: vec![] }
    }

    /// The next event, by its name; none once the stream has ended. Keep-alives are no events: a stream that says
    /// nothing else fails the test.
    pub(crate) async fn next(&mut self) -> Option<(String, Value)> {
        let until = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some(end) = self.rest.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = self.rest.drain(..end + 2).collect();
                let block = String::from_utf8(block).unwrap();
                let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
                let Some(data) = field("data: ") else { continue };
                let kind = field("event: ").unwrap_or("message").to_owned();
                return Some((kind, serde_json::from_str(data).unwrap()));
            }
            let more = tokio::time::timeout_at(until, self.body.next()).await;
            match more.unwrap_or_else(|_| panic!("an event within {PATIENCE:?}")) {
                Some(Ok(bytes)) => self.rest.extend_from_slice(&bytes),
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// The next event of a name.
    pub(crate) async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let (found, data) = self.next().await.expect("the stream goes on");
            if found == kind {
                return data;
            }
            self.seen.push((found, data));
        }
    }

    /// Whatever comes within a moment.
    pub(crate) async fn moment(&mut self) -> Vec<(String, Value)> {
        let mut all = vec![];
        let end = tokio::time::Instant::now() + Duration::from_millis(700);
        while let Ok(Some(event)) = tokio::time::timeout_at(end, self.next()).await {
            all.push(event);
        }
        all
    }
}

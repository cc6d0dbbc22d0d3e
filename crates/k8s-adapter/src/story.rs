//! What the cluster says of a pod, in lines, for its run's time line: the pod itself is gone soon after its end.

use k8s_openapi::api::core::v1::{ContainerStatus, Event, Pod};
use kube::{
    Api, Client,
    api::{ListParams, LogParams},
};

/// The most events and the most lines of a container's log.
const EVENTS: usize = 40;
const LINES: i64 = 20;
/// The most bytes of a log's end, and characters of a line.
const LOG: i64 = 8 * 1024;
const LINE: usize = 400;

/// Reads events and logs of one namespace.
#[derive(Clone)]
pub(crate) struct Stories {
    pods: Api<Pod>,
    events: Api<Event>,
}

impl Stories {
    pub(crate) fn of(client: &Client, namespace: &str) -> Self {
        Self {
            pods: Api::namespaced(client.clone(), namespace),
            events: Api::namespaced(client.clone(), namespace),
        }
    }

    /// Where it was put and what its images took.
    pub(crate) async fn began(&self, pod: &str) -> kube::Result<String> {
        Ok(join(self.events(pod).await?))
    }

    /// The same, how each container ended and the last lines that it wrote.
    pub(crate) async fn ended(&self, name: &str) -> kube::Result<String> {
        let mut lines = self.events(name).await?;
        let pod = self.pods.get_opt(name).await?;
        for container in pod.iter().flat_map(containers) {
            lines.extend(end(container));
            let tail = LogParams {
                container: Some(container.name.clone()),
                tail_lines: Some(LINES),
                limit_bytes: Some(LOG),
                ..LogParams::default()
            };
            // One that never ran has none.
            let log = self.pods.logs(name, &tail).await.unwrap_or_default();
            lines.extend(log.lines().map(|line| format!("{}: {line}", container.name)));
        }
        Ok(join(lines))
    }

    async fn events(&self, pod: &str) -> kube::Result<Vec<String>> {
        let of_it = format!("involvedObject.kind=Pod,involvedObject.name={pod}");
        let mut events = self.events.list(&ListParams::default().fields(&of_it)).await?.items;
        events.sort_by_key(first);
        let skipped = events.len().saturating_sub(EVENTS);
        Ok(events.iter().skip(skipped).map(line).collect())
    }
}

fn first(event: &Event) -> Option<k8s_openapi::jiff::Timestamp> {
    let first = event.first_timestamp.as_ref().map(|time| time.0);
    first.or_else(|| event.event_time.as_ref().map(|time| time.0))
}

fn line(event: &Event) -> String {
    let at = first(event).map(|at| at.strftime("%H:%M:%S ").to_string()).unwrap_or_default();
    let reason = event.reason.as_deref().unwrap_or("Event");
    let message = event.message.as_deref().unwrap_or_default();
    let times = event.count.filter(|count| *count > 1);
    let times = times.map(|count| format!(" ({count} times)")).unwrap_or_default();
    format!("{at}{reason}: {message}{times}")
}

fn containers(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.iter();
    status.flat_map(|status| {
        let init = status.init_container_statuses.iter().flatten();
        init.chain(status.container_statuses.iter().flatten())
    })
}

fn end(container: &ContainerStatus) -> Option<String> {
    let ended = container.state.as_ref()?.terminated.as_ref()?;
    let reason = ended.reason.as_deref().unwrap_or("Ended");
    Some(format!("{} ended with {} ({reason})", container.name, ended.exit_code))
}

/// A text of bounded lines without anything but characters that are seen.
fn join(lines: Vec<String>) -> String {
    let plain = |line: String| -> String {
        line.chars().filter(|letter| !letter.is_control()).take(LINE).collect()
    };
    lines.into_iter().map(plain).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_a_line() {
        let event: Event = serde_json::from_value(json!({
            "metadata": {}, "involvedObject": {}, "reason": "Pulled", "count": 3,
            "message": "Successfully pulled image in 3.2s", "firstTimestamp": "2026-01-02T03:04:05Z",
        }))
        .unwrap();
        assert_eq!(line(&event), "03:04:05 Pulled: Successfully pulled image in 3.2s (3 times)");
    }

    #[test]
    fn what_a_container_writes_is_bounded_and_plain() {
        let text = join(vec!["\u{1b}[31mred\u{7}".to_owned(), "x".repeat(1000)]);
        assert_eq!(text, format!("[31mred\n{}", "x".repeat(LINE)));
    }
}

//! A transcript in pages says what the fold of the whole output says.

use std::time::Instant;

use link::{Body, Fold, Item};
use serde_json::{Value, json};

use crate::{
    front::Front,
    world::{Sidecar, Workload},
};

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % most
    }
}

/// Output as it comes, and as it might come from somebody who wants to do harm.
fn items(count: usize) -> Vec<Item> {
    let mut dice = Dice(7);
    let mut lengths = std::collections::BTreeMap::<(String, &str), usize>::new();
    let mut items = vec![];
    while items.len() < count {
        let message = format!("msg_{:02}", dice.below(12));
        // The same names for parts and messages, now and then.
        let part = match dice.below(20) {
            0 => message.clone(),
            1 => "prt_\0\u{1b}[31m".to_owned(),
            2 => "p".repeat(3_000),
            _ => format!("prt_{:03}", dice.below(90)),
        };
        let field = ["/text", "/state/output", "/no/such/place", "odd"][dice.below(4)];
        items.push(match dice.below(24) {
            0 => Item::Removed { id: part },
            1 => Item::Removed { id: message },
            2..=5 => Item::Message {
                info: json!({ "id": message, "role": "assistant", "cost": dice.below(9) }),
                id: message,
            },
            6..=14 => Item::Part {
                part: json!({ "id": part, "n": dice.below(100), "state": { "x": "y" } }),
                message,
                id: part,
            },
            _ => {
                let length = lengths.entry((part.clone(), field)).or_default();
                // Sometimes anew, sometimes a repeat, sometimes in the wrong place.
                let offset = match dice.below(6) {
                    0 => 0,
                    1 => *length + 1,
                    _ => *length,
                };
                let text = "äb".repeat(dice.below(40));
                if offset == 0 {
                    *length = text.len();
                } else if offset == *length {
                    *length += text.len();
                }
                Item::Text { part, field: field.to_owned(), offset: offset as u64, text }
            }
        });
    }
    items
}

async fn store(sidecar: &mut Sidecar, items: &[Item], at_once: usize) {
    let mut last = 0;
    for lot in items.chunks(at_once) {
        last = sidecar.frame(Body::Output { items: lot.to_vec() }).await;
    }
    sidecar.acked(last).await;
}

/// All pages, put together in the order of time.
async fn pages(front: &Front, workload: &Workload, limit: u32) -> Vec<Value> {
    let mut all: Vec<Value> = vec![];
    let mut before = String::new();
    loop {
        let path = format!("/api/v1/runs/{}/transcript?limit={limit}{before}", workload.run);
        let page = front.read(&path).await;
        let mut items = page["items"].as_array().unwrap().clone();
        assert!(items.len() <= limit as usize);
        items.append(&mut all);
        all = items;
        match page["next"].as_str() {
            Some(next) => before = format!("&before={next}"),
            None => return all,
        }
    }
}

fn folded(items: &[Item]) -> Vec<(Value, Value)> {
    let mut fold = Fold::default();
    for item in items {
        fold.push(item);
    }
    let messages = fold.messages().into_iter();
    messages
        .flat_map(|message| {
            let id = message.info["id"].clone();
            message.parts.into_iter().map(move |part| (id.clone(), part))
        })
        .collect()
}

#[tokio::test]
async fn pages_put_together_are_the_fold_of_the_whole_output() {
    let front = Front::new().await;
    let (workload, mut sidecar) = front.world.running().await;
    front.caught_up().await;
    let items = items(1_200);
    for (from, to, at_once) in [(0, 400, 1), (400, 900, 37), (900, 1_200, 300)] {
        store(&mut sidecar, &items[from..to], at_once).await;
        let expected = folded(&items[..to]);
        assert!(expected.len() > 10, "{}", expected.len());
        for limit in [3, 200] {
            let pages = pages(&front, &workload, limit).await;
            let shown: Vec<(Value, Value)> = pages
                .iter()
                .map(|part| (part["message_id"].clone(), part["part"].clone()))
                .collect();
            assert_eq!(shown, expected, "after {to} items, {limit} at once");
            assert!(pages.iter().all(|part| part["role"] == "assistant"));
        }
    }
    let path = format!("/api/v1/runs/{}/transcript", workload.run);
    assert_eq!(front.read(&path).await["seq"], 1_200);
    for (_, part) in folded(&items).iter().step_by(7) {
        let id: String =
            url::form_urlencoded::byte_serialize(part["id"].as_str().unwrap().as_bytes())
                .collect::<String>()
                .replace('+', "%20");
        let whole = front.read(&format!("/api/v1/runs/{}/parts/{id}", workload.run)).await;
        assert_eq!(whole["part"], *part);
    }
    assert_eq!(
        front.get(&format!("/api/v1/runs/{}/parts/prt_none", workload.run)).await.status,
        404
    );
    front.end().await;
}

fn message(id: &str) -> Item {
    Item::Message { id: id.into(), info: json!({ "id": id, "role": "assistant" }) }
}

fn part(message: &str, id: &str, part: Value) -> Item {
    Item::Part { message: message.into(), id: id.into(), part }
}

#[tokio::test]
async fn long_texts_are_cut_in_pages_and_whole_by_themselves() {
    let front = Front::new().await;
    let (workload, mut sidecar) = front.world.running().await;
    front.caught_up().await;
    let line = "0123456789abcdef".repeat(1024);
    let mut items = vec![
        message("msg_1"),
        part("msg_1", "prt_1", json!({ "id": "prt_1", "type": "tool", "state": {} })),
    ];
    let pieces = 5 * 64;
    items.extend((0..pieces).map(|n| Item::Text {
        part: "prt_1".into(),
        field: "/state/output".into(),
        offset: n * line.len() as u64,
        text: line.clone(),
    }));
    store(&mut sidecar, &items, 1).await;
    let path = format!("/api/v1/runs/{}", workload.run);
    let page = front.read(&format!("{path}/transcript")).await;
    let shown = &page["items"][0];
    let bytes = pieces * line.len() as u64;
    assert_eq!(shown["cut"], json!([{ "field": "/state/output", "bytes": bytes }]));
    let text = shown["part"]["state"]["output"].as_str().unwrap();
    assert_eq!(text.len(), 32 * 1024);
    assert!(text.starts_with("0123456789abcdef") && text.ends_with("0123456789abcdef"));
    let whole = front.read(&format!("{path}/parts/prt_1")).await;
    assert_eq!(whole["part"]["state"]["output"].as_str().unwrap().len() as u64, bytes);
    front.end().await;
}

#[tokio::test]
async fn what_was_left_out_is_told_in_its_place_and_messages_say_who_and_how() {
    let front = Front::new().await;
    let (workload, mut sidecar) = front.world.running().await;
    front.caught_up().await;
    let info = json!({
        "id": "msg_2", "role": "assistant", "providerID": "acme", "modelID": "large",
        "time": { "created": 1_700_000_000_000_u64, "completed": 1_700_000_001_500_u64 },
        "cost": 0.25, "tokens": { "input": 7, "output": 3, "reasoning": 0, "cache": { "read": 5 } },
        "error": { "name": "APIError", "data": { "message": "x".repeat(9_000) } },
    });
    let gap = |reason: &str| Item::Gap { reason: reason.to_owned() };
    let items = [
        gap("first"),
        message("msg_1"),
        part("msg_1", "prt_1", json!({ "type": "text" })),
        gap("second"),
        gap("third"),
        part("msg_1", "prt_2", json!({ "type": "text" })),
        Item::Message { id: "msg_2".into(), info },
        part("msg_2", "prt_3", json!({ "type": "text" })),
    ];
    store(&mut sidecar, &items, 3).await;
    for limit in [1, 50] {
        let pages = pages(&front, &workload, limit).await;
        let shown: Vec<&str> = pages
            .iter()
            .map(|part| part["part"]["reason"].as_str().or(part["id"].as_str()).unwrap())
            .collect();
        assert_eq!(shown, ["first", "prt_1", "second", "third", "prt_2", "prt_3"]);
        let last = &pages[5]["message"];
        assert_eq!(last["model"], "acme/large");
        assert_eq!(last["created"], "2023-11-14T22:13:20Z");
        assert_eq!(last["completed"], "2023-11-14T22:13:21.500Z");
        assert_eq!(last["tokens"], json!({ "input": 7, "output": 3, "reasoning": 0, "cached": 5 }));
        assert_eq!(last["error"].as_str().unwrap().len(), 2_000);
    }
    // A deleted session's output is gone, with its index.
    front.world.outputs.remove(workload.run).await.unwrap();
    assert!(pages(&front, &workload, 50).await.is_empty());
    front.end().await;
}

/// Run by hand: `cargo test -p paddock-api --test it fifty_thousand -- --ignored --nocapture`.
#[tokio::test]
#[ignore = "a measurement, not a test"]
async fn fifty_thousand_parts() {
    let front = Front::new().await;
    let (workload, mut sidecar) = front.world.running().await;
    front.caught_up().await;
    let begun = Instant::now();
    for lot in 0..500 {
        let id = format!("msg_{lot:05}");
        let mut items = vec![message(&id)];
        for n in 0..100 {
            let prt = format!("prt_{:07}", lot * 100 + n);
            items.push(part(
                &id,
                &prt,
                json!({ "id": prt, "type": "tool", "tool": "bash",
                "state": { "status": "completed", "title": "npm test" } }),
            ));
            items.push(Item::Text {
                part: prt,
                field: "/state/output".into(),
                offset: 0,
                text: "line of output\n".repeat(12),
            });
        }
        store(&mut sidecar, &items, 67).await;
    }
    println!("50,000 parts stored in {:?}", begun.elapsed());
    let path = format!("/api/v1/runs/{}/transcript?limit=200", workload.run);
    let mut before = String::new();
    let (mut pages, mut slowest) = (0, std::time::Duration::ZERO);
    let begun = Instant::now();
    loop {
        let one = Instant::now();
        let page = front.read(&format!("{path}{before}")).await;
        if pages == 0 {
            println!("the first page of 200 in {:?}", one.elapsed());
        }
        slowest = slowest.max(one.elapsed());
        pages += 1;
        let Some(next) = page["next"].as_str() else { break };
        before = format!("&before={next}");
    }
    println!("{pages} pages in {:?}, the slowest in {slowest:?}", begun.elapsed());
    let begun = Instant::now();
    let (messages, _) = front.world.outputs.transcript(workload.run).await.unwrap();
    println!("the whole folded: {} messages in {:?}", messages.len(), begun.elapsed());
    front.end().await;
}

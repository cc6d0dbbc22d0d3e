//! Following what the agent puts out: its message list is compared with what was sent, and only the
//! difference becomes output. Each byte of text is sent once.

use std::collections::BTreeMap;

use link::{Item, MAX_OUTPUT_BYTES};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::opencode::Listed;

/// A string from this length on is sent in pieces as it grows.
const LONG: usize = 1024;
/// These grow while the agent works: always sent in pieces.
const GROWING: [&str; 3] = ["/text", "/state/output", "/state/metadata/output"];

/// What was sent so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sent {
    messages: BTreeMap<String, String>,
    parts: BTreeMap<String, SentPart>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct SentPart {
    message: String,
    skeleton: String,
    texts: BTreeMap<String, SentText>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SentText {
    bytes: usize,
    /// FNV-1a over those bytes: it can be carried on piece by piece.
    hash: u64,
}

impl Sent {
    /// The items that make what was sent equal to `messages`.
    pub(crate) fn advance(&mut self, messages: &[Listed]) -> Vec<Item> {
        let mut items = Vec::new();
        self.removed(messages, &mut items);
        for listed in messages {
            let Some(message) = listed.info["id"].as_str() else { continue };
            let digest = digest_of(listed.info.to_string().as_bytes());
            if self.messages.get(message) != Some(&digest) {
                self.messages.insert(message.to_owned(), digest);
                items.push(Item::Message { id: message.to_owned(), info: listed.info.clone() });
            }
            for part in &listed.parts {
                if let Some(id) = part["id"].as_str() {
                    self.part(message, id, part, &mut items);
                }
            }
        }
        items
    }

    /// The items by which a part's text, of which something was sent, becomes `text`; none where it is not that
    /// text's beginning that was sent.
    pub(crate) fn grow(&mut self, part: &str, field: &str, text: &str) -> Vec<Item> {
        let mut items = Vec::new();
        if let Some(known) = self.parts.get_mut(part).and_then(|part| part.texts.get_mut(field))
            && known.bytes < text.len()
            && known.begins(text)
        {
            pieces(part, field, text, known.bytes, &mut items);
            *known = SentText::of(text);
        }
        items
    }

    /// Takes note of items that were sent before this process began.
    pub(crate) fn replay(&mut self, items: &[Item]) {
        for item in items {
            match item {
                Item::Message { id, info } => {
                    self.messages.insert(id.clone(), digest_of(info.to_string().as_bytes()));
                }
                Item::Part { message, id, part } => {
                    let sent = self.parts.entry(id.clone()).or_default();
                    message.clone_into(&mut sent.message);
                    sent.skeleton = digest_of(part.to_string().as_bytes());
                }
                Item::Text { part, field, offset, text } => {
                    let sent = self.parts.entry(part.clone()).or_default();
                    let known = sent.texts.entry(field.clone()).or_insert(SentText::NOTHING);
                    if *offset == 0 {
                        *known = SentText::NOTHING;
                    }
                    *known = known.and(text);
                }
                Item::Removed { id } => self.forget(id),
                Item::Gap { .. } => {}
            }
        }
    }

    fn part(&mut self, message: &str, id: &str, part: &Value, items: &mut Vec<Item>) {
        let mut skeleton = part.clone();
        let known = self.parts.get(id);
        let streamed: Vec<String> =
            known.map(|known| known.texts.keys().cloned().collect()).unwrap_or_default();
        let mut texts = Vec::new();
        take_texts(&mut skeleton, "", &streamed, &mut texts);
        if streamed.iter().any(|field| !texts.iter().any(|(taken, _)| taken == field)) {
            // A text that was sent is not there any more: only a new beginning says so.
            items.push(Item::Removed { id: id.to_owned() });
            self.forget(id);
        }
        let digest = digest_of(skeleton.to_string().as_bytes());
        let sent = self.parts.entry(id.to_owned()).or_default();
        if sent.skeleton != digest {
            sent.skeleton = digest;
            message.clone_into(&mut sent.message);
            items.push(Item::Part {
                message: message.to_owned(),
                id: id.to_owned(),
                part: skeleton,
            });
        }
        for (field, text) in texts {
            let from = match sent.texts.get(&field) {
                Some(known) if known.begins(&text) => {
                    if known.bytes == text.len() {
                        continue;
                    }
                    known.bytes
                }
                _ => 0,
            };
            pieces(id, &field, &text, from, items);
            sent.texts.insert(field, SentText::of(&text));
        }
    }

    fn removed(&mut self, messages: &[Listed], items: &mut Vec<Item>) {
        let there = |id: &str| {
            messages.iter().any(|listed| {
                listed.info["id"] == *id || listed.parts.iter().any(|part| part["id"] == *id)
            })
        };
        let known = self.messages.keys().chain(self.parts.keys());
        let gone: Vec<String> = known.filter(|id| !there(id)).cloned().collect();
        for id in gone {
            self.forget(&id);
            items.push(Item::Removed { id });
        }
    }

    fn forget(&mut self, id: &str) {
        self.messages.remove(id);
        self.parts.remove(id);
        self.parts.retain(|_, part| part.message != id);
    }
}

impl SentText {
    const NOTHING: Self = Self { bytes: 0, hash: 0xcbf2_9ce4_8422_2325 };

    fn of(text: &str) -> Self {
        Self::NOTHING.and(text)
    }

    fn and(&self, piece: &str) -> Self {
        let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Self { bytes: self.bytes + piece.len(), hash: piece.bytes().fold(self.hash, step) }
    }

    /// Whether `text` begins with what was sent.
    fn begins(&self, text: &str) -> bool {
        text.get(..self.bytes).is_some_and(|prefix| Self::of(prefix) == *self)
    }
}

fn digest_of(bytes: &[u8]) -> String {
    hex::encode(&Sha256::digest(bytes)[..16])
}

/// Takes the texts that are sent in pieces out of a part.
fn take_texts(value: &mut Value, at: &str, streamed: &[String], texts: &mut Vec<(String, String)>) {
    let Value::Object(object) = value else { return };
    let mut taken = Vec::new();
    for (key, value) in object.iter_mut() {
        if key.contains(['/', '~']) {
            continue;
        }
        let field = format!("{at}/{key}");
        match value {
            Value::String(text) => {
                let growing = GROWING.contains(&field.as_str());
                if growing || text.len() >= LONG || streamed.contains(&field) {
                    texts.push((field, std::mem::take(text)));
                    taken.push(key.clone());
                }
            }
            Value::Object(_) => take_texts(value, &field, streamed, texts),
            _ => {}
        }
    }
    for key in taken {
        object.remove(&key);
    }
}

fn pieces(part: &str, field: &str, text: &str, from: usize, items: &mut Vec<Item>) {
    let mut offset = from;
    loop {
        let mut end = text.len().min(offset + MAX_OUTPUT_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        items.push(Item::Text {
            part: part.to_owned(),
            field: field.to_owned(),
            offset: offset as u64,
            text: text[offset..end].to_owned(),
        });
        offset = end;
        if offset == text.len() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use link::Fold;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn listed(text: &str, output: Option<&str>, title: &str) -> Vec<Listed> {
        let mut tool = json!({ "id": "prt_2", "type": "tool", "state": { "title": title } });
        if let Some(output) = output {
            tool["state"]["output"] = output.into();
        }
        vec![Listed {
            info: json!({ "id": "msg_1", "role": "assistant", "title": title }),
            parts: vec![json!({ "id": "prt_1", "type": "text", "text": text }), tool],
        }]
    }

    fn folded(fold: &Fold) -> Vec<Listed> {
        let messages = fold.messages().into_iter();
        messages.map(|message| Listed { info: message.info, parts: message.parts }).collect()
    }

    proptest! {
        #[test]
        fn the_stored_items_fold_to_the_agents_own_list(
            steps in prop::collection::vec(
                ("[a-zäß€]{0,40}", prop::option::of("[x-zÿ]{0,2000}"), "[a-c]{0,3}"), 1..12),
            restart in 0usize..12,
        ) {
            let (mut sent, mut fold, mut all) = (Sent::default(), Fold::default(), Vec::new());
            let mut text = String::new();
            for (at, (more, output, title)) in steps.iter().enumerate() {
                text.push_str(more);
                let now = listed(&text, output.as_deref(), title);
                let items = sent.advance(&now);
                for item in &items {
                    fold.push(item);
                }
                all.extend(items);
                prop_assert_eq!(folded(&fold), now);
                if at == restart {
                    let mut again = Sent::default();
                    again.replay(&all);
                    prop_assert_eq!(&again, &sent);
                    sent = again;
                }
            }
        }
    }

    #[test]
    fn each_byte_of_a_growing_text_is_sent_once() {
        let mut sent = Sent::default();
        let mut bytes = 0;
        let mut text = String::new();
        for line in 0..500 {
            writeln!(text, "line {line} é").unwrap();
            for item in sent.advance(&listed(&text, None, "t")) {
                if let Item::Text { text, .. } = item {
                    bytes += text.len();
                }
            }
        }
        assert_eq!(bytes, text.len());
        assert!(sent.advance(&listed(&text, None, "t")).is_empty());
    }

    #[test]
    fn a_text_grows_between_two_looks_and_only_where_its_beginning_was_sent() {
        let (mut sent, mut fold) = (Sent::default(), Fold::default());
        let mut all = sent.advance(&listed("", None, "t"));
        all.extend(sent.grow("prt_1", "/text", "One"));
        all.extend(sent.grow("prt_1", "/text", "One two"));
        assert!(sent.grow("prt_1", "/text", "One").is_empty());
        assert!(sent.grow("prt_1", "/text", "Another text").is_empty());
        assert!(sent.grow("prt_9", "/text", "Of nothing known").is_empty());
        let items = sent.advance(&listed("One two.", None, "t"));
        assert!(matches!(&items[..], [Item::Text { offset: 7, text, .. }] if text == "."));
        all.extend(items);
        for item in &all {
            fold.push(item);
        }
        assert_eq!(folded(&fold), listed("One two.", None, "t"));
    }

    #[test]
    fn a_message_that_is_taken_back_is_taken_back() {
        let (mut sent, mut fold) = (Sent::default(), Fold::default());
        for messages in [listed("a", Some("b"), "t"), vec![]] {
            for item in sent.advance(&messages) {
                fold.push(&item);
            }
        }
        assert!(fold.messages().is_empty());
        assert_eq!(sent, Sent::default());
    }
}

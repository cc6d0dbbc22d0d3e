//! What the agent puts out, as an append-only list of items, and the fold that makes the agent's own
//! message list of it again.
//!
//! Long texts are sent as they grow: a part first without them, then pieces. A piece names its place
//! in UTF-8 bytes, so that each byte is stored once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One item of output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "item", rename_all = "snake_case")]
pub enum Item {
    /// A message began or its information changed: the newest counts.
    Message {
        /// The agent's id.
        id: String,
        /// The agent's own JSON of it.
        info: Value,
    },
    /// A part began or changed: the newest counts. Texts that are sent as pieces are absent from it.
    Part {
        /// The message it belongs to.
        message: String,
        /// The agent's id.
        id: String,
        /// The agent's own JSON of it, without the texts that come as pieces.
        part: Value,
    },
    /// More of a part's text.
    Text {
        /// The part.
        part: String,
        /// Where the text belongs, as a JSON pointer into the part, such as `/text` or
        /// `/state/output`.
        field: String,
        /// How many bytes of that text came before. Zero begins it anew.
        offset: u64,
        /// The piece.
        text: String,
    },
    /// The agent took a part or a message back.
    Removed {
        /// Its id.
        id: String,
    },
    /// Something was left out, and why: the spool was full, a line too long.
    Gap {
        /// Why, in one line.
        reason: String,
    },
}

/// A message with its parts, as the agent lists it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The agent's own JSON of it.
    pub info: Value,
    /// Its parts, in the order of their ids, which is the order in time.
    pub parts: Vec<Part>,
}

/// A part, whole again.
pub type Part = Value;

/// Makes the agent's message list of stored items.
#[derive(Clone, Debug, Default)]
pub struct Fold {
    messages: BTreeMap<String, Value>,
    parts: BTreeMap<String, (String, Value)>,
    texts: BTreeMap<(String, String), String>,
}

impl Fold {
    /// Takes in the next item.
    pub fn push(&mut self, item: &Item) {
        match item {
            Item::Message { id, info } => {
                self.messages.insert(id.clone(), info.clone());
            }
            Item::Part { message, id, part } => {
                self.parts.insert(id.clone(), (message.clone(), part.clone()));
            }
            Item::Text { part, field, offset, text } => {
                let known = self.texts.entry((part.clone(), field.clone())).or_default();
                if *offset == 0 {
                    known.clear();
                }
                if usize::try_from(*offset) == Ok(known.len()) {
                    known.push_str(text);
                }
            }
            Item::Removed { id } => {
                self.messages.remove(id);
                self.parts.remove(id);
                self.parts.retain(|_, (message, _)| message != id);
                self.texts.retain(|(part, _), _| part != id);
            }
            Item::Gap { .. } => {}
        }
    }

    /// The messages, in the order of their ids, which is the order in time.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.messages
            .iter()
            .map(|(id, info)| Message {
                info: info.clone(),
                parts: self
                    .parts
                    .iter()
                    .filter(|(_, (message, _))| message == id)
                    .filter_map(|(part, _)| self.part(part))
                    .collect(),
            })
            .collect()
    }

    /// A part with its texts in place.
    #[must_use]
    pub fn part(&self, id: &str) -> Option<Part> {
        let mut part = self.parts.get(id)?.1.clone();
        let texts = self.texts.range((id.to_owned(), String::new())..);
        for ((_, field), text) in texts.take_while(|((of, _), _)| of == id) {
            put(&mut part, field, text);
        }
        Some(part)
    }
}

fn put(part: &mut Value, pointer: &str, text: &str) {
    let Some((parent, key)) = pointer.rsplit_once('/') else { return };
    if let Some(Value::Object(object)) = part.pointer_mut(parent) {
        object.insert(key.to_owned(), Value::String(text.to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(offset: u64, text: &str) -> Item {
        Item::Text { part: "p".into(), field: "/state/output".into(), offset, text: text.into() }
    }

    #[test]
    fn pieces_are_put_together_where_they_belong_and_repeats_are_dropped() {
        let mut fold = Fold::default();
        for item in [
            Item::Message { id: "m".into(), info: json!({"id": "m"}) },
            Item::Part {
                message: "m".into(),
                id: "p".into(),
                part: json!({"id": "p", "state": {}}),
            },
            text(0, "one "),
            text(4, "two"),
            text(4, "two"),
        ] {
            fold.push(&item);
        }
        let parts = &fold.messages()[0].parts;
        assert_eq!(parts[0], json!({"id": "p", "state": {"output": "one two"}}));
    }

    #[test]
    fn a_piece_at_zero_begins_the_text_anew() {
        let mut fold = Fold::default();
        for item in [
            Item::Message { id: "m".into(), info: json!({}) },
            Item::Part { message: "m".into(), id: "p".into(), part: json!({"state": {}}) },
            text(0, "wrong"),
            text(0, "right"),
        ] {
            fold.push(&item);
        }
        assert_eq!(fold.part("p"), Some(json!({"state": {"output": "right"}})));
    }
}

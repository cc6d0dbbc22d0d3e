//! One part, put together of its items without holding more of a long text than its beginning and end.

use std::collections::BTreeMap;

use link::Item;
use serde_json::Value;

/// A string longer than this is cut: its beginning and its end are kept.
pub(crate) const WHOLE: usize = 32 * 1024;
/// How many texts of a part may be that long; further ones are cut shorter.
const LONG_TEXTS: usize = 16;
/// The length from which those are cut.
const SHORT: usize = 1024;
/// How deep a part is looked into.
const DEPTH: usize = 32;

/// A text that grows piece by piece.
#[derive(Debug)]
struct Growing {
    most: usize,
    bytes: usize,
    beginning: String,
    end: String,
}

impl Growing {
    fn new(most: usize) -> Self {
        Self { most, bytes: 0, beginning: String::new(), end: String::new() }
    }

    fn push(&mut self, piece: &str) {
        self.bytes += piece.len();
        let room = (self.most / 2).saturating_sub(self.beginning.len());
        let split = if self.end.is_empty() { piece.floor_char_boundary(room) } else { 0 };
        self.beginning.push_str(&piece[..split]);
        self.end.push_str(&piece[split..]);
        // Now and then, so that a text of many pieces is not moved with each.
        if self.end.len() > self.most * 2 {
            self.trim();
        }
    }

    fn trim(&mut self) {
        let cut = self.end.len().saturating_sub(self.most / 2);
        self.end.drain(..self.end.ceil_char_boundary(cut));
    }

    /// The text, and whether it was cut.
    fn finish(mut self) -> (String, bool) {
        let cut = self.bytes > self.most;
        if cut {
            self.trim();
        }
        (self.beginning + &self.end, cut)
    }
}

/// What is left of a string that was cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Where it is: a JSON pointer into the part.
    pub(crate) field: String,
    /// How long it is.
    pub(crate) bytes: u64,
}

/// One part while its items are read.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    /// The id of its message and its own.
    ids: Option<(String, String)>,
    skeleton: Value,
    texts: BTreeMap<String, Growing>,
}

/// A part, put together.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Assembled {
    pub(crate) message: String,
    pub(crate) id: String,
    pub(crate) part: Value,
    pub(crate) cut: Vec<Cut>,
}

impl Assembly {
    /// Takes in the next item of the part, as [`link::Fold`] does.
    pub(super) fn push(&mut self, item: Item) {
        match item {
            Item::Part { message, id, part } => {
                self.ids = Some((message, id));
                self.skeleton = part;
            }
            Item::Text { field, offset, text, .. } => {
                let texts = self.texts.len();
                let most = if texts < LONG_TEXTS { WHOLE } else { SHORT };
                let known = self.texts.entry(field).or_insert_with(|| Growing::new(most));
                if offset == 0 {
                    *known = Growing::new(known.most);
                }
                if usize::try_from(offset) == Ok(known.bytes) {
                    known.push(&text);
                }
            }
            Item::Message { .. } | Item::Removed { .. } | Item::Gap { .. } => {}
        }
    }

    /// The part; none if only texts of it came.
    pub(super) fn finish(self) -> Option<Assembled> {
        let (message, id) = self.ids?;
        let mut part = self.skeleton;
        let mut cut = Vec::new();
        shorten(&mut part, &mut String::new(), DEPTH, &mut cut);
        for (field, text) in self.texts {
            let bytes = text.bytes as u64;
            let (text, was_cut) = text.finish();
            if put(&mut part, &field, text) {
                cut.retain(|cut: &Cut| cut.field != field);
                if was_cut {
                    cut.push(Cut { field, bytes });
                }
            }
        }
        Some(Assembled { message, id, part, cut })
    }
}

/// Puts a text in its place, if there is one.
fn put(part: &mut Value, pointer: &str, text: String) -> bool {
    let Some((parent, key)) = pointer.rsplit_once('/') else { return false };
    let Some(Value::Object(object)) = part.pointer_mut(parent) else { return false };
    object.insert(key.to_owned(), Value::String(text));
    true
}

/// Cuts the long strings in a value.
fn shorten(value: &mut Value, at: &mut String, depth: usize, cut: &mut Vec<Cut>) {
    match value {
        Value::String(text) if text.len() > WHOLE => {
            cut.push(Cut { field: at.clone(), bytes: text.len() as u64 });
            let mut growing = Growing::new(WHOLE);
            growing.push(text);
            *text = growing.finish().0;
        }
        Value::Array(_) | Value::Object(_) if depth == 0 => *value = Value::Null,
        Value::Array(items) => {
            for (place, item) in items.iter_mut().enumerate() {
                below(item, at, &place.to_string(), depth, cut);
            }
        }
        Value::Object(fields) => {
            for (name, item) in fields.iter_mut() {
                below(item, at, &name.replace('~', "~0").replace('/', "~1"), depth, cut);
            }
        }
        Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Null => {}
    }
}

fn below(value: &mut Value, at: &mut String, name: &str, depth: usize, cut: &mut Vec<Cut>) {
    let length = at.len();
    at.push('/');
    at.push_str(name);
    shorten(value, at, depth - 1, cut);
    at.truncate(length);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn part(part: Value) -> Item {
        Item::Part { message: "m".into(), id: "p".into(), part }
    }

    fn text(field: &str, offset: usize, text: &str) -> Item {
        Item::Text {
            part: "p".into(),
            field: field.into(),
            offset: offset as u64,
            text: text.into(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

        #[test]
        fn a_long_text_keeps_its_beginning_and_its_end(
            pieces in prop::collection::vec("[a-zß€]{0,9000}", 0..12),
        ) {
            let mut growing = Growing::new(WHOLE);
            for piece in &pieces {
                growing.push(piece);
            }
            let whole = pieces.concat();
            let (kept, cut) = growing.finish();
            prop_assert_eq!(cut, whole.len() > WHOLE);
            if !cut {
                prop_assert_eq!(kept, whole);
                return Ok(());
            }
            prop_assert!(kept.len() <= WHOLE + 4 && kept.len() > WHOLE - 8, "{}", kept.len());
            let (beginning, end) = (kept.floor_char_boundary(WHOLE / 2 - 8), kept.ceil_char_boundary(WHOLE / 2 + 8));
            prop_assert!(whole.starts_with(&kept[..beginning]));
            prop_assert!(whole.ends_with(&kept[end..]));
        }
    }

    #[test]
    fn a_line_of_five_megabytes_is_cut_and_named() {
        let mut assembly = Assembly::default();
        assembly.push(part(json!({ "type": "tool", "state": { "status": "completed" } })));
        let piece = "x".repeat(16 * 1024);
        for place in 0..320 {
            assembly.push(text("/state/output", place * piece.len(), &piece));
        }
        let held: usize = assembly.texts.values().map(|text| text.end.capacity()).sum();
        assert!(held < 8 * WHOLE, "{held} bytes are held");
        let done = assembly.finish().expect("a part");
        assert_eq!(done.cut, [Cut { field: "/state/output".into(), bytes: 5 * 1024 * 1024 }]);
        assert!(done.part.to_string().len() < WHOLE + 200);
    }

    #[test]
    fn long_strings_anywhere_in_a_part_are_cut() {
        let mut assembly = Assembly::default();
        let long = "y".repeat(WHOLE + 1);
        assembly.push(part(json!({ "a/b": [1, { "c": long }], "d": "short" })));
        let done = assembly.finish().expect("a part");
        assert_eq!(done.cut, [Cut { field: "/a~1b/1/c".into(), bytes: WHOLE as u64 + 1 }]);
        assert_eq!(done.part["d"], "short");
        let mut deep = json!("bottom");
        (0..100).for_each(|_| deep = json!([deep.take()]));
        let mut assembly = Assembly::default();
        assembly.push(part(deep));
        assert!(assembly.finish().is_some());
    }

    #[test]
    fn many_long_texts_in_one_part_do_not_add_up() {
        let mut assembly = Assembly::default();
        assembly.push(part(json!({})));
        for field in 0..500 {
            assembly.push(text(&format!("/f{field}"), 0, &"z".repeat(WHOLE)));
        }
        let done = assembly.finish().expect("a part");
        assert!(done.part.to_string().len() < 2 * 1024 * 1024);
    }
}

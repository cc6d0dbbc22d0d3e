//! Texts that grow while the agent speaks. Its message list holds a text only once that is whole; what is there
//! meanwhile its events tell, piece by piece. They may be lost: a text that was not heard from its beginning is not
//! told, and the list, once it has the whole, always wins.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::opencode::Listed;

/// Where in a part the text is that pieces belong to.
pub(crate) const FIELD: &str = "/text";
/// The most bytes of texts that are held; one that would be over is told when it is whole.
const MOST: usize = 2 * 1024 * 1024;

/// What an event said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A text has grown.
    Piece,
    /// Something that the agent's lists tell.
    Other,
    /// Nothing to look for.
    Nothing,
}

/// The texts that are being spoken, by the part that each belongs to.
#[derive(Debug, Default)]
pub(crate) struct Growing {
    texts: BTreeMap<String, String>,
    bytes: usize,
}

impl Growing {
    /// Takes in an event.
    pub(crate) fn hear(&mut self, event: &Value) -> Heard {
        let properties = &event["properties"];
        match event["type"].as_str() {
            Some("message.part.delta") => {
                let (part, piece) = (properties["partID"].as_str(), properties["delta"].as_str());
                match (part, piece) {
                    (Some(part), Some(piece)) if properties["field"] == FIELD[1..] => {
                        self.add(part, piece)
                    }
                    _ => Heard::Nothing,
                }
            }
            Some("message.part.updated") => {
                let part = &properties["part"];
                if let (Some(id), Some(text)) = (part["id"].as_str(), part["text"].as_str()) {
                    self.forget(id);
                    if text.is_empty() {
                        self.texts.insert(id.to_owned(), String::new());
                    }
                }
                Heard::Other
            }
            // What is not listed by now will not be.
            Some("session.idle") => {
                *self = Self::default();
                Heard::Other
            }
            Some("server.heartbeat") => Heard::Nothing,
            _ => Heard::Other,
        }
    }

    /// Each part's text so far.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts.iter().map(|(part, text)| (part.as_str(), text.as_str()))
    }

    /// Puts the texts that go further than what is listed in their places.
    pub(crate) fn overlay(&self, messages: &mut [Listed]) {
        for part in messages.iter_mut().flat_map(|message| &mut message.parts) {
            let Some(text) = part["id"].as_str().and_then(|id| self.texts.get(id)) else {
                continue;
            };
            if part["text"].as_str().is_some_and(|listed| text.starts_with(listed)) {
                part["text"] = text.as_str().into();
            }
        }
    }

    fn add(&mut self, part: &str, piece: &str) -> Heard {
        let over = self.bytes + piece.len() > MOST;
        match self.texts.get_mut(part) {
            Some(text) if !over => {
                text.push_str(piece);
                self.bytes += piece.len();
                Heard::Piece
            }
            Some(_) => {
                self.forget(part);
                Heard::Nothing
            }
            None => Heard::Nothing,
        }
    }

    fn forget(&mut self, part: &str) {
        self.bytes -= self.texts.remove(part).map_or(0, |text| text.len());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn begun(part: &str, text: &str) -> Value {
        let part = json!({ "id": part, "type": "text", "text": text });
        json!({ "type": "message.part.updated", "properties": { "part": part } })
    }

    fn piece(part: &str, delta: &str) -> Value {
        let properties = json!({ "partID": part, "field": "text", "delta": delta });
        json!({ "type": "message.part.delta", "properties": properties })
    }

    fn listed(text: &str) -> Vec<Listed> {
        let part = json!({ "id": "prt_1", "type": "text", "text": text });
        vec![Listed { info: json!({ "id": "msg_1" }), parts: vec![part] }]
    }

    fn overlaid(growing: &Growing, text: &str) -> Value {
        let mut messages = listed(text);
        growing.overlay(&mut messages);
        messages[0].parts[0]["text"].clone()
    }

    #[test]
    fn a_text_is_told_as_it_grows_and_the_list_wins_once_it_has_it() {
        let mut growing = Growing::default();
        assert_eq!(growing.hear(&begun("prt_1", "")), Heard::Other);
        for word in ["One ", "two ", "three"] {
            assert_eq!(growing.hear(&piece("prt_1", word)), Heard::Piece);
        }
        assert_eq!(overlaid(&growing, ""), "One two three");
        assert_eq!(overlaid(&growing, "One two"), "One two three");
        assert_eq!(overlaid(&growing, "Quite another"), "Quite another");
        growing.hear(&begun("prt_1", "One two three."));
        assert_eq!(overlaid(&growing, "One two"), "One two");
        assert_eq!(growing.bytes, 0);
        growing.hear(&begun("prt_1", ""));
        growing.hear(&piece("prt_1", "Cut sh"));
        growing.hear(&json!({ "type": "session.idle", "properties": { "sessionID": "ses_1" } }));
        assert_eq!(overlaid(&growing, ""), "");
    }

    #[test]
    fn what_was_not_heard_from_its_beginning_is_not_told() {
        let mut growing = Growing::default();
        assert_eq!(growing.hear(&piece("prt_1", "the end of it")), Heard::Nothing);
        assert_eq!(overlaid(&growing, ""), "");
    }

    #[test]
    fn a_text_that_is_too_long_to_hold_waits_until_it_is_whole() {
        let mut growing = Growing::default();
        growing.hear(&begun("prt_1", ""));
        let much = "x".repeat(MOST / 2 + 1);
        assert_eq!(growing.hear(&piece("prt_1", &much)), Heard::Piece);
        assert_eq!(growing.hear(&piece("prt_1", &much)), Heard::Nothing);
        assert_eq!(growing.hear(&piece("prt_1", "more")), Heard::Nothing);
        assert_eq!((growing.bytes, growing.texts().count()), (0, 0));
    }
}

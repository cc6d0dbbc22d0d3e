use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// Where a list goes on: opaque to callers, and good for the list that gave it out only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    list: String,
    key: String,
}

/// The text is no cursor, or one of another list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this list: pass on the `next` of its previous page, unchanged")]
pub struct NotACursor;

impl Cursor {
    /// After the item with `key` in `list`.
    pub fn after(list: &str, key: impl std::fmt::Display) -> Self {
        Self { list: list.to_owned(), key: format!("{key}") }
    }

    /// What callers see.
    #[must_use]
    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}\n{}", self.list, self.key))
    }

    /// The key in a cursor of `list`.
    pub fn key<K: std::str::FromStr>(list: &str, text: &str) -> Result<K, NotACursor> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NotACursor)?;
        let text = String::from_utf8(bytes).map_err(|_| NotACursor)?;
        let (of, key) = text.split_once('\n').ok_or(NotACursor)?;
        if of == list { key.parse().map_err(|_| NotACursor) } else { Err(NotACursor) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_own_list_only() {
        let cursor = Cursor::after("runs", 7).encode();
        assert_eq!(Cursor::key::<u32>("runs", &cursor), Ok(7));
        assert_eq!(Cursor::key::<u32>("sessions", &cursor), Err(NotACursor));
        assert_eq!(Cursor::key::<u32>("runs", "x"), Err(NotACursor));
        assert_eq!(Cursor::key::<u32>("runs", ""), Err(NotACursor));
    }
}

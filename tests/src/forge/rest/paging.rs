use std::{collections::BTreeMap, fmt::Write as _};

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::Value;

/// What a list is asked for.
pub(super) type Asked = BTreeMap<String, String>;

/// The part of a list that is asked for, with a `Link` to the others.
pub(super) struct Page<T> {
    items: Vec<T>,
    links: Option<String>,
}

impl<T> Page<T> {
    /// Cuts the page that is asked for out of all items; `url` is the list's.
    pub(super) fn cut(url: &str, asked: &Asked, items: Vec<T>) -> Self {
        let number = |name: &str| asked.get(name).and_then(|text| text.parse::<usize>().ok());
        let size = number("per_page").filter(|size| *size > 0).unwrap_or(30).min(100);
        let page = number("page").unwrap_or(1).max(1);
        let last = items.len().div_ceil(size).max(1);
        let links = [
            ("prev", page.saturating_sub(1), page > 1),
            ("next", page + 1, page < last),
            ("last", last, page < last),
            ("first", 1, page > 1),
        ];
        let links: Vec<String> = links
            .into_iter()
            .filter(|(.., is_there)| *is_there)
            .map(|(rel, page, _)| format!("<{}>; rel=\"{rel}\"", address(url, asked, page)))
            .collect();
        Self {
            items: items.into_iter().skip(size * (page - 1)).take(size).collect(),
            links: (!links.is_empty()).then(|| links.join(", ")),
        }
    }

    /// The items, to be described.
    pub(super) fn items(&self) -> &[T] {
        &self.items
    }

    /// The answer.
    pub(super) fn answer(&self, described: Vec<Value>) -> Response {
        let mut response = axum::Json(Value::from(described)).into_response();
        if let Some(links) = self.links.as_ref().and_then(|links| links.parse().ok()) {
            response.headers_mut().insert(header::LINK, links);
        }
        response
    }
}

fn address(url: &str, asked: &Asked, page: usize) -> String {
    let mut asked = asked.clone();
    asked.insert("page".to_owned(), page.to_string());
    let pairs = asked.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
    format!("{url}?{}", pairs.collect::<Vec<_>>().join("&"))
}

/// A text as a part of an address.
pub(in crate::forge) fn escaped(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(byte);
    text.bytes().fold(String::new(), |mut whole, byte| {
        if plain(&byte) {
            whole.push(char::from(byte));
        } else {
            let _ = write!(whole, "%{byte:02X}");
        }
        whole
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(asked: &[(&str, &str)], of: usize) -> Page<usize> {
        let asked = asked.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Page::cut("http://forge/list", &asked, (0..of).collect())
    }

    #[test]
    fn a_middle_page_links_to_all_others_and_keeps_what_was_asked() {
        let page = page(&[("per_page", "2"), ("page", "2"), ("head", "a:b/c")], 6);
        assert_eq!(page.items(), [2, 3]);
        let links = page.links.unwrap();
        for (rel, number) in [("prev", 1), ("next", 3), ("last", 3), ("first", 1)] {
            let link = format!(
                "<http://forge/list?head=a%3Ab%2Fc&page={number}&per_page=2>; rel=\"{rel}\""
            );
            assert!(links.contains(&link), "{link} in {links}");
        }
    }

    #[test]
    fn one_page_links_to_none_and_nonsense_is_the_first_page_of_thirty() {
        assert_eq!(page(&[], 30).links, None);
        let nonsense = page(&[("per_page", "x"), ("page", "-1")], 31);
        assert_eq!(nonsense.items().len(), 30);
        assert!(nonsense.links.unwrap().contains("rel=\"next\""));
        assert_eq!(page(&[("per_page", "1000")], 200).items().len(), 100);
        assert!(page(&[("page", "9")], 3).items().is_empty());
    }
}

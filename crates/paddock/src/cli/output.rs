//! What the command line prints for people.

use serde_json::Value;

/// Prints one value as JSON, or as `human` has it.
pub(crate) fn print(json: bool, value: &Value, human: impl FnOnce(&Value) -> String) {
    if json {
        println!("{value}");
    } else {
        println!("{}", human(value));
    }
}

/// Prints a list as one JSON array, or as a table whose columns are JSON pointers.
pub(crate) fn print_list(json: bool, items: &[Value], columns: &[(&str, &str)], empty: &str) {
    if json {
        println!("{}", Value::from(items.to_vec()));
    } else if items.is_empty() {
        println!("{empty}");
    } else {
        for line in table(items, columns) {
            println!("{line}");
        }
    }
}

/// Prints a table for people, below each row the lines of its text at `pointer`.
pub(crate) fn print_with_texts(
    items: &[Value],
    columns: &[(&str, &str)],
    pointer: &str,
    empty: &str,
) {
    let lines = table(items, columns);
    match lines.split_first() {
        Some((titles, rows)) if !rows.is_empty() => {
            println!("{titles}");
            for (row, item) in rows.iter().zip(items) {
                println!("{row}");
                let text = item.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
                for line in text.lines() {
                    println!("    {}", inert(line));
                }
            }
        }
        _ => println!("{empty}"),
    }
}

/// The titles and a line an item.
fn table(items: &[Value], columns: &[(&str, &str)]) -> Vec<String> {
    let rows: Vec<Vec<String>> = items
        .iter()
        .map(|item| columns.iter().map(|(_, pointer)| cell(item, pointer)).collect())
        .collect();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(at, (title, _))| {
            rows.iter().map(|row| row[at].chars().count()).chain([title.len()]).max().unwrap_or(0)
        })
        .collect();
    let line = |cells: Vec<&str>| {
        let padded: Vec<String> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        padded.join("  ").trim_end().to_owned()
    };
    let titles = line(columns.iter().map(|(title, _)| *title).collect());
    let rows = rows.iter().map(|row| line(row.iter().map(String::as_str).collect()));
    [titles].into_iter().chain(rows).collect()
}

/// The text of one field, fit for a terminal: control characters shown, never sent.
pub(crate) fn cell(item: &Value, pointer: &str) -> String {
    match item.pointer(pointer) {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => inert(text),
        Some(other) => other.to_string(),
    }
}

/// Makes hostile text harmless to a terminal: escapes every control and bidirectional character but
/// line feed and tab.
pub(crate) fn inert(text: &str) -> String {
    let bidirectional = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => c.to_string(),
            c if c.is_control() || bidirectional(c) => c.escape_default().to_string(),
            c => c.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_sequences_from_an_agent_are_shown_and_not_sent() {
        assert_eq!(inert("a\u{1b}]52;c;eA==\u{7}b\n"), "a\\u{1b}]52;c;eA==\\u{7}b\n");
        assert_eq!(inert("x\u{202e}y"), "x\\u{202e}y");
    }
}

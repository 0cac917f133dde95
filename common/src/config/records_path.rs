//! The setting `records`: the path to the records of a JSON document.
//!
//! ```text
//! path    = segment { . segment }
//! segment = ( key | " key " | * ) { [] } | [] { [] }
//! ```
//!
//! `[]` stands for each item of an array, and `*` for the value of each member of an object. A path
//! that ends with a key means the items of its array: `items` is `items[]`. A path may start with `$.`
//! or, before `[]`, with `$`.

/// An object or an array around the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Level {
    /// An object. Only the value of this key is read.
    Key(String),
    /// An array. Every item is read.
    Items,
    /// An object. The value of every member is read.
    Members,
}

/// Parses a path. Returns the levels from the outermost to the one that contains the records.
///
/// # Errors
/// The fault, worded to follow the name of the setting: "has an empty key".
pub fn parse(text: &str) -> Result<Vec<Level>, String> {
    let mut levels = levels(text)?;
    if let Some(Level::Key(_)) = levels.last() {
        levels.push(Level::Items);
    }
    Ok(levels)
}

/// Parses a path. Returns the levels as they are written.
///
/// # Errors
/// The fault, worded as for [`parse`].
pub fn levels(text: &str) -> Result<Vec<Level>, String> {
    let mut levels = Vec::new();
    // Skip the root of the document, which JSONPath writes as `$`.
    let mut rest = match text.strip_prefix('$') {
        Some(path) if path.starts_with('[') => path,
        Some(path) => path.strip_prefix('.').unwrap_or(text),
        None => text,
    };
    loop {
        rest = segment(rest, &mut levels)?;
        match rest.strip_prefix('.') {
            Some(next) => rest = next,
            None if rest.is_empty() => break,
            None => return Err(format!("has `{rest}` where `.` or `[]` is expected")),
        }
    }
    Ok(levels)
}

/// Returns the path of the values that `levels` lead to, for messages and names. It starts with `$`,
/// the root of the document: `$.pages[]`.
#[must_use]
pub fn place(levels: &[Level]) -> String {
    let mut place = "$".to_owned();
    for level in levels {
        match level {
            Level::Key(key) => place.push_str(&member_of("", key)),
            Level::Items => place.push_str("[]"),
            Level::Members => place.push_str(".*"),
        }
    }
    place
}

/// Returns the place of a member of the object at `place`. The key is in quotes if a path needs them.
#[must_use]
pub fn member_of(place: &str, key: &str) -> String {
    if needs_quotes(key) && !key.contains('"') { format!("{place}.\"{key}\"") } else { format!("{place}.{key}") }
}

/// Whether a path must have `key` in quotes.
#[must_use]
pub fn needs_quotes(key: &str) -> bool {
    key.is_empty() || key == "$" || key.contains(['.', '[', '*'])
}

/// Appends the levels of the first segment of `text`. Returns the text after it.
fn segment<'a>(text: &'a str, levels: &mut Vec<Level>) -> Result<&'a str, String> {
    let mut rest = if let Some(quoted) = text.strip_prefix('"') {
        let (key, rest) = quoted.split_once('"').ok_or("has a quote without an end")?;
        levels.push(Level::Key(key.to_owned()));
        rest
    } else if text.starts_with("[]") && levels.is_empty() {
        text
    } else {
        let (key, rest) = text.split_at(text.find(['.', '[']).unwrap_or(text.len()));
        match key {
            "" => return Err("has an empty key".to_owned()),
            "*" => levels.push(Level::Members),
            key if key.contains('*') => return Err(format!("has `*` in the key `{key}`; write such a key in quotes")),
            key => levels.push(Level::Key(key.to_owned())),
        }
        rest
    };
    while let Some(next) = rest.strip_prefix("[]") {
        levels.push(Level::Items);
        rest = next;
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_every_level_around_the_records() {
        let key = |key: &str| Level::Key(key.to_owned());
        for (text, expected) in [
            ("items", vec![key("items"), Level::Items]),
            ("items[]", vec![key("items"), Level::Items]),
            ("log.entries", vec![key("log"), key("entries"), Level::Items]),
            ("pages[].groups[].items", {
                vec![key("pages"), Level::Items, key("groups"), Level::Items, key("items"), Level::Items]
            }),
            ("items.*", vec![key("items"), Level::Members]),
            ("*", vec![Level::Members]),
            ("[]", vec![Level::Items]),
            ("[][].a", vec![Level::Items, Level::Items, key("a"), Level::Items]),
            ("matrix[][]", vec![key("matrix"), Level::Items, Level::Items]),
            ("\"a.b\".\"*\"[]", vec![key("a.b"), key("*"), Level::Items]),
            ("@graph", vec![key("@graph"), Level::Items]),
            ("$.a.b", vec![key("a"), key("b"), Level::Items]),
            ("$[].a", vec![Level::Items, key("a"), Level::Items]),
            ("\"$\".a", vec![key("$"), key("a"), Level::Items]),
            ("$a", vec![key("$a"), Level::Items]),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
        for (text, fault) in [
            ("", "has an empty key"),
            ("a..b", "has an empty key"),
            ("a.", "has an empty key"),
            ("a.[]", "has an empty key"),
            ("a[0]", "has `[0]` where `.` or `[]` is expected"),
            ("a[]b", "has `b` where `.` or `[]` is expected"),
            ("\"a", "has a quote without an end"),
            ("$.", "has an empty key"),
            ("a*", "has `*` in the key `a*`; write such a key in quotes"),
        ] {
            assert_eq!(parse(text), Err(fault.to_owned()), "{text}");
        }
    }
}

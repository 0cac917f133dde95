//! Escapes text from data, object keys, other processes and URLs for a terminal or a log.
//!
//! A record may contain escape sequences of a terminal. The key of an object may contain a line
//! feed, which forges a log line. A URL may contain a secret in its query. All code that prints
//! such text uses this module; files contain the text unchanged.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Escapes text to one line. Every character that controls a terminal, moves the cursor or changes
/// the writing direction becomes an escape, such as `\n` or `\u{1b}`.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    escape(text, |c| matches!(c, '\n' | '\t' | '\r') || acts_on_terminal(c))
}

/// Escapes text of several lines: like [`line()`], but keeps line feeds and tabs.
#[must_use]
pub fn lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| c == '\r' || acts_on_terminal(c))
}

/// Escapes a JSON document with JSON's own escapes, such as `\u001b`. Keeps the line feeds, tabs
/// and carriage returns between its values.
#[must_use]
pub fn json(text: &str) -> Cow<'_, str> {
    if !text.contains(acts_on_terminal) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        // All escaped characters are in the Basic Multilingual Plane, so four digits suffice.
        if acts_on_terminal(c) && !matches!(c, '\n' | '\t' | '\r') {
            let _ = write!(escaped, "\\u{:04x}", u32::from(c));
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// Removes user information, query and fragment from each HTTP URL in the text, because they may
/// contain secrets.
#[must_use]
pub fn without_secrets(text: &str) -> Cow<'_, str> {
    if !text.contains("http://") && !text.contains("https://") {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        // A URL in a message usually ends at a space, a quote or a bracket.
        let is_end =
            |c: char| c.is_whitespace() || matches!(c, '`' | '"' | '\'' | '\\' | '<' | '>' | ')' | ']' | '}' | ',');
        let (url, behind) = after.split_at(after.find(is_end).unwrap_or(after.len()));
        let is_http = before.ends_with("http://") || before.ends_with("https://");
        shown.push_str(if is_http { without_user_and_query(url) } else { url });
        rest = behind;
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}

/// Returns a possibly malformed URL without user information, query and fragment.
#[must_use]
pub fn url(text: &str) -> String {
    match text.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{}", without_user_and_query(rest)),
        None => without_user_and_query(text).to_owned(),
    }
}

/// Removes possible secrets from the part of a URL after its scheme.
fn without_user_and_query(rest: &str) -> &str {
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let host = path.split('/').next().unwrap_or_default();
    // Only the part before the first `/` can contain user information.
    host.rfind('@').map_or(path, |at| &path[at + 1..])
}

fn escape(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            _ if !is_escaped(c) => escaped.push(c),
            '\n' | '\t' | '\r' => escaped.extend(c.escape_default()),
            _ => escaped.extend(c.escape_unicode()),
        }
    }
    Cow::Owned(escaped)
}

/// Whether `c` could affect a terminal. Such characters are control characters other than line feed
/// and tab, characters that change the writing direction, and separators that some programs treat
/// as line feeds.
fn acts_on_terminal(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => true,
        _ => c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn characters_that_control_a_terminal_are_escaped() {
        for (text, shown) in [
            ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
            ("a\u{9b}31mb\u{7f}", "a\\u{9b}31mb\\u{7f}"),
            ("user\u{202e}txt.exe", "user\\u{202e}txt.exe"),
            ("a\nerror: b\r\tc", "a\\nerror: b\\r\\tc"),
            ("Zoë 日本 \u{1F389} e\u{301}", "Zoë 日本 \u{1F389} e\u{301}"),
        ] {
            assert_eq!(line(text), shown);
        }
        assert_eq!(lines("| a |\n\t\u{1b}[2J\r"), "| a |\n\t\\u{1b}[2J\\r");
        assert_eq!(json("{\"a\":\"\u{9b}\u{202e}\"}\n"), "{\"a\":\"\\u009b\\u202e\"}\n");
    }

    #[test]
    fn urls_show_neither_user_nor_query() {
        for (text, shown) in [
            (
                "error sending request for url (https://me:secret@host:9000/b/k?X-Amz-Signature=abc&x=1): timed out",
                "error sending request for url (https://host:9000/b/k): timed out",
            ),
            ("`http://h/?token=a` and http://h/#b, s3://bucket/a?b", "`http://h/` and http://h/, s3://bucket/a?b"),
            ("http://a/p@q", "http://a/p@q"),
            ("nothing here?", "nothing here?"),
        ] {
            assert_eq!(without_secrets(text), shown);
        }
        assert_eq!(url("s3://key:secret@bucket/a?versionId=1#c"), "s3://bucket/a");
        assert_eq!(url("https:/bucket?token=1"), "https:/bucket");
    }

    proptest! {
        #[test]
        fn no_escaped_text_contains_control_characters(text in any::<String>()) {
            prop_assert!(!line(&text).contains(|c: char| c.is_control()));
            prop_assert!(!lines(&text).contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')));
            let written = serde_json::to_string(&text).unwrap_or_default();
            let shown = json(&written);
            prop_assert!(!shown.contains(|c: char| c.is_control()));
            prop_assert_eq!(serde_json::from_str::<String>(&shown).ok(), Some(text));
        }
    }
}

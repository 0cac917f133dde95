//! ③ Repairs the text of a record that is not JSON, if a setting of the source allows it.

use std::borrow::Cow;

/// Numbers that JSON lacks, as JavaScript and Python write them.
pub const NON_FINITE: [&str; 3] = ["NaN", "Infinity", "-Infinity"];
const REPLACEMENT: &[u8] = b"\\ufffd";

/// Replaces invalid bytes of UTF-8 and unpaired surrogates (`\ud83d` without its second half) by
/// U+FFFD. Returns the text as it is if there are none.
pub(in crate::read) fn replace_invalid_unicode(text: &[u8]) -> Cow<'_, [u8]> {
    let text = match String::from_utf8_lossy(text) {
        Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
        Cow::Owned(text) => Cow::Owned(text.into_bytes()),
    };
    match replace_surrogates(&text) {
        Some(replaced) => Cow::Owned(replaced),
        None => text,
    }
}

fn replace_surrogates(text: &[u8]) -> Option<Vec<u8>> {
    let mut replaced = Vec::new();
    // Offset of the first byte that is not in `replaced`.
    let mut copied = 0;
    let mut at = 0;
    while let Some(found) = memchr::memchr(b'\\', &text[at..]) {
        at += found;
        let Some(code) = escaped_unit(text, at) else {
            // Skip both characters of any other escape, because the second may be a backslash.
            at = (at + 2).min(text.len());
            continue;
        };
        match code {
            0xD800..0xDC00 if matches!(escaped_unit(text, at + 6), Some(0xDC00..0xE000)) => at += 12,
            0xD800..0xE000 => {
                replaced.extend_from_slice(&text[copied..at]);
                replaced.extend_from_slice(REPLACEMENT);
                at += 6;
                copied = at;
            }
            _ => at += 6,
        }
    }
    if copied == 0 {
        return None;
    }
    replaced.extend_from_slice(&text[copied..]);
    Some(replaced)
}

/// Returns the number in an escape of the form `\uXXXX` at offset `at`.
fn escaped_unit(text: &[u8], at: usize) -> Option<u32> {
    let digits = text.get(at..at + 6)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |code, digit| Some(code * 16 + char::from(*digit).to_digit(16)?))
}

/// Puts `NaN`, `Infinity` and `-Infinity` in quotes, where they are values. Returns `None` if there
/// are none.
#[must_use]
pub fn quote_non_finite(text: &[u8]) -> Option<Vec<u8>> {
    let mut quoted = Vec::new();
    let mut copied = 0;
    let mut at = 0;
    let mut is_in_string = false;
    while at < text.len() {
        if is_in_string {
            let Some(found) = memchr::memchr2(b'"', b'\\', &text[at..]) else { break };
            at += found;
            is_in_string = text[at] == b'\\';
            at += if is_in_string { 2 } else { 1 };
            continue;
        }
        let word =
            NON_FINITE.iter().find(|word| text[at..].starts_with(word.as_bytes()) && !is_key(&text[at + word.len()..]));
        match word {
            Some(word) => {
                quoted.extend_from_slice(&text[copied..at]);
                quoted.push(b'"');
                quoted.extend_from_slice(word.as_bytes());
                quoted.push(b'"');
                at += word.len();
                copied = at;
            }
            None => {
                is_in_string = text[at] == b'"';
                at += 1;
            }
        }
    }
    if copied == 0 {
        return None;
    }
    quoted.extend_from_slice(&text[copied..]);
    Some(quoted)
}

/// Whether the text after a word shows that the word is a key, which JSON requires in quotes.
fn is_key(rest: &[u8]) -> bool {
    rest.trim_ascii_start().first() == Some(&b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_no_character_is_replaced() {
        for (text, expected) in [
            (&br#"{"a":"\ud83d\ude00 \u00e9 \\ud83d"}"#[..], &br#"{"a":"\ud83d\ude00 \u00e9 \\ud83d"}"#[..]),
            (br#"{"a":"\ud83d"}"#, br#"{"a":"\ufffd"}"#),
            (br#"{"a":"\ud83d\ud83d\ude00\ude00"}"#, br#"{"a":"\ufffd\ud83d\ude00\ufffd"}"#),
            (br#"{"\uDC00":"\ud83"}"#, br#"{"\ufffd":"\ud83"}"#),
            (b"{\"a\":\"\xFF\"}", "{\"a\":\"\u{FFFD}\"}".as_bytes()),
            (br#"{"a":"\"#, br#"{"a":"\"#),
        ] {
            assert_eq!(replace_invalid_unicode(text), expected, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn only_values_outside_of_strings_are_quoted() {
        for (text, expected) in [
            (r#"{"NaN":"NaN \" NaN","a":1}"#, None),
            (r#"{"a":NaN,"b":[Infinity, -Infinity]}"#, Some(r#"{"a":"NaN","b":["Infinity", "-Infinity"]}"#)),
            (r#"{"a":"\\",  "b":NaN}"#, Some(r#"{"a":"\\",  "b":"NaN"}"#)),
            (r#"{"a":"\"#, None),
            (r"{NaN : 1}", None),
        ] {
            let quoted = quote_non_finite(text.as_bytes());
            assert_eq!(quoted.as_deref(), expected.map(str::as_bytes), "{text}");
        }
    }
}

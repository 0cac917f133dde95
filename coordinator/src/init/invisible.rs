//! Shows characters of keys that cannot be seen: `id` and `id` with a zero width space look equal.

use std::fmt::Write as _;

/// Returns a remark on a key whose text does not show what it is: it starts or ends with a character
/// that cannot be seen, or only such characters distinguish it from one of the `others`.
pub(super) fn remark<'a>(key: &str, others: impl Iterator<Item = &'a str>) -> Option<String> {
    let seen = visible(key);
    if seen == key {
        return None;
    }
    let mut twins = others.filter(|other| *other != key && visible(other) == seen);
    if let Some(twin) = twins.next() {
        return Some(format!(
            "the key is {}: only characters that cannot be seen distinguish it from {}",
            shown(key),
            shown(twin)
        ));
    }
    let is_outside = seen.is_empty()
        || !key.starts_with(seen.chars().next().unwrap_or(' '))
        || !key.ends_with(seen.chars().last().unwrap_or(' '));
    is_outside.then(|| format!("the key is {}: it has characters that cannot be seen", shown(key)))
}

/// Whether a character takes no space, or looks like a space.
pub(super) fn is_invisible(c: char) -> bool {
    c.is_control()
        || (c.is_whitespace() && c != ' ')
        || matches!(
            c,
            '\u{00AD}'
                | '\u{034F}'
                | '\u{061C}'
                | '\u{115F}'
                | '\u{1160}'
                | '\u{180E}'
                | '\u{200B}'..='\u{200F}'
                | '\u{202A}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}'
                | '\u{3164}'
                | '\u{FE00}'..='\u{FE0F}'
                | '\u{FEFF}'
                | '\u{E0000}'..='\u{E007F}'
        )
}

/// Returns the part of a key that can be seen.
fn visible(key: &str) -> String {
    let visible: String = key.chars().filter(|c| !is_invisible(*c)).collect();
    visible.trim_matches(' ').to_owned()
}

/// Writes a key in quotes, with escapes as in JSON for all characters that cannot be seen.
fn shown(key: &str) -> String {
    let inner = key.trim_matches(' ');
    let start = key.len() - key.trim_start_matches(' ').len();
    let mut shown = String::from("\"");
    for (at, c) in key.char_indices() {
        let is_outer_space = c == ' ' && (at < start || at >= start + inner.len());
        if is_invisible(c) || is_outer_space {
            push_escape(&mut shown, c);
        } else {
            shown.push(c);
        }
    }
    shown.push('"');
    shown
}

/// Appends a character as escapes that JSON and TOML have in common, or that TOML has.
pub(super) fn push_escape(text: &mut String, c: char) {
    let code = u32::from(c);
    let _ = if code <= 0xFFFF { write!(text, "\\u{code:04X}") } else { write!(text, "\\U{code:08X}") };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_look_equal_are_told_apart() {
        let keys = ["id", "\u{FEFF}id", "i\u{200B}d", "id ", "name", "na me", " first", "a\u{200D}b", "\u{200B}"];
        let remarks: Vec<_> = keys.iter().map(|key| remark(key, keys.iter().copied())).collect();
        let apart = |key: &str| {
            Some(format!("the key is {key}: only characters that cannot be seen distinguish it from \"id\""))
        };
        let has = |key: &str| Some(format!("the key is {key}: it has characters that cannot be seen"));
        let expected = [
            None,
            apart("\"\\uFEFFid\""),
            apart("\"i\\u200Bd\""),
            apart("\"id\\u0020\""),
            None,
            None,
            has("\"\\u0020first\""),
            // Words and emoji can have a joiner inside.
            None,
            has("\"\\u200B\""),
        ];
        assert_eq!(remarks, expected);
    }
}

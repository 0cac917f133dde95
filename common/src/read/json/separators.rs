//! ③ Converts a text with separators, such as `1,234.5`, to a number as JSON writes it.

use std::borrow::Cow;

use crate::config::resolved::Separators;

/// Number of digits of a group: `1,234,567`.
const GROUP: usize = 3;
/// Number of digits of all groups but the last, as in India: `12,34,567`.
const SHORT_GROUP: usize = 2;

/// Returns the text of a number without separators of thousands, and with `.` before its fraction;
/// `None` if the separators are not where numbers have them. Does not check the rest of the text.
pub(in crate::read) fn plain(text: &str, separators: Separators) -> Option<Cow<'_, str>> {
    if separators == Separators::JSON || text.is_empty() {
        return Some(Cow::Borrowed(text));
    }
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let sign = &text[..text.len() - unsigned.len()];
    let end = unsigned.find([separators.decimal, 'e', 'E']);
    let (integer, rest) = unsigned.split_at(end.unwrap_or(unsigned.len()));
    let groups: Vec<&str> = match separators.thousands {
        Some(thousands) => integer.split(thousands).collect(),
        None => vec![integer],
    };
    if !are_groups(&groups) {
        return None;
    }
    let fraction = rest.strip_prefix(separators.decimal);
    let point = if fraction.is_some() { "." } else { "" };
    Some(Cow::Owned([sign, &groups.concat(), point, fraction.unwrap_or(rest)].concat()))
}

/// Whether the digits before the fraction are grouped by thousands, or not at all.
fn are_groups(groups: &[&str]) -> bool {
    let are_digits = groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_digit()));
    let sizes: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    are_digits
        && match sizes.as_slice() {
            // With one separator, the first group may have three digits in any case.
            [_] | [1..=GROUP, GROUP] => true,
            [first, middle @ .., GROUP] => [GROUP, SHORT_GROUP]
                .iter()
                .any(|size| (1..=*size).contains(first) && middle.iter().all(|group| group == size)),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_are_removed_where_numbers_have_them() {
        let english = Separators { thousands: Some(','), decimal: '.' };
        let german = Separators { thousands: Some('.'), decimal: ',' };
        let comma = Separators { thousands: None, decimal: ',' };
        let swiss = Separators { thousands: Some('’'), decimal: '.' };
        for (separators, text, expected) in [
            (english, "", Some("")),
            (english, "1234.5", Some("1234.5")),
            (english, "1,234.5", Some("1234.5")),
            (english, "-1,234,567", Some("-1234567")),
            (english, "12,34,567", Some("1234567")),
            (english, "123,456", Some("123456")),
            (english, "1,234e5", Some("1234e5")),
            (english, "1,23", None),
            (english, "1,2345", None),
            (english, "1234,567", None),
            (english, ",123", None),
            (english, "1,,234", None),
            (english, "1,234,56", None),
            (english, "123,45,678", None),
            (english, "a,123", None),
            // The caller refuses these.
            (english, "1.234,5", Some("1.234,5")),
            (german, "1.234,5", Some("1234.5")),
            (german, "1.234", Some("1234")),
            (german, "1,5", Some("1.5")),
            (german, "1.5", None),
            (comma, "1,5", Some("1.5")),
            (comma, "1.5", None),
            (swiss, "1’234.50", Some("1234.50")),
        ] {
            assert_eq!(plain(text, separators).as_deref(), expected, "{text}");
        }
    }
}

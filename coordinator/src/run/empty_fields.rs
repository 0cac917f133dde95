//! Warns of declared fields that no record has. The field is probably misspelled, or the records
//! have it in another place.

use lakewright_common::config::nearest;
use lakewright_common::config::resolved::{Field, FieldInput, Source};
use lakewright_common::printable;
use lakewright_common::read::field_counts::FieldCounts;

/// Returns one warning for each declared field of `source` that is null in all accepted records.
/// `accepted` is the number of these records; if there are none, every field would be null.
pub(crate) fn warnings(source: &Source, counts: &FieldCounts, accepted: u64) -> Vec<String> {
    if accepted == 0 {
        return Vec::new();
    }
    let empty = |field: &&Field| counts.empty().any(|name| name == field.name);
    let fields = source.fields.iter().filter(empty);
    fields.map(|field| format!("source `{}`: {}", source.name, warning(field, counts))).collect()
}

fn warning(field: &Field, counts: &FieldCounts) -> String {
    let name = &field.name;
    match &field.input {
        FieldInput::Keys(keys) => {
            let dotted = keys.join(".");
            let place = if dotted == *name { String::new() } else { format!(" (`{}`)", printable::line(&dotted)) };
            format!("field `{name}`{place} is missing or null in every record{}", hint(&dotted, counts))
        }
        FieldInput::Document(place) if place.keys.is_empty() => format!("field `{name}` is null in every record"),
        FieldInput::Document(place) => {
            let path = printable::line(&place.keys.join(".")).into_owned();
            format!("field `{name}` is null: no object around the records has a value for `{path}`")
        }
        FieldInput::PathPart(part) => {
            format!("field `{name}` is null: no object has `{}` in its path", printable::line(part))
        }
        FieldInput::Metadata(_) => format!("field `{name}` is null in every record"),
    }
}

/// Returns the end of a sentence that says where the value may be instead; empty if no undeclared
/// field is similar to the `dotted` keys of the field.
fn hint(dotted: &str, counts: &FieldCounts) -> String {
    let undeclared = || counts.undeclared.keys().map(String::as_str);
    // The dotted names of undeclared fields do not show whether a key has a dot in it.
    if dotted.contains('.') && undeclared().any(|name| name == dotted) {
        return format!("; if its key has a dot in it, write `from = [\"{}\"]`", printable::line(dotted));
    }
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let found = nearest(dotted, undeclared()).or_else(|| undeclared().find(|name| last(name) == last(dotted)));
    let hint = |name: &str| match name.strip_prefix("$.").or_else(|| Some(name).filter(|name| name.starts_with("$[]")))
    {
        Some(path) => format!("; did you mean `from_document = '{}'`?", printable::line(path)),
        None => format!("; did you mean `{}`?", printable::line(name)),
    };
    found.map_or_else(String::new, hint)
}

#[cfg(test)]
mod tests {
    use lakewright_common::config::resolved::FieldType;

    use super::*;

    #[test]
    fn the_warning_names_the_field_that_may_be_meant() {
        let counts = |names: &[&str]| FieldCounts {
            undeclared: names.iter().map(|name| ((*name).to_owned(), 1)).collect(),
            ..FieldCounts::default()
        };
        let field = |name: &str, keys: &[&str]| Field {
            input: FieldInput::Keys(keys.iter().map(|key| (*key).to_owned()).collect()),
            ..Field::new(name, FieldType::String)
        };
        for (field, undeclared, expected) in [
            (field("user", &["user"]), &["colour"][..], "field `user` is missing or null in every record"),
            (
                field("userid", &["userid"]),
                &["userId"],
                "field `userid` is missing or null in every record; did you mean `userId`?",
            ),
            (
                field("status", &["http", "status"]),
                &["http.status"],
                "field `status` (`http.status`) is missing or null in every record; \
                 if its key has a dot in it, write `from = [\"http.status\"]`",
            ),
            (
                field("city", &["city"]),
                &["user.address.city"],
                "field `city` is missing or null in every record; did you mean `user.address.city`?",
            ),
            (
                field("total", &["total"]),
                &["$.meta.total"],
                "field `total` is missing or null in every record; did you mean `from_document = 'meta.total'`?",
            ),
        ] {
            assert_eq!(warning(&field, &counts(undeclared)), expected);
        }
    }
}

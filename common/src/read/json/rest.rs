//! ③ Collects everything in a record that no field reads, as a JSON object.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::read::json::keys::{Keys, Target};
use crate::read::json::members::last_values;

/// Returns the members of an accepted record that no field reads, as the text of a JSON object;
/// `None` if there are none. `keys` are the keys that fields read. Values keep their text. The key of
/// an item of an array is its position. A member of an object on the way to a field has a dotted key,
/// such as `user.plan`. Members inside the value of a field are left out.
pub(in crate::read) fn rest(record: &str, keys: &Keys) -> Option<String> {
    let mut rest = String::new();
    collect(record, keys, "", &mut rest);
    if rest.is_empty() {
        return None;
    }
    rest.push('}');
    Some(rest)
}

/// Appends the members of `object` to `rest`. `around` is the dotted key of the object; empty for
/// the record.
fn collect(object: &str, keys: &Keys, around: &str, rest: &mut String) {
    // An accepted record is JSON, so this does not fail.
    let Ok(members) = serde_json::Deserializer::from_str(object).deserialize_any(Members) else { return };
    for (key, value) in members {
        let dotted = if around.is_empty() { key.clone() } else { format!("{around}.{key}") };
        match keys.get(&key) {
            Some(Target::Column(_)) => {}
            Some(Target::Path(path)) if value.get().starts_with('{') => collect(value.get(), &path.keys, &dotted, rest),
            Some(Target::Path(_)) if value.get() == "null" => {}
            // A value that should be an object around a field is accepted with `on_invalid = "null"`.
            Some(Target::Path(_) | Target::Unknown(_)) | None => {
                rest.push(if rest.is_empty() { '{' } else { ',' });
                rest.push_str(&serde_json::Value::from(dotted).to_string());
                rest.push(':');
                rest.push_str(value.get());
            }
        }
    }
}

/// Reads the members of an object, or the items of an array with their positions as keys, with the
/// text of each value.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Self::Value, A::Error> {
        last_values(members)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut found = Vec::new();
        while let Some(item) = items.next_element()? {
            found.push((found.len().to_string(), item));
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::resolved::{Field, FieldInput, FieldType};

    #[test]
    fn what_no_field_reads_keeps_its_text() {
        let keys = |keys: &[&str]| FieldInput::Keys(keys.iter().map(|key| (*key).to_owned()).collect());
        let fields = [
            Field::new("id", FieldType::Long),
            Field { input: keys(&["user", "name"]), ..Field::new("name", FieldType::String) },
        ];
        for (record, expected) in [
            (r#"{"id":1}"#, None),
            (r#"{"id":1,"user":{"name":"a"}}"#, None),
            (r#"{"id":1,"user":null}"#, None),
            (r#"{"id":1,"user":5}"#, Some(r#"{"user":5}"#)),
            (r#"{ "a" : 1.50 , "id":1, "b":{"id":[ 2 ]} }"#, Some(r#"{"a":1.50,"b":{"id":[ 2 ]}}"#)),
            (r#"{"user":{"plan":"x","name":"a"},"\u0061":null}"#, Some(r#"{"user.plan":"x","a":null}"#)),
            (r#"{"a":1,"b":2,"a":3}"#, Some(r#"{"a":3,"b":2}"#)),
            (r#"{"\"":1}"#, Some(r#"{"\"":1}"#)),
            (r#"[1, {"id": 2}, null]"#, Some(r#"{"0":1,"1":{"id": 2},"2":null}"#)),
        ] {
            assert_eq!(rest(record, &Keys::new(&fields)).as_deref(), expected, "{record}");
        }
    }
}

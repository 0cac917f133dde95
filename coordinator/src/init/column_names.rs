//! Finds the names of the columns of a table whose rows are arrays: in the same document, there is a
//! list with a name, or an object with a name, for each column.
//!
//! ```text
//! {"columns":[{"name":"id","type":"number"},{"name":"city"}],"rows":[[1,"Bonn"],[2,"Ulm"]]}
//!             ──────────                    ────────────
//! ```

use std::collections::BTreeSet;

use serde_json::Value;

use super::around::Surroundings;

/// Keys of the name of a column, the preferred ones first.
const KEYS_OF_NAMES: &[&str] = &["fieldName", "name", "column_name", "field", "id", "key", "title", "label"];
/// Maximum number of values that are searched.
const MAX_VALUES: usize = 100_000;

/// Returns a name for each of `count` columns, if the values around the records have them. The values
/// next to the records are searched first.
pub(super) fn column_names(around: &Surroundings, count: usize) -> Option<Vec<String>> {
    around.levels().rev().find_map(|(_, level)| {
        let values = level.first.values().rev();
        let mut open: Vec<Value> = values.filter_map(|value| serde_json::from_str(value).ok()).collect();
        let mut searched = 0;
        while let Some(value) = open.pop().filter(|_| searched < MAX_VALUES) {
            searched += 1;
            match value {
                Value::Array(items) => {
                    if let Some(names) = names(&items).filter(|names| names.len() == count) {
                        return Some(names);
                    }
                    open.extend(items.into_iter().rev());
                }
                Value::Object(members) => {
                    let mut members: Vec<Value> = members.into_iter().map(|(_, value)| value).collect();
                    members.reverse();
                    open.append(&mut members);
                }
                _ => {}
            }
        }
        None
    })
}

/// Returns the names in a list of names or of objects with names, if they are different.
fn names(items: &[Value]) -> Option<Vec<String>> {
    let texts = |text: &dyn Fn(&Value) -> Option<String>| -> Option<Vec<String>> {
        let names = items.iter().map(text).collect::<Option<Vec<String>>>()?;
        let different: BTreeSet<&String> = names.iter().filter(|name| !name.trim().is_empty()).collect();
        (different.len() == items.len()).then_some(names)
    };
    let of_key = |key: &&str| texts(&|item| item.get(key)?.as_str().map(str::to_owned));
    texts(&|item| item.as_str().map(str::to_owned)).or_else(|| KEYS_OF_NAMES.iter().find_map(of_key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::init::around::tests::add;

    #[test]
    fn names_are_found_in_any_list_with_one_for_each_column() {
        for (members, expected) in [
            (&[("columns", r#"["a","b"]"#)][..], Some(["a", "b"])),
            (
                &[
                    ("x", "[1,2]"),
                    ("meta", r#"{"view":{"columns":[{"id":-1,"name":"A","fieldName":"a"},{"fieldName":"b"}]}}"#),
                ],
                Some(["a", "b"]),
            ),
            (&[("c", r#"[{"id":1,"name":"a"},{"id":2,"name":"b"}]"#)], Some(["a", "b"])),
            (&[("c", r#"["a","b","c"]"#), ("d", r#"[["a","b"]]"#)], Some(["a", "b"])),
            (&[("c", r#"["a","a"]"#)], None),
            (&[("c", r#"["a",""]"#)], None),
            (&[("c", r#"["a",{"name":"b"}]"#)], None),
            (&[("c", r#"["a"]"#)], None),
            (&[("c", "NaN"), ("d", r#"["a","b"]"#)], Some(["a", "b"])),
        ] {
            let mut around = Surroundings::default();
            add(&mut around, 0, 0, members);
            let expected = expected.map(|names| names.map(str::to_owned).to_vec());
            assert_eq!(column_names(&around, 2), expected, "{members:?}");
        }
        let mut around = Surroundings::default();
        add(&mut around, 0, 0, &[("c", r#"["a","b"]"#)]);
        add(&mut around, 2, 0, &[("c", r#"["c","d"]"#)]);
        assert_eq!(column_names(&around, 2), Some(vec!["c".to_owned(), "d".to_owned()]));
    }
}

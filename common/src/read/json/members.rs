//! ③ Reads the members of an object with their text.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde::de::MapAccess;
use serde_json::value::RawValue;

/// Returns the members of an object in their order. If a key occurs several times, returns it once,
/// with its last value.
pub(in crate::read) fn last_values<'de, A: MapAccess<'de>>(
    mut members: A,
) -> Result<Vec<(String, &'de RawValue)>, A::Error> {
    let mut found: Vec<(String, &RawValue)> = Vec::new();
    let mut positions: HashMap<String, usize> = HashMap::new();
    while let Some((key, value)) = members.next_entry::<String, &RawValue>()? {
        match positions.entry(key.clone()) {
            Entry::Occupied(position) => found[*position.get()].1 = value,
            Entry::Vacant(position) => {
                position.insert(found.len());
                found.push((key, value));
            }
        }
    }
    Ok(found)
}

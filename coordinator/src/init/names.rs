//! Names of sources and columns: valid, and different apart from upper and lower case.

use std::collections::{HashMap, HashSet};

/// The names that are taken.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// In lower case.
    taken: HashSet<String>,
    /// For each name that was numbered, the last number. Otherwise thousands of equal names would
    /// each try all numbers.
    last: HashMap<String, usize>,
}

impl Names {
    pub(super) fn is_free(&self, name: &str) -> bool {
        !self.taken.contains(&name.to_ascii_lowercase())
    }

    /// Takes `name`, or `name` with a number after it if it is taken. Returns it.
    pub(super) fn take(&mut self, name: &str) -> String {
        let key = name.to_ascii_lowercase();
        if self.taken.insert(key.clone()) {
            return name.to_owned();
        }
        let mut number = self.last.get(&key).copied().unwrap_or(1);
        loop {
            number += 1;
            if self.taken.insert(format!("{key}_{number}")) {
                self.last.insert(key, number);
                return format!("{name}_{number}");
            }
        }
    }
}

/// Returns a valid name that is like `text`.
pub(super) fn cleaned(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            name.push(c);
        } else if !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
    }
    let name = name.trim_end_matches('_');
    match name.chars().next() {
        None => "field".to_owned(),
        Some(first) if first.is_ascii_alphabetic() => name.to_owned(),
        Some(_) => format!("field_{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_numbered_from_two() {
        let mut names = Names::default();
        let taken = ["id", "ID", "id_2", "x", "Id"].map(|name| names.take(name));
        assert_eq!(taken, ["id", "ID_2", "id_2_2", "x", "Id_3"]);
        assert!(names.is_free("y") && !names.is_free("ID_2"));
    }

    #[test]
    fn a_cleaned_name_is_valid() {
        for (text, expected) in [("a b", "a_b"), ("größe", "gr_e"), ("1st", "field_1st"), ("", "field"), ("_x_", "x")]
        {
            assert_eq!(cleaned(text), expected);
        }
    }
}

//! ③ Finds the column of a JSON key, if a declared field has the key.
//!
//! Records of one source usually have the same keys in the same order. So each key remembers the
//! key that followed it. Looking up a key usually takes one comparison, with the expected key.
//! Undeclared keys are remembered too.

use std::collections::HashMap;

use crate::config::resolved::Field;

/// Keys of one kind of JSON object: the record, a struct, or an object that is part of a dotted
/// path.
#[derive(Debug)]
pub(in crate::read) struct Keys {
    entries: Vec<Entry>,
    by_name: HashMap<Box<str>, usize>,
    /// Index of the first key of the object that was read last.
    first: usize,
}

#[derive(Debug)]
struct Entry {
    name: Box<str>,
    target: Target,
    /// Index of the key that followed this key when it was last read.
    next: usize,
}

/// Destination of the value of a key.
#[derive(Debug)]
pub(in crate::read) enum Target {
    /// Index of a column among the columns of the record or the members of the struct.
    Column(usize),
    /// An object that is part of a dotted path.
    Path(Box<Path>),
    /// An undeclared field, with its index in the list of undeclared fields.
    Unknown(usize),
}

/// A JSON object that is not a column itself, but contains the values of columns.
#[derive(Debug)]
pub(in crate::read) struct Path {
    /// Key of the object.
    pub(in crate::read) name: Box<str>,
    pub(in crate::read) keys: Keys,
    /// Indices of all columns whose values are inside the object.
    pub(in crate::read) columns: Vec<usize>,
}

impl Keys {
    /// Returns the keys that lead to the values of `fields`. The target of a field is the column with
    /// its index. The aliases of all fields are the columns after them, in their order.
    pub(in crate::read) fn new(fields: &[Field]) -> Self {
        let own = fields.iter().map(Field::keys);
        let aliases = fields.iter().flat_map(|field| field.aliases.iter().map(Vec::as_slice));
        let paths: Vec<(usize, &[String])> = own.chain(aliases).enumerate().collect();
        Self::of_paths(&paths)
    }

    fn of_paths(paths: &[(usize, &[String])]) -> Self {
        let mut keys = Self { entries: Vec::new(), by_name: HashMap::new(), first: 0 };
        for (column, path) in paths {
            let Some((name, rest)) = path.split_first() else { continue };
            // An earlier field's path has the same first segment, and its target includes this
            // field.
            if keys.by_name.contains_key(name.as_str()) {
                continue;
            }
            let target = if rest.is_empty() {
                Target::Column(*column)
            } else {
                let below: Vec<(usize, &[String])> = paths
                    .iter()
                    .filter_map(|(column, path)| match path.split_first() {
                        Some((first, rest)) if first == name => Some((*column, rest)),
                        _ => None,
                    })
                    .collect();
                let columns = below.iter().map(|(column, _)| *column).collect();
                Target::Path(Box::new(Path { name: name.as_str().into(), keys: Self::of_paths(&below), columns }))
            };
            keys.learn(name, target);
        }
        keys
    }

    /// Returns the index of the key `name` among the known keys. `before` is the index, among the
    /// known keys, of the key that precedes it in the record; `None` for the first key. The key that
    /// followed it in earlier records is tried first.
    pub(in crate::read) fn find(&mut self, name: &str, before: Option<usize>) -> Option<usize> {
        let expected = before.map_or(self.first, |before| self.entries[before].next);
        if self.entries.get(expected).is_some_and(|entry| *entry.name == *name) {
            return Some(expected);
        }
        let found = *self.by_name.get(name)?;
        self.expect_next(before, found);
        Some(found)
    }

    /// Returns the target of `name`, if it is known.
    pub(in crate::read) fn get(&self, name: &str) -> Option<&Target> {
        self.by_name.get(name).map(|&index| &self.entries[index].target)
    }

    /// Adds a key that was not seen before. Returns its index.
    pub(in crate::read) fn learn(&mut self, name: &str, target: Target) -> usize {
        let index = self.entries.len();
        self.entries.push(Entry { name: name.into(), target, next: index + 1 });
        self.by_name.insert(name.into(), index);
        index
    }

    pub(in crate::read) fn expect_next(&mut self, before: Option<usize>, found: usize) {
        match before {
            None => self.first = found,
            Some(before) => self.entries[before].next = found,
        }
    }

    pub(in crate::read) fn target(&mut self, index: usize) -> &mut Target {
        &mut self.entries[index].target
    }
}

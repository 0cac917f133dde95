//! ③ Columns whose values are outside of the records, in the objects that the path of the records
//! leads through (`from_document`).
//!
//! For each record, the members of the objects around it are put together as one JSON object, with
//! the level of each object as its key. A decoder of its own reads this object:
//!
//! ```text
//! {"version":2,"users":{"ann":{"id":1},"bob":{"id":2}}}      records = "users.*"
//!  level 0              level 1: the key of the record
//!
//! record {"id":2}  ──►  {"0":{"version":2},"1":"bob"}
//! ```
//!
//! The members were collected before (`framing::collection`), because they may follow the records.

use std::collections::BTreeMap;

use arrow::array::{ArrayRef, StructArray};
use arrow::error::ArrowError;

use crate::config::records_path::{self, Level, member_of};
use crate::config::resolved::{DocumentPlace, Field, FieldInput, JsonFormat};
use crate::read::framing::collection::{Collected, Collection};
use crate::read::framing::undeclared_members::DeclaredMembers;
use crate::read::framing::wrapper::{Around, Wrapper};
use crate::read::json::decoder::Decoder;
use crate::read::rejection::{Reason, Rejection};

/// The columns of a source that come from objects around the records.
#[derive(Debug)]
pub(in crate::read) struct Enclosing {
    decoder: Decoder,
    /// The levels of the path to the records.
    path: Vec<Level>,
    declared: DeclaredMembers,
    /// The levels of containers whose members' keys are values of fields.
    named: Vec<usize>,
    /// The field that reads each of the declared members.
    readers: Vec<String>,
    collection: Collection,
    /// The values around the current record.
    current: Values,
}

/// The values around a record.
#[derive(Debug, Default)]
struct Values {
    /// Numbers of the objects and arrays around the record, each with the key of the member that
    /// contains the record, if a field reads it.
    around: Vec<(u64, Vec<u8>)>,
    /// The values as one JSON object.
    json: Vec<u8>,
    /// Reason to reject the records that the values are around.
    rejection: Option<Rejection>,
}

impl Enclosing {
    /// Returns the columns of those `fields` that come from objects around the records; `None` if
    /// there are none.
    pub(in crate::read) fn new(fields: &[Field], format: &JsonFormat) -> Option<Self> {
        let JsonFormat::Document { records: Some(records) } = format else { return None };
        let (mut declared, mut readers, mut named) = (DeclaredMembers::new(), Vec::new(), Vec::new());
        let mut inside = Vec::new();
        for field in fields {
            let FieldInput::Document(DocumentPlace { level, keys }) = &field.input else { continue };
            if let Some(key) = keys.first() {
                declared.push((*level, key.clone()));
                readers.push(field.name.clone());
            } else {
                named.push(*level);
            }
            let keys = [level.to_string()].into_iter().chain(keys.iter().cloned()).collect();
            inside.push(Field { input: FieldInput::Keys(keys), ..field.clone() });
        }
        (!inside.is_empty()).then(|| Self {
            decoder: Decoder::new(&inside),
            // The path was checked with the configuration.
            path: records_path::parse(records).unwrap_or_default(),
            declared,
            named,
            readers,
            collection: Collection::default(),
            current: Values::default(),
        })
    }

    /// Returns the members that must be collected before the records of an object are read.
    pub(in crate::read) fn declared(&self) -> &DeclaredMembers {
        &self.declared
    }

    /// Starts the records of an object with these members around its records.
    pub(in crate::read) fn start_object(&mut self, collection: Collection) {
        self.collection = collection;
        self.current = Values::default();
    }

    /// Adds the values around the current record. `decode` passes a text to the decoder.
    ///
    /// # Errors
    /// The reason why the record is rejected. The columns are then unchanged.
    pub(in crate::read) fn push(
        &mut self,
        wrapper: &Wrapper,
        decode: impl FnOnce(&mut Decoder, &[u8]) -> Result<(), Rejection>,
    ) -> Result<(), Rejection> {
        let is_current = |current: &[(u64, Vec<u8>)]| {
            let mut around = wrapper.around();
            current.iter().enumerate().all(|(level, (number, key))| {
                let is_same = |found: Around<'_>| {
                    found.number == *number && (!self.named.contains(&level) || found.member == key.as_slice())
                };
                around.next().is_some_and(is_same)
            }) && around.next().is_none()
        };
        if self.current.around.is_empty() || !is_current(&self.current.around) {
            self.collect_values(wrapper);
        }
        if let Some(rejection) = &self.current.rejection {
            return Err(rejection.clone());
        }
        decode(&mut self.decoder, &self.current.json).map_err(|rejection| match rejection.field {
            Some(_) => rejection,
            // The position of the fault would be one in the object that was put together.
            None => {
                let what = if rejection.reason == Reason::NotUtf8 { "UTF-8" } else { "JSON" };
                Rejection::new(rejection.reason, format!("a key or a value around the record is not {what}"))
            }
        })
    }

    /// Returns the reason to reject the records inside a container; `None` if each member of the
    /// container that a field reads is known or certainly missing.
    fn fault(&self, level: usize, members: Collected<'_>) -> Option<Rejection> {
        if members.is_too_long {
            let detail = "a value around the record is longer than `max_record_bytes`".to_owned();
            return Some(Rejection::new(Reason::TooLong, detail));
        }
        if members.is_complete {
            return None;
        }
        let is_unknown = |(index, (at, _)): &(usize, &(usize, String))| *at == level && !members.read.contains(index);
        let (unknown, (_, key)) = self.declared.iter().enumerate().find(is_unknown)?;
        let place = member_of(&records_path::place(&self.path[..level]), key);
        let detail = format!("`{place}` is unknown, because the object around the record was not read to its end");
        Some(Rejection::of_field(Reason::BrokenDocument, &self.readers[unknown], detail))
    }

    fn collect_values(&mut self, wrapper: &Wrapper) {
        let Values { mut around, mut json, .. } = std::mem::take(&mut self.current);
        let mut rejection = None;
        around.clear();
        json.clear();
        json.push(b'{');
        for (level, container) in wrapper.around().enumerate() {
            let key = if self.named.contains(&level) { container.member } else { &[] };
            around.push((container.number, key.to_vec()));
            let members = self.collection.members(level, container.number);
            rejection = rejection.or_else(|| self.fault(level, members));
            if key.is_empty() && members.text.is_empty() {
                continue;
            }
            if json.len() > 1 {
                json.push(b',');
            }
            json.extend_from_slice(format!("\"{level}\":").as_bytes());
            if key.is_empty() {
                json.push(b'{');
                json.extend_from_slice(members.text);
                json.push(b'}');
            } else {
                json.extend_from_slice(key);
            }
        }
        json.push(b'}');
        self.current = Values { around, json, rejection };
    }

    /// Removes the last record again.
    pub(in crate::read) fn remove_last(&mut self) {
        self.decoder.remove_last();
    }

    /// Returns the columns since the last call, in the order of their fields.
    ///
    /// # Errors
    /// Never fails in practice, as [`Decoder::finish`].
    pub(in crate::read) fn finish(&mut self) -> Result<Vec<ArrayRef>, ArrowError> {
        self.decoder.finish().map(StructArray::into_parts).map(|(_, columns, _)| columns)
    }

    /// Returns the approximate number of bytes of the columns.
    pub(in crate::read) fn bytes(&self) -> usize {
        self.decoder.bytes()
    }

    /// Returns the number of invalid values that became null, by field.
    pub(in crate::read) fn nulled_values(&self) -> &BTreeMap<String, u64> {
        self.decoder.nulled_values()
    }

    /// Returns the undeclared members of objects around the records that fields read in part. Each
    /// has its path from the root of the document, and the number of records inside its object.
    pub(in crate::read) fn unknown_fields(&self) -> BTreeMap<String, u64> {
        let renamed = |(name, count): (String, u64)| {
            let (level, name) = name.split_once('.')?;
            let around = self.path.get(..level.parse().ok()?)?;
            Some((format!("{}.{name}", records_path::place(around)), count))
        };
        self.decoder.unknown_fields().into_iter().filter_map(renamed).collect()
    }
}

//! ③ Decodes the text of one record into the columns, or returns the reason to reject it.
//!
//! `serde_json` parses the record and passes each value to the column of its key (`json::visitor`),
//! without building a tree. A record that `serde_json` cannot parse is malformed. `json::coerce`
//! decides which values fit a type. A record is stored completely or not at all. The result does
//! not depend on earlier records. `json::template` stores records of a known shape faster, with the
//! same result.

use std::collections::BTreeMap;

use arrow::array::StructArray;
use arrow::datatypes::Fields;
use arrow::error::ArrowError;
use serde::Deserializer as _;
use serde::de::IgnoredAny;

use crate::config::resolved::{Field, RecordKind};
use crate::read::json::alternatives::Alternatives;
use crate::read::json::columns::{Column, columns};
use crate::read::json::fault_text::shown_text;
use crate::read::json::keys::Keys;
use crate::read::json::record::Record;
use crate::read::json::template::Templates;
use crate::read::json::visitor::{ObjectVisitor, is_out_of_range};
use crate::read::rejection::{Reason, Rejection};
use crate::read::schema::arrow_schema;

/// Decodes records of one source, batch after batch.
#[derive(Debug)]
pub struct Decoder {
    keys: Keys,
    /// Columns of the fields, then those of their aliases.
    columns: Vec<Column>,
    /// Fields that have several keys.
    alternatives: Vec<Alternatives>,
    record_kind: RecordKind,
    /// For each required field, its column and those of its aliases. One of them must have a value.
    required: Vec<Vec<usize>>,
    fields: Fields,
    rows: usize,
    bytes: usize,
    record: Record,
    /// Templates, which store records of a known shape without a parser. `None` in tests that parse
    /// every record.
    templates: Option<Templates>,
}

impl Decoder {
    /// Returns a decoder for records that are objects with the declared `fields`.
    #[must_use]
    pub fn new(fields: &[Field]) -> Self {
        Self::of_kind(RecordKind::Object, fields)
    }

    /// Returns a decoder for records of a kind with the declared `fields`.
    pub(in crate::read) fn of_kind(record_kind: RecordKind, fields: &[Field]) -> Self {
        let alternatives = Alternatives::of(fields);
        let columns_of = |field: usize| {
            let aliases = alternatives.iter().filter(move |it| it.field == field).flat_map(|it| it.aliases.clone());
            [field].into_iter().chain(aliases).collect()
        };
        let is_required = |(_, field): &(usize, &Field)| field.required;
        let required = fields.iter().enumerate().filter(is_required).map(|(i, _)| columns_of(i)).collect();
        Self {
            keys: Keys::new(fields),
            columns: columns(fields),
            required,
            alternatives,
            record_kind,
            fields: arrow_schema(fields).fields().clone(),
            rows: 0,
            bytes: 0,
            record: Record::new(),
            // Templates are made of keys.
            templates: (record_kind == RecordKind::Object).then(Templates::new),
        }
    }

    /// Returns a decoder that parses every record, without templates (the *exact path*).
    #[cfg(test)]
    pub(in crate::read) fn exact(fields: &[Field]) -> Self {
        Self { templates: None, ..Self::new(fields) }
    }

    /// Decodes one record into the columns.
    ///
    /// # Errors
    /// The reason why the record is rejected. The columns are then unchanged.
    pub fn decode(&mut self, text: &[u8]) -> Result<(), Rejection> {
        // Check once for the whole record: serde_json skips undeclared values without checking
        // their bytes.
        let valid = simdutf8::basic::from_utf8(text).map_err(|_| Rejection::new(Reason::NotUtf8, not_utf8(text)))?;
        let templates = self.templates.as_mut();
        if templates.is_some_and(|it| it.read(valid, self.rows, &mut self.columns, &mut self.record)) {
            self.accept(text);
            return Ok(());
        }
        let mut outcome = self.read(valid);
        // The loop ends, because in each iteration at least one more string column has switched to
        // storing numbers as they are written.
        while self.record.is_to_be_read_again {
            self.columns.iter_mut().for_each(|column| column.truncate(self.rows));
            outcome = self.read(valid);
        }
        match outcome {
            Ok(()) => {
                self.accept(text);
                if let Some(templates) = &mut self.templates {
                    templates.learn(valid, &self.keys, &self.columns, &self.required);
                }
                Ok(())
            }
            Err(rejection) => {
                self.columns.iter_mut().for_each(|column| column.truncate(self.rows));
                Err(rejection)
            }
        }
    }

    /// Removes the last record of the current batch again.
    pub(in crate::read) fn remove_last(&mut self) {
        self.rows = self.rows.saturating_sub(1);
        self.columns.iter_mut().for_each(|column| column.truncate(self.rows));
    }

    fn accept(&mut self, text: &[u8]) {
        self.rows += 1;
        self.bytes += text.len();
        self.record.count();
    }

    /// Returns the number of records that were stored by a template so far, without a parser.
    #[must_use]
    pub fn templated_records(&self) -> u64 {
        self.templates.as_ref().map_or(0, Templates::records)
    }

    /// Returns the number of records in the columns.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Returns the number of bytes of the JSON texts whose values are in the columns. It
    /// approximates the memory that the columns use.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the records that were decoded since the last call, as the columns of the staging
    /// table.
    ///
    /// # Errors
    /// Never fails in practice, because all columns have the same length and the declared types.
    pub fn finish(&mut self) -> Result<StructArray, ArrowError> {
        self.bytes = 0;
        let rows = std::mem::take(&mut self.rows);
        let mut arrays = self.columns.iter_mut().map(Column::finish).collect::<Result<Vec<_>, _>>()?;
        for alternatives in &self.alternatives {
            alternatives.merge(&mut arrays)?;
        }
        arrays.truncate(self.fields.len());
        StructArray::try_new_with_length(self.fields.clone(), arrays, None, rows)
    }

    /// Returns the undeclared fields, each with the number of accepted records that contained it. A
    /// field inside another field has a dotted name.
    #[must_use]
    pub fn unknown_fields(&self) -> BTreeMap<String, u64> {
        self.record.unknown_fields()
    }

    /// Returns the number of invalid values that became null, for each field that has any. A value
    /// inside another one has a dotted name.
    #[must_use]
    pub fn nulled_values(&self) -> &BTreeMap<String, u64> {
        self.record.nulled_values()
    }

    fn read(&mut self, text: &str) -> Result<(), Rejection> {
        self.record.begin();
        let start = text.trim_start_matches([' ', '\t', '\r', '\n']);
        let as_item;
        let text = match self.record_kind {
            // For a value of another kind, serde_json would report malformed JSON.
            RecordKind::Object if !start.starts_with('{') => return Err(of_other_kind(text, "object")),
            RecordKind::Array if !start.starts_with('[') => return Err(of_other_kind(text, "array")),
            RecordKind::Object | RecordKind::Array => text,
            // Read the value as the first item of an array.
            RecordKind::Value => {
                // Reject `1,2`, which would become two items of the array.
                serde_json::from_str::<IgnoredAny>(text).map_err(|error| malformed(&error))?;
                as_item = format!("[{text}]");
                &as_item
            }
        };
        let mut json = serde_json::Deserializer::from_str(text);
        let object = ObjectVisitor {
            keys: &mut self.keys,
            columns: &mut self.columns,
            row: self.rows,
            around: "",
            record: &mut self.record,
        };
        let read = match self.record_kind {
            RecordKind::Object => json.deserialize_map(object),
            RecordKind::Array | RecordKind::Value => json.deserialize_seq(object),
        };
        if let Err(error) = read.and_then(|()| json.end()) {
            let mut rejection = malformed(&error);
            if self.record_kind == RecordKind::Value {
                // The column of the fault would be that in the array.
                let end = rejection.detail.find(" at line ").unwrap_or(rejection.detail.len());
                rejection.detail.truncate(end);
            }
            // Name the field only if its number is out of range. Broken syntax may have started
            // anywhere before the place where the parser detects it.
            if rejection.reason == Reason::OutOfRange {
                rejection.field = self.record.path.first().map(|&i| self.columns[i].name.clone());
            }
            return Err(rejection);
        }
        // A key that did not occur is null. Afterwards each column has a value for the row.
        self.columns.iter_mut().filter(|column| column.len() == self.rows).for_each(Column::push_null);
        if let Some(fault) = self.record.first_fault() {
            return Err(fault.rejection.clone());
        }
        let is_missing = |columns: &&Vec<usize>| columns.iter().all(|&i| !self.columns[i].is_valid(self.rows));
        match self.required.iter().find(is_missing).and_then(|columns| columns.first()) {
            None => Ok(()),
            Some(&missing) => {
                let name = &self.columns[missing].name;
                Err(Rejection::of_field(
                    Reason::MissingField,
                    name,
                    format!("required field `{name}` is missing or null"),
                ))
            }
        }
    }
}

fn malformed(error: &serde_json::Error) -> Rejection {
    let reason = if is_out_of_range(error) { Reason::OutOfRange } else { Reason::Malformed };
    Rejection::new(reason, error.to_string())
}

fn of_other_kind(text: &str, kind: &str) -> Rejection {
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => Rejection::new(Reason::NotAnObject, format!("{} is not an {kind}", shown_text(text))),
        Err(error) => malformed(&error),
    }
}

fn not_utf8(text: &[u8]) -> String {
    let at = std::str::from_utf8(text).map_or_else(|e| e.valid_up_to(), |_| 0);
    format!("byte {at} of the record is not UTF-8")
}

#[cfg(test)]
mod tests;

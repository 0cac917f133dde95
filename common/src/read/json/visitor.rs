//! ③ Receives each key and value of a record from `serde_json`.
//!
//! Every visitor stores exactly one value in each of its columns: a null if there is a fault, and
//! the last value if a key occurs several times. Visitors return an error only for text that is not
//! JSON. The fault of a value is recorded in the `Record` instead, because a later value under the
//! same key may replace it. Undeclared fields are skipped without recursion.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::config::resolved::{FieldType, OnInvalid};
use crate::read::json::coerce::{Fault, Scalar};
use crate::read::json::columns::{Column, Values};
use crate::read::json::fault_text::{shown, shown_text, type_name};
use crate::read::json::keys::{Keys, Path, Target};
use crate::read::json::members::last_values;
use crate::read::json::record::{Mark, Record};
use crate::read::rejection::Reason;

/// Reads the members of an object into columns. The object is a record, a struct, or part of a
/// dotted path. Reads the items of an array in the same way: the key of an item is its position.
pub(in crate::read) struct ObjectVisitor<'a> {
    pub(in crate::read) keys: &'a mut Keys,
    pub(in crate::read) columns: &'a mut [Column],
    /// Index of the record's row in the columns.
    pub(in crate::read) row: usize,
    /// Dotted name of this object, such as `user.address`, which prefixes the names of undeclared
    /// fields; empty for the record.
    pub(in crate::read) around: &'a str,
    pub(in crate::read) record: &'a mut Record,
}

impl<'de> Visitor<'de> for ObjectVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Self { keys, columns, row, around, record } = self;
        // Faults that were recorded before this object belong to other values.
        let mark = record.mark();
        let mut before = None;
        while let Some(index) =
            members.next_key_seed(KeySeed { keys: &mut *keys, before, around, record: &mut *record })?
        {
            match index {
                None => drop(members.next_value::<IgnoredAny>()?),
                Some(index) => {
                    before = Some(index);
                    let target = keys.target(index);
                    members.next_value_seed(MemberSeed { target, columns, row, around, record: &mut *record, mark })?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Self { keys, columns, row, around, record } = self;
        let mark = record.mark();
        let mut before = None;
        for position in 0_usize.. {
            let key = KeySeed { keys: &mut *keys, before, around, record: &mut *record };
            let index = key.visit_str::<A::Error>(&position.to_string())?;
            let item = match index {
                None => items.next_element::<IgnoredAny>()?.map(drop),
                Some(index) => {
                    before = Some(index);
                    let target = keys.target(index);
                    items.next_element_seed(MemberSeed { target, columns, row, around, record: &mut *record, mark })?
                }
            };
            if item.is_none() {
                // There is no item at this position, so it is not an undeclared field.
                if index.is_none() {
                    record.seen.pop();
                }
                break;
            }
        }
        Ok(())
    }
}

/// Reads the value of a key, or an item of an array.
struct MemberSeed<'a> {
    target: &'a mut Target,
    columns: &'a mut [Column],
    row: usize,
    around: &'a str,
    record: &'a mut Record,
    /// State of the record before the object that contains the value.
    mark: Mark,
}

impl<'de> DeserializeSeed<'de> for MemberSeed<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        let Self { target, columns, row, around, record, mark } = self;
        match target {
            Target::Unknown(field) => {
                record.seen.push(*field);
                value.deserialize_ignored_any(IgnoredAny).map(drop)
            }
            Target::Column(i) => {
                record.path.push(*i);
                let column = &mut columns[*i];
                if column.len() > row {
                    // The key occurs twice. The last value wins.
                    column.truncate(row);
                    record.forgive(mark);
                }
                ValueSeed { column, record: &mut *record }.deserialize(value)?;
                record.path.pop();
                Ok(())
            }
            Target::Path(path) => {
                for &i in &path.columns {
                    if columns[i].len() > row {
                        columns[i].truncate(row);
                        record.path.push(i);
                        record.forgive(mark);
                        record.path.pop();
                    }
                }
                PathSeed { path, columns, row, around, record }.deserialize(value)
            }
        }
    }
}

/// Reads a key. Returns its index in `keys`; `None` if the key is undeclared and is not remembered,
/// because there are too many such keys or its name is too long.
struct KeySeed<'a> {
    keys: &'a mut Keys,
    before: Option<usize>,
    around: &'a str,
    record: &'a mut Record,
}

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = Option<usize>;

    fn deserialize<D: serde::Deserializer<'de>>(self, key: D) -> Result<Self::Value, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        if let Some(found) = self.keys.find(name, self.before) {
            return Ok(Some(found));
        }
        let Some(field) = self.record.unknown_field(self.around, name) else { return Ok(None) };
        let learned = self.keys.learn(name, Target::Unknown(field));
        self.keys.expect_next(self.before, learned);
        Ok(Some(learned))
    }
}

/// Reads an object that is part of a dotted path, such as `user` in `from = "user.name"`.
struct PathSeed<'a> {
    path: &'a mut Path,
    columns: &'a mut [Column],
    row: usize,
    around: &'a str,
    record: &'a mut Record,
}

impl<'de> DeserializeSeed<'de> for PathSeed<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        let is_lenient = |i: &usize| self.columns[*i].rules.on_invalid == OnInvalid::Null;
        if !self.path.columns.iter().any(is_lenient) {
            return value.deserialize_any(self);
        }
        // The parser would fail at a number that no double can represent.
        let text = <&RawValue as serde::Deserialize>::deserialize(value)?.get();
        if text.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) {
            self.no_object("a number");
            return Ok(());
        }
        serde_json::Deserializer::from_str(text).deserialize_any(self).map_err(serde::de::Error::custom)
    }
}

impl PathSeed<'_> {
    fn no_object(self, found: &str) {
        let Self { path, columns, record, .. } = self;
        // Every column below has no value. Report the first one that does not allow this.
        let is_strict = |i: &&usize| columns[**i].rules.on_invalid == OnInvalid::Quarantine;
        let strict = path.columns.iter().find(is_strict).copied();
        let reported = strict.or_else(|| path.columns.first().copied()).unwrap_or_default();
        let column = &mut columns[reported];
        // If another object follows under the same key, it replaces the null and removes the fault.
        column.push_null();
        record.path.push(reported);
        if strict.is_some() {
            let detail = format!("expected an object around the field, found {found}");
            record.fault(Reason::WrongType, &column.name, detail);
        } else {
            record.record_nulled(&column.name);
        }
        record.path.pop();
    }
}

impl<'de> Visitor<'de> for PathSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.no_object("a boolean");
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.no_object("a number");
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.no_object("a number");
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.no_object("a number");
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        self.no_object("a string");
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        // The parser requires that the array is read to its end.
        while items.next_element::<IgnoredAny>()?.is_some() {}
        self.no_object("an array");
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<(), A::Error> {
        let Self { path, columns, row, around, record } = self;
        let around =
            if around.is_empty() { Cow::Borrowed(&*path.name) } else { Cow::Owned(format!("{around}.{}", path.name)) };
        ObjectVisitor { keys: &mut path.keys, columns, row, around: &around, record }.visit_map(members)
    }
}

/// Reads one value into a column. Stores exactly one value, a null if there is a fault.
pub(in crate::read) struct ValueSeed<'a> {
    pub(in crate::read) column: &'a mut Column,
    pub(in crate::read) record: &'a mut Record,
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, value: D) -> Result<(), D::Error> {
        if self.column.is_as_written {
            let text = <&RawValue as serde::Deserialize>::deserialize(value)?.get();
            return self.store_as_written(text).map_err(serde::de::Error::custom);
        }
        if self.column.is_nested_with_rules() {
            let text = <&RawValue as serde::Deserialize>::deserialize(value)?.get();
            return self.store_nested(text).map_err(serde::de::Error::custom);
        }
        let Self { column, record } = self;
        let read = value.deserialize_any(ValueSeed { column: &mut *column, record: &mut *record });
        // serde_json cannot represent the number, but a string column only needs its text.
        if let Err(error) = &read
            && column.field_type == FieldType::String
            && is_out_of_range(error)
        {
            column.is_as_written = true;
            record.is_to_be_read_again = true;
        }
        read
    }
}

impl ValueSeed<'_> {
    fn store(self, value: Scalar<'_>) {
        if let Err(fault) = self.column.push(value) {
            self.refuse(fault, || shown(value));
        }
    }

    /// Stores the value that the JSON `text` represents. Fails if a string contains invalid
    /// escapes, as parsing it would.
    fn store_as_written(self, text: &str) -> Result<(), serde_json::Error> {
        if text == "null" {
            self.column.push_null();
        } else if self.column.field_type == FieldType::Json {
            if let Err(fault) = self.column.push_json(text) {
                self.refuse(fault, || shown_text(text));
            }
        } else {
            match text.as_bytes() {
                [b'"', ..] if text.contains('\\') => self.store(Scalar::Text(&serde_json::from_str::<String>(text)?)),
                // Without escapes, the text between the quotes is the value.
                [b'"', ..] => self.store(Scalar::Text(text.trim_matches('"'))),
                [b't', ..] => self.store(Scalar::Boolean(true)),
                [b'f', ..] => self.store(Scalar::Boolean(false)),
                [b'{', ..] => self.refuse(Fault::WrongType, || "an object".to_owned()),
                [b'[', ..] => self.refuse(Fault::WrongType, || "an array".to_owned()),
                _ => self.store(Scalar::Number(text)),
            }
        }
        Ok(())
    }

    /// Stores the list, map or struct that the JSON `text` represents. If the column is a list that
    /// wraps, stores another value as its only item.
    fn store_nested(self, text: &str) -> Result<(), serde_json::Error> {
        let Self { column, record } = self;
        let mut json = serde_json::Deserializer::from_str(text);
        let wraps = column.wraps() && !text.starts_with('[');
        if text == "null" || column.means_null(text) {
            column.push_null();
        } else if let Values::List { item, .. } = &mut column.values
            && wraps
        {
            ValueSeed { column: item, record: &mut *record }.deserialize(&mut json)?;
            if let Err(fault) = column.push_nested() {
                Self { column, record }.refuse(fault, || "a list".to_owned());
            }
        } else if text.starts_with(['[', '{']) {
            return json.deserialize_any(Self { column, record });
        } else {
            Self { column, record }.refuse(Fault::WrongType, || shown_text(text));
        }
        Ok(())
    }

    /// Stores a null and records the fault. For `AskAsWritten`, requests that the record be read
    /// again instead.
    fn refuse(self, fault: Fault, found: impl FnOnce() -> String) {
        let Self { column, record } = self;
        column.push_null();
        let kind = type_name(&column.field_type);
        match fault {
            Fault::WrongType | Fault::OutOfRange if column.rules.on_invalid == OnInvalid::Null => {
                record.record_nulled(&column.name);
            }
            Fault::AskAsWritten => {
                column.is_as_written = true;
                record.is_to_be_read_again = true;
            }
            Fault::WrongType => record.fault(Reason::WrongType, &column.name, format!("{} is not a {kind}", found())),
            Fault::OutOfRange => {
                record.fault(Reason::OutOfRange, &column.name, format!("{} is out of range for a {kind}", found()));
            }
            Fault::TooLong => {
                record.fault(Reason::TooLong, &column.name, "the column would hold more than 2 GiB".to_owned());
            }
        }
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.column.push_null();
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.store(Scalar::Boolean(value));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.store(Scalar::Signed(value));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.store(i64::try_from(value).map_or(Scalar::Unsigned(value), Scalar::Signed));
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.store(Scalar::Double(value));
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.store(Scalar::Text(value));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Self { column, record } = self;
        let Values::List { item, .. } = &mut column.values else {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            Self { column, record }.refuse(Fault::WrongType, || "an array".to_owned());
            return Ok(());
        };
        while items.next_element_seed(ValueSeed { column: item, record: &mut *record })?.is_some() {}
        // Each item has stored exactly one value in the items' column, so its length is the end of
        // the list.
        if let Err(fault) = column.push_nested() {
            Self { column, record }.refuse(fault, || "an array".to_owned());
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let Self { column, record } = self;
        let row = column.len();
        let (keys, members) = match &mut column.values {
            Values::Struct { keys, members } => (keys, members),
            Values::Map { keys, values, .. } => {
                for (key, value) in last_values(entries)? {
                    if let Err(fault) = keys.push(Scalar::Text(&key)) {
                        ValueSeed { column: &mut *keys, record: &mut *record }.refuse(fault, || "a key".to_owned());
                    }
                    let mut json = serde_json::Deserializer::from_str(value.get());
                    let value = ValueSeed { column: &mut *values, record: &mut *record };
                    value.deserialize(&mut json).map_err(serde::de::Error::custom)?;
                }
                if let Err(fault) = column.push_nested() {
                    Self { column, record }.refuse(fault, || "an object".to_owned());
                }
                return Ok(());
            }
            _ => {
                while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Self { column, record }.refuse(Fault::WrongType, || "an object".to_owned());
                return Ok(());
            }
        };
        ObjectVisitor { keys, columns: &mut *members, row, around: &column.name, record: &mut *record }
            .visit_map(entries)?;
        // Members that did not occur are null.
        members.iter_mut().filter(|member| member.len() == row).for_each(Column::push_null);
        if let Err(fault) = column.push_nested() {
            Self { column, record }.refuse(fault, || "an object".to_owned());
        }
        Ok(())
    }
}

/// Whether `serde_json` found a number that does not fit a double, such as 1e400. Only the message
/// of its error shows this.
pub(in crate::read) fn is_out_of_range(error: &impl fmt::Display) -> bool {
    error.to_string().starts_with("number out of range")
}

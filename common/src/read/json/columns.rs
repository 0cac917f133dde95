//! ③ Column buffers that can remove the values of a record again.
//!
//! A record may be rejected after some of its values were stored, and the last of two equal keys
//! wins. Both cases need a buffer that can remove its last values. Arrow's builders cannot do that.
//! Every column contains one value for each row. A batch of columns becomes Arrow arrays without
//! another copy.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, BooleanBufferBuilder, Date32Array, Decimal128Array, Float64Array, Int64Array,
    ListArray, MapArray, NullBufferBuilder, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field as ArrowField};
use arrow::error::ArrowError;

use crate::config::resolved::{Field, FieldType, OnInvalid, Separators, ValueRules};
use crate::read::json::coerce::{self, Coerced, Fault, Scalar};
use crate::read::json::keys::Keys;
use crate::read::json::separators;
use crate::read::json::timestamp;
use crate::read::schema::{arrow_fields, data_type};

/// A column, a member of a struct, the items of a list, or the keys or values of a map.
#[derive(Debug)]
pub(in crate::read) struct Column {
    /// Dotted name for rejections: the names of the enclosing columns, then the column's own name.
    pub(in crate::read) name: String,
    pub(in crate::read) field_type: FieldType,
    /// Rules of the field that the column belongs to.
    pub(in crate::read) rules: ValueRules,
    /// Whether the column needs numbers as they are written, such as `1.50`. Some types always do;
    /// a string column does once it has received a number.
    pub(in crate::read) is_as_written: bool,
    /// Validity: for each row, whether its value is not null.
    pub(in crate::read) valid: NullBufferBuilder,
    pub(in crate::read) values: Values,
}

/// Values of a column. A null is stored as a zero, or as an empty text or list.
#[derive(Debug)]
pub(in crate::read) enum Values {
    /// Texts, and bytes.
    Text {
        ends: Vec<i32>,
        bytes: Vec<u8>,
    },
    /// Longs, and timestamps in microseconds.
    Long(Vec<i64>),
    Double(Vec<f64>),
    Boolean(BooleanBufferBuilder),
    Date(Vec<i32>),
    Decimal(Vec<i128>),
    List {
        ends: Vec<i32>,
        item: Box<Column>,
    },
    Map {
        ends: Vec<i32>,
        keys: Box<Column>,
        values: Box<Column>,
    },
    Struct {
        keys: Keys,
        members: Vec<Column>,
    },
}

impl Column {
    pub(in crate::read) fn new(name: &str, field_type: &FieldType, rules: &ValueRules) -> Self {
        let inner = |field_type: &FieldType| Box::new(Self::new(name, field_type, rules));
        let values = match field_type {
            FieldType::String | FieldType::Json | FieldType::Binary(_) | FieldType::Time => {
                Values::Text { ends: Vec::new(), bytes: Vec::new() }
            }
            FieldType::Long | FieldType::Timestamp(_) => Values::Long(Vec::new()),
            FieldType::Double => Values::Double(Vec::new()),
            FieldType::Boolean => Values::Boolean(BooleanBufferBuilder::new(0)),
            FieldType::Date => Values::Date(Vec::new()),
            FieldType::Decimal { .. } => Values::Decimal(Vec::new()),
            FieldType::List(item) => Values::List { ends: Vec::new(), item: inner(item) },
            FieldType::Map(value) => {
                // Keys are stored unchanged. The field's rules apply to values only.
                let keys = Self::new(name, &FieldType::String, &ValueRules::default());
                Values::Map { ends: Vec::new(), keys: Box::new(keys), values: inner(value) }
            }
            FieldType::Struct(members) => {
                let member = |member: &Field| Self::new(&format!("{name}.{}", member.name), &member.field_type, rules);
                Values::Struct { keys: Keys::new(members), members: members.iter().map(member).collect() }
            }
        };
        let is_as_written = match field_type {
            FieldType::List(_) | FieldType::Map(_) | FieldType::Struct(_) => false,
            FieldType::Json | FieldType::Decimal { .. } => true,
            FieldType::Timestamp(formats) if timestamp::needs_text(formats) => true,
            FieldType::Long | FieldType::Double if rules.separators != Separators::JSON => true,
            // The parser would fail at a number that no double can represent.
            _ => rules.on_invalid == OnInvalid::Null || !rules.null_values.is_empty(),
        };
        let valid = NullBufferBuilder::new(0);
        Self {
            name: name.to_owned(),
            field_type: field_type.clone(),
            rules: rules.clone(),
            is_as_written,
            valid,
            values,
        }
    }

    /// Whether a value means null by the rules of the field. `json` is its text in the record.
    pub(in crate::read) fn means_null(&self, json: &str) -> bool {
        let nulls = &self.rules.null_values;
        let is_listed = |text: &str| nulls.iter().any(|null| null == text);
        if nulls.is_empty() {
            return false;
        }
        match json.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
            // Invalid escapes are found later.
            Some(text) if text.contains('\\') => serde_json::from_str(json).is_ok_and(|text: String| is_listed(&text)),
            Some(text) => is_listed(text),
            None => is_listed(json),
        }
    }

    /// Whether lists, maps and structs are read from their text, because a rule of the field applies
    /// to values of other kinds.
    pub(in crate::read) fn is_nested_with_rules(&self) -> bool {
        let ValueRules { null_values, on_invalid, wrap, .. } = &self.rules;
        let has_rules = *wrap || !null_values.is_empty() || *on_invalid == OnInvalid::Null;
        has_rules && matches!(self.values, Values::List { .. } | Values::Map { .. } | Values::Struct { .. })
    }

    /// Whether a value that is not a list becomes a list of one item.
    pub(in crate::read) fn wraps(&self) -> bool {
        self.rules.wrap && matches!(self.values, Values::List { .. })
    }

    /// Returns the number of values, including nulls.
    pub(in crate::read) fn len(&self) -> usize {
        self.valid.len()
    }

    pub(in crate::read) fn is_valid(&self, row: usize) -> bool {
        self.valid.is_valid(row)
    }

    /// Removes all but the first `rows` values.
    pub(in crate::read) fn truncate(&mut self, rows: usize) {
        self.valid.truncate(rows);
        match &mut self.values {
            Values::Text { ends, bytes } => {
                // Cut the bytes where the last remaining value ends.
                ends.truncate(rows);
                bytes.truncate(last_end(ends));
            }
            Values::Long(values) => values.truncate(rows),
            Values::Double(values) => values.truncate(rows),
            Values::Boolean(values) => values.truncate(rows),
            Values::Date(values) => values.truncate(rows),
            Values::Decimal(values) => values.truncate(rows),
            Values::List { ends, item } => {
                ends.truncate(rows);
                item.truncate(last_end(ends));
            }
            Values::Map { ends, keys, values } => {
                ends.truncate(rows);
                keys.truncate(last_end(ends));
                values.truncate(last_end(ends));
            }
            Values::Struct { members, .. } => members.iter_mut().for_each(|member| member.truncate(rows)),
        }
    }

    pub(in crate::read) fn push_null(&mut self) {
        self.valid.append(false);
        match &mut self.values {
            // A null has no bytes and no items.
            Values::Text { ends, .. } | Values::List { ends, .. } | Values::Map { ends, .. } => {
                ends.push(ends.last().copied().unwrap_or(0));
            }
            Values::Long(values) => values.push(0),
            Values::Double(values) => values.push(0.0),
            Values::Boolean(values) => values.append(false),
            Values::Date(values) => values.push(0),
            Values::Decimal(values) => values.push(0),
            // Members of a null struct need a value for the row too.
            Values::Struct { members, .. } => members.iter_mut().for_each(Self::push_null),
        }
    }

    /// Converts `value` to the type of the column and stores it. Stores nothing if there is a
    /// fault.
    pub(in crate::read) fn push(&mut self, value: Scalar<'_>) -> Result<(), Fault> {
        if let Scalar::Text(text) | Scalar::Number(text) = value
            && self.rules.null_values.iter().any(|null| null == text)
        {
            self.push_null();
            return Ok(());
        }
        let plain;
        let value = match (value, &self.field_type) {
            (Scalar::Text(text), FieldType::Long | FieldType::Double | FieldType::Decimal { .. })
                if coerce::non_finite(value).is_none() =>
            {
                plain = separators::plain(text, self.rules.separators).ok_or(Fault::WrongType)?;
                Scalar::Text(&plain)
            }
            _ => value,
        };
        match (&mut self.values, &self.field_type) {
            (Values::Text { ends, bytes }, FieldType::Binary(encoding)) => {
                let coerced = coerce::binary(value, *encoding)?;
                push_bytes(ends, bytes, coerced.as_deref().unwrap_or_default())?;
                self.valid.append(coerced.is_some());
            }
            (Values::Text { ends, bytes }, FieldType::Time) => {
                let coerced = coerce::time(value)?;
                push_bytes(ends, bytes, coerced.as_deref().unwrap_or_default().as_bytes())?;
                self.valid.append(coerced.is_some());
            }
            (Values::Text { ends, bytes }, _) => {
                push_bytes(ends, bytes, coerce::string(value)?.as_bytes())?;
                self.valid.append(true);
            }
            (Values::Long(values), FieldType::Timestamp(formats)) => {
                push_value(values, &mut self.valid, timestamp::timestamp(value, formats, self.rules.zone))?;
            }
            (Values::Long(values), _) => push_value(values, &mut self.valid, coerce::long(value))?,
            (Values::Double(values), _) => {
                let non_finite = coerce::non_finite(value).filter(|_| self.rules.allow_nan);
                let coerced = non_finite.map_or_else(|| coerce::double(value), |it| Ok(Some(it)));
                push_value(values, &mut self.valid, coerced)?;
            }
            (Values::Boolean(values), _) => {
                let coerced = coerce::boolean(value)?;
                values.append(coerced.unwrap_or_default());
                self.valid.append(coerced.is_some());
            }
            (Values::Date(values), _) => push_value(values, &mut self.valid, coerce::date(value))?,
            (Values::Decimal(values), FieldType::Decimal { precision, scale }) => {
                push_value(values, &mut self.valid, coerce::decimal(value, *precision, *scale))?;
            }
            (Values::Decimal(_) | Values::List { .. } | Values::Map { .. } | Values::Struct { .. }, _) => {
                return Err(Fault::WrongType);
            }
        }
        Ok(())
    }

    /// Stores a long, or a timestamp in microseconds since the epoch.
    pub(in crate::read) fn push_long(&mut self, value: i64) -> Result<(), Fault> {
        let Values::Long(values) = &mut self.values else { return Err(Fault::WrongType) };
        values.push(value);
        self.valid.append(true);
        Ok(())
    }

    /// Stores the JSON text of a value in a column of type `json`, or the text of a record.
    pub(in crate::read) fn push_json(&mut self, text: &str) -> Result<(), Fault> {
        if self.means_null(text) {
            self.push_null();
            return Ok(());
        }
        let Values::Text { ends, bytes } = &mut self.values else { return Err(Fault::WrongType) };
        push_bytes(ends, bytes, text.as_bytes())?;
        self.valid.append(true);
        Ok(())
    }

    /// Marks the list, map or struct as not null after its items, entries or members were stored.
    pub(in crate::read) fn push_nested(&mut self) -> Result<(), Fault> {
        if let Values::List { ends, item: items } | Values::Map { ends, values: items, .. } = &mut self.values {
            ends.push(i32::try_from(items.len()).map_err(|_| Fault::TooLong)?);
        }
        self.valid.append(true);
        Ok(())
    }

    /// Returns all values as an array. Leaves the column empty, with the same capacity.
    pub(in crate::read) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        // Arrow is faster without a null buffer, so leave it out if there are no nulls.
        let nulls = self.valid.finish().filter(|nulls| nulls.null_count() > 0);
        let array: ArrayRef = match &mut self.values {
            Values::Text { ends, bytes } => {
                // The next batch will need about as many bytes. Reserve an eighth more, because a buffer
                // that is too small is copied when it grows.
                let room = Vec::with_capacity(bytes.len() + bytes.len() / 8);
                let bytes = Buffer::from_vec(std::mem::replace(bytes, room));
                match self.field_type {
                    FieldType::Binary(_) => Arc::new(BinaryArray::try_new(offsets(ends), bytes, nulls)?),
                    _ => Arc::new(StringArray::try_new(offsets(ends), bytes, nulls)?),
                }
            }
            Values::Long(values) => {
                let values = taken(values);
                match self.field_type {
                    FieldType::Timestamp(_) => {
                        Arc::new(TimestampMicrosecondArray::try_new(values, nulls)?.with_timezone("UTC"))
                    }
                    _ => Arc::new(Int64Array::try_new(values, nulls)?),
                }
            }
            Values::Double(values) => Arc::new(Float64Array::try_new(taken(values), nulls)?),
            Values::Boolean(values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Values::Date(values) => Arc::new(Date32Array::try_new(taken(values), nulls)?),
            Values::Decimal(values) => {
                let array = Decimal128Array::try_new(taken(values), nulls)?;
                Arc::new(array.with_data_type(data_type(&self.field_type)))
            }
            Values::List { ends, item } => {
                let DataType::List(field) = data_type(&self.field_type) else {
                    return Err(ArrowError::SchemaError("a list column is no list".into()));
                };
                let field: Arc<ArrowField> = field;
                Arc::new(ListArray::try_new(field, offsets(ends), item.finish()?, nulls)?)
            }
            Values::Map { ends, keys, values } => {
                let DataType::Map(entries, is_sorted) = data_type(&self.field_type) else {
                    return Err(ArrowError::SchemaError("a map column is no map".into()));
                };
                let DataType::Struct(fields) = entries.data_type() else {
                    return Err(ArrowError::SchemaError("the entries of a map are no structs".into()));
                };
                let pairs = StructArray::try_new(fields.clone(), vec![keys.finish()?, values.finish()?], None)?;
                Arc::new(MapArray::try_new(entries, offsets(ends), pairs, nulls, is_sorted)?)
            }
            Values::Struct { members, .. } => {
                let FieldType::Struct(fields) = &self.field_type else {
                    return Err(ArrowError::SchemaError("a struct column is no struct".into()));
                };
                let arrays = members.iter_mut().map(Self::finish).collect::<Result<Vec<_>, _>>()?;
                Arc::new(StructArray::try_new(arrow_fields(fields), arrays, nulls)?)
            }
        };
        Ok(array)
    }
}

/// Returns a column for each of `fields`, then one for each of their aliases.
pub(in crate::read) fn columns(fields: &[Field]) -> Vec<Column> {
    let aliases = fields.iter().flat_map(|field| field.aliases.iter().map(move |_| field));
    let column = |field: &Field| Column::new(&field.name, &field.field_type, &field.rules);
    fields.iter().chain(aliases).map(column).collect()
}

fn push_value<T: Default>(
    values: &mut Vec<T>,
    valid: &mut NullBufferBuilder,
    coerced: Coerced<T>,
) -> Result<(), Fault> {
    let coerced = coerced?;
    valid.append(coerced.is_some());
    values.push(coerced.unwrap_or_default());
    Ok(())
}

fn push_bytes(ends: &mut Vec<i32>, bytes: &mut Vec<u8>, value: &[u8]) -> Result<(), Fault> {
    let end = i32::try_from(bytes.len() + value.len()).map_err(|_| Fault::TooLong)?;
    bytes.extend_from_slice(value);
    ends.push(end);
    Ok(())
}

/// Returns the offset at which the last value ends.
fn last_end(ends: &[i32]) -> usize {
    ends.last().and_then(|end| usize::try_from(*end).ok()).unwrap_or(0)
}

fn taken<T: arrow::datatypes::ArrowNativeType>(values: &mut Vec<T>) -> ScalarBuffer<T> {
    let room = Vec::with_capacity(values.len());
    ScalarBuffer::from(std::mem::replace(values, room))
}

/// Returns Arrow's offsets: a zero, then `ends`.
fn offsets(ends: &mut Vec<i32>) -> OffsetBuffer<i32> {
    let mut offsets = Vec::with_capacity(ends.len() + 1);
    offsets.push(0);
    offsets.append(ends);
    OffsetBuffer::new(ScalarBuffer::from(offsets))
}

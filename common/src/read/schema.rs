//! ③ Converts the declared fields of a source to an Arrow schema: the columns of its staging table.
//!
//! Every column is nullable, because a missing field is null. Decoding checks `required`.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field as ArrowField, Fields, Schema, SchemaRef, TimeUnit};

use crate::config::resolved::{Field, FieldType};

/// Returns a schema with one column per field, in the order of `fields`.
#[must_use]
pub fn arrow_schema(fields: &[Field]) -> SchemaRef {
    Arc::new(Schema::new(arrow_fields(fields)))
}

/// Returns `fields` as the members of a struct.
pub(super) fn arrow_fields(fields: &[Field]) -> Fields {
    fields.iter().map(|field| ArrowField::new(&field.name, data_type(&field.field_type), true)).collect()
}

/// Returns the Arrow type that stores a declared type.
pub(super) fn data_type(field_type: &FieldType) -> DataType {
    match field_type {
        // Delta has no time of day.
        FieldType::String | FieldType::Json | FieldType::Time => DataType::Utf8,
        FieldType::Long => DataType::Int64,
        FieldType::Double => DataType::Float64,
        FieldType::Boolean => DataType::Boolean,
        FieldType::Timestamp(_) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        FieldType::Date => DataType::Date32,
        FieldType::Decimal { precision, scale } => DataType::Decimal128(*precision, *scale),
        FieldType::Binary(_) => DataType::Binary,
        FieldType::Map(value) => {
            // Delta has these names, and a map without order.
            let entries = Fields::from(vec![
                ArrowField::new("key", DataType::Utf8, false),
                ArrowField::new("value", data_type(value), true),
            ]);
            DataType::Map(Arc::new(ArrowField::new("key_value", DataType::Struct(entries), false)), false)
        }
        FieldType::List(item) => DataType::List(Arc::new(ArrowField::new("element", data_type(item), true))),
        FieldType::Struct(members) => DataType::Struct(arrow_fields(members)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_structs_keeps_the_order_of_its_members_and_may_be_null_at_every_level() {
        let member = Field::new;
        let items = FieldType::List(Box::new(FieldType::Struct(vec![
            member("price", FieldType::Decimal { precision: 10, scale: 2 }),
            member("at", FieldType::Date),
        ])));

        let schema = arrow_schema(&[member("items", items)]);

        let members = Fields::from(vec![
            ArrowField::new("price", DataType::Decimal128(10, 2), true),
            ArrowField::new("at", DataType::Date32, true),
        ]);
        let list = DataType::List(Arc::new(ArrowField::new("element", DataType::Struct(members), true)));
        assert_eq!(schema.as_ref(), &Schema::new(vec![ArrowField::new("items", list, true)]));
    }
}

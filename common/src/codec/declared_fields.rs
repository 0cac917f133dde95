//! Converts the declared fields of a source, and how its text is decoded, to messages and back.

use std::str::FromStr;

use lakewright_proto::v1;
use lakewright_proto::v1::field_input::Input;
use lakewright_proto::v1::field_type::Type;
use lakewright_proto::v1::timestamp_format::Format;

use crate::config::resolved::{
    BinaryEncoding, Decoding, DocumentPlace, Field, FieldInput, FieldType, Metadata, OnInvalid, RecordKind, Separators,
    TimestampFormat, ValueRules,
};
use crate::config::timestamp_pattern::TimestampPattern;
use crate::error::{Context, Error, Result};
use crate::read::wire::required;

pub(super) fn encode_decoding(decoding: &Decoding) -> v1::Decoding {
    let Decoding { encoding, path_pattern, replaces_invalid_unicode, skips_null_records, record_kind } = decoding;
    v1::Decoding {
        encoding: encoding.map(|encoding| encoding.name().to_owned()),
        path_pattern: path_pattern.clone(),
        replaces_invalid_unicode: *replaces_invalid_unicode,
        skips_null_records: *skips_null_records,
        record_kind: match record_kind {
            RecordKind::Object => v1::RecordKind::Object,
            RecordKind::Array => v1::RecordKind::Array,
            RecordKind::Value => v1::RecordKind::Value,
        }
        .into(),
    }
}

pub(super) fn decode_decoding(decoding: v1::Decoding) -> Result<Decoding> {
    let v1::Decoding { encoding, path_pattern, replaces_invalid_unicode, skips_null_records, record_kind } = decoding;
    let encoding = encoding.map(|label| {
        encoding_rs::Encoding::for_label_no_replacement(label.as_bytes())
            .ok_or_else(|| Error::internal("an encoding is unknown"))
    });
    // The scan compiles the pattern without checking it again.
    if let Some(pattern) = &path_pattern {
        regex::Regex::new(pattern).context(|| Error::internal("the path pattern of a source is invalid"))?;
    }
    let encoding = encoding.transpose()?;
    let record_kind = match v1::RecordKind::try_from(record_kind) {
        Ok(v1::RecordKind::Object) => RecordKind::Object,
        Ok(v1::RecordKind::Array) => RecordKind::Array,
        Ok(v1::RecordKind::Value) => RecordKind::Value,
        Ok(v1::RecordKind::Unspecified) | Err(_) => return Err(Error::internal("a kind of records is unknown")),
    };
    Ok(Decoding { encoding, path_pattern, replaces_invalid_unicode, skips_null_records, record_kind })
}

pub(super) fn encode_field(field: &Field) -> v1::Field {
    let Field { name, input, aliases, field_type, required, rules } = field;
    v1::Field {
        name: name.clone(),
        input: Some(v1::FieldInput { input: Some(encode_input(input)) }),
        r#type: Some(encode_type(field_type)),
        required: *required,
        rules: Some(encode_rules(rules)),
        aliases: aliases.iter().map(|keys| v1::Keys { keys: keys.clone() }).collect(),
    }
}

pub(super) fn decode_field(field: v1::Field) -> Result<Field> {
    let input = required(field.input, "the input of a field")?.input;
    Ok(Field {
        name: field.name,
        input: decode_input(required(input, "the input of a field")?)?,
        field_type: decode_type(required(field.r#type, "the type of a field")?)?,
        required: field.required,
        rules: decode_rules(required(field.rules, "the set of rules of a field")?)?,
        aliases: field.aliases.into_iter().map(|alias| alias.keys).collect(),
    })
}

fn encode_input(input: &FieldInput) -> Input {
    match input {
        FieldInput::Keys(keys) => Input::Keys(v1::Keys { keys: keys.clone() }),
        FieldInput::Document(DocumentPlace { level, keys }) => {
            // A path has few levels.
            let level = u32::try_from(*level).unwrap_or(u32::MAX);
            Input::Document(v1::DocumentPlace { level, keys: keys.clone() })
        }
        FieldInput::PathPart(name) => Input::PathPart(name.clone()),
        FieldInput::Metadata(metadata) => {
            let metadata = match metadata {
                Metadata::Key => v1::Metadata::Key,
                Metadata::Size => v1::Metadata::Size,
                Metadata::Modified => v1::Metadata::Modified,
                Metadata::Etag => v1::Metadata::Etag,
                Metadata::Line => v1::Metadata::Line,
                Metadata::Offset => v1::Metadata::Offset,
                Metadata::Raw => v1::Metadata::Raw,
                Metadata::Rest => v1::Metadata::Rest,
            };
            Input::Metadata(metadata.into())
        }
    }
}

fn decode_input(input: Input) -> Result<FieldInput> {
    let number = match input {
        Input::Keys(keys) => return Ok(FieldInput::Keys(keys.keys)),
        Input::Document(v1::DocumentPlace { level, keys }) => {
            let level = usize::try_from(level).context(|| Error::internal("a level of a path is too large"))?;
            return Ok(FieldInput::Document(DocumentPlace { level, keys }));
        }
        Input::PathPart(name) => return Ok(FieldInput::PathPart(name)),
        Input::Metadata(number) => number,
    };
    Ok(FieldInput::Metadata(match v1::Metadata::try_from(number).unwrap_or_default() {
        v1::Metadata::Unspecified => return Err(Error::internal("the input of a field is unknown")),
        v1::Metadata::Key => Metadata::Key,
        v1::Metadata::Size => Metadata::Size,
        v1::Metadata::Modified => Metadata::Modified,
        v1::Metadata::Etag => Metadata::Etag,
        v1::Metadata::Line => Metadata::Line,
        v1::Metadata::Offset => Metadata::Offset,
        v1::Metadata::Raw => Metadata::Raw,
        v1::Metadata::Rest => Metadata::Rest,
    }))
}

fn encode_rules(rules: &ValueRules) -> v1::ValueRules {
    let ValueRules { null_values, on_invalid, wrap, allow_nan, zone, separators } = rules;
    v1::ValueRules {
        null_values: null_values.clone(),
        invalid_is_null: *on_invalid == OnInvalid::Null,
        wrap: *wrap,
        allow_nan: *allow_nan,
        zone: zone.map(|zone| zone.name().to_owned()),
        thousands_separator: separators.thousands.map(String::from),
        decimal_separator: Some(separators.decimal).filter(|it| *it != Separators::JSON.decimal).map(String::from),
    }
}

fn decode_rules(rules: v1::ValueRules) -> Result<ValueRules> {
    let v1::ValueRules { null_values, invalid_is_null, wrap, allow_nan, zone, thousands_separator, decimal_separator } =
        rules;
    let on_invalid = if invalid_is_null { OnInvalid::Null } else { OnInvalid::Quarantine };
    let zone = zone.as_deref().map(chrono_tz::Tz::from_str).transpose();
    let zone = zone.context(|| Error::internal("the time zone of a field is unknown"))?;
    let separators = Separators {
        thousands: thousands_separator.map(decode_separator).transpose()?,
        decimal: decimal_separator.map_or(Ok(Separators::JSON.decimal), decode_separator)?,
    };
    Ok(ValueRules { null_values, on_invalid, wrap, allow_nan, zone, separators })
}

fn decode_separator(text: String) -> Result<char> {
    text.parse().context(|| Error::internal("a separator of numbers is not one character"))
}

fn encode_type(field_type: &FieldType) -> v1::FieldType {
    let simple = |simple: v1::SimpleType| Type::Simple(simple.into());
    let encoded = match field_type {
        FieldType::String => simple(v1::SimpleType::String),
        FieldType::Long => simple(v1::SimpleType::Long),
        FieldType::Double => simple(v1::SimpleType::Double),
        FieldType::Boolean => simple(v1::SimpleType::Boolean),
        FieldType::Date => simple(v1::SimpleType::Date),
        FieldType::Time => simple(v1::SimpleType::Time),
        FieldType::Json => simple(v1::SimpleType::Json),
        FieldType::Binary(BinaryEncoding::Base64) => simple(v1::SimpleType::Base64),
        FieldType::Binary(BinaryEncoding::Hex) => simple(v1::SimpleType::Hex),
        FieldType::Timestamp(formats) => {
            Type::Timestamp(v1::TimestampType { formats: formats.iter().map(encode_format).collect() })
        }
        FieldType::Decimal { precision, scale } => {
            Type::Decimal(v1::DecimalType { precision: u32::from(*precision), scale: i32::from(*scale) })
        }
        FieldType::List(items) => Type::List(Box::new(encode_type(items))),
        FieldType::Map(values) => Type::Map(Box::new(encode_type(values))),
        FieldType::Struct(members) => {
            Type::Struct(v1::StructType { members: members.iter().map(encode_field).collect() })
        }
    };
    v1::FieldType { r#type: Some(encoded) }
}

fn decode_type(field_type: v1::FieldType) -> Result<FieldType> {
    let unknown = || Error::internal("the type of a field is unknown");
    Ok(match required(field_type.r#type, "the type of a field")? {
        // An unknown number becomes `Unspecified`, which is rejected.
        Type::Simple(number) => match v1::SimpleType::try_from(number).unwrap_or_default() {
            v1::SimpleType::Unspecified => return Err(unknown()),
            v1::SimpleType::String => FieldType::String,
            v1::SimpleType::Long => FieldType::Long,
            v1::SimpleType::Double => FieldType::Double,
            v1::SimpleType::Boolean => FieldType::Boolean,
            v1::SimpleType::Date => FieldType::Date,
            v1::SimpleType::Time => FieldType::Time,
            v1::SimpleType::Json => FieldType::Json,
            v1::SimpleType::Base64 => FieldType::Binary(BinaryEncoding::Base64),
            v1::SimpleType::Hex => FieldType::Binary(BinaryEncoding::Hex),
        },
        Type::Decimal(decimal) => match (u8::try_from(decimal.precision), i8::try_from(decimal.scale)) {
            // The decoder and Arrow rely on these limits.
            (Ok(precision @ 1..=38), Ok(scale)) if (0..=38).contains(&scale) => FieldType::Decimal { precision, scale },
            _ => return Err(unknown()),
        },
        // The decoder relies on at least one format.
        Type::Timestamp(timestamp) if timestamp.formats.is_empty() => return Err(unknown()),
        Type::Timestamp(timestamp) => {
            FieldType::Timestamp(timestamp.formats.into_iter().map(decode_format).collect::<Result<_>>()?)
        }
        Type::List(items) => FieldType::List(Box::new(decode_type(*items)?)),
        Type::Map(values) => FieldType::Map(Box::new(decode_type(*values)?)),
        Type::Struct(members) => {
            FieldType::Struct(members.members.into_iter().map(decode_field).collect::<Result<_>>()?)
        }
    })
}

fn encode_format(format: &TimestampFormat) -> v1::TimestampFormat {
    let named = match format {
        TimestampFormat::EpochSeconds => v1::NamedTimestampFormat::Seconds,
        TimestampFormat::EpochMilliseconds => v1::NamedTimestampFormat::Milliseconds,
        TimestampFormat::EpochMicroseconds => v1::NamedTimestampFormat::Microseconds,
        TimestampFormat::EpochNanoseconds => v1::NamedTimestampFormat::Nanoseconds,
        TimestampFormat::Rfc3339 => v1::NamedTimestampFormat::Rfc3339,
        TimestampFormat::Auto => v1::NamedTimestampFormat::Auto,
        TimestampFormat::Pattern(pattern) => {
            return v1::TimestampFormat { format: Some(Format::Pattern(pattern.text().to_owned())) };
        }
    };
    v1::TimestampFormat { format: Some(Format::Named(named.into())) }
}

fn decode_format(format: v1::TimestampFormat) -> Result<TimestampFormat> {
    let number = match required(format.format, "the format of a timestamp")? {
        Format::Pattern(text) => {
            let pattern = TimestampPattern::parse(&text);
            let pattern = pattern.ok_or_else(|| Error::internal("the pattern of a timestamp is invalid"))?;
            return Ok(TimestampFormat::Pattern(pattern));
        }
        Format::Named(number) => number,
    };
    Ok(match v1::NamedTimestampFormat::try_from(number).unwrap_or_default() {
        v1::NamedTimestampFormat::Unspecified => return Err(Error::internal("the format of a timestamp is unknown")),
        v1::NamedTimestampFormat::Seconds => TimestampFormat::EpochSeconds,
        v1::NamedTimestampFormat::Milliseconds => TimestampFormat::EpochMilliseconds,
        v1::NamedTimestampFormat::Microseconds => TimestampFormat::EpochMicroseconds,
        v1::NamedTimestampFormat::Nanoseconds => TimestampFormat::EpochNanoseconds,
        v1::NamedTimestampFormat::Rfc3339 => TimestampFormat::Rfc3339,
        v1::NamedTimestampFormat::Auto => TimestampFormat::Auto,
    })
}

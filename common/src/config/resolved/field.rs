//! The declared fields of a source: where their values come from, and how they are converted.

use crate::config::timestamp_pattern::TimestampPattern;

/// One column of a staging table, or one member of a struct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Name of the column.
    pub name: String,
    pub input: FieldInput,
    /// Other paths of keys, which are read in this order while the value is missing or null. Only a
    /// field with the input [`FieldInput::Keys`] has any.
    pub aliases: Vec<Vec<String>>,
    pub field_type: FieldType,
    /// Whether records are rejected if the field is missing or null.
    pub required: bool,
    pub rules: ValueRules,
}

impl Field {
    /// Returns an optional field that is the value of the key `name`, converted by the default
    /// rules.
    #[must_use]
    pub fn new(name: &str, field_type: FieldType) -> Self {
        let input = FieldInput::Keys(vec![name.to_owned()]);
        let name = name.to_owned();
        Self { name, input, aliases: Vec::new(), field_type, required: false, rules: ValueRules::default() }
    }

    /// Returns the keys that lead to the value inside the record, the outermost first; empty if the
    /// value is not the value of a key.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        match &self.input {
            FieldInput::Keys(keys) => keys,
            FieldInput::Document(_) | FieldInput::PathPart(_) | FieldInput::Metadata(_) => &[],
        }
    }

    /// Returns the path of the field's key, then its aliases; empty if the field reads no key.
    pub fn key_paths(&self) -> impl Iterator<Item = &[String]> {
        let main = Some(self.keys()).filter(|keys| !keys.is_empty());
        main.into_iter().chain(self.aliases.iter().map(Vec::as_slice))
    }
}

/// Where the value of a field comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldInput {
    /// Keys that lead to the value inside the record, the outermost first. If the records are arrays,
    /// the first one is the position of an item, from `0`. If they are any values, the only one is
    /// `0`.
    Keys(Vec<String>),
    Document(DocumentPlace),
    /// A part of the object's path: the value of the folder `<name>=<value>`, or of the group with
    /// this name in the source's `path_pattern`.
    PathPart(String),
    Metadata(Metadata),
}

/// Place of a value outside of the record: in an object that the path of the source's records leads
/// through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentPlace {
    /// Index of the object in the path of the records, from the outermost.
    pub level: usize,
    /// Keys that lead to the value inside that object, the outermost first. If there are none, the
    /// value is the key of the member that contains the record.
    pub keys: Vec<String>,
}

/// A property of a record or of its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metadata {
    /// Key of the object, relative to the source's `url`.
    Key,
    /// Number of stored bytes of the object.
    Size,
    /// Time of the object's last change.
    Modified,
    Etag,
    /// Line of the record in the object, from 1.
    Line,
    /// Offset of the record's first byte in the decompressed object.
    Offset,
    /// Text of the record.
    Raw,
    /// A JSON object of everything in the record that no field reads.
    Rest,
}

impl Metadata {
    /// All properties, each with its name in `lake.toml`.
    pub const NAMES: &[(&str, Self)] = &[
        ("key", Self::Key),
        ("size", Self::Size),
        ("modified", Self::Modified),
        ("etag", Self::Etag),
        ("line", Self::Line),
        ("offset", Self::Offset),
        ("raw", Self::Raw),
        ("rest", Self::Rest),
    ];
}

/// Rules for converting the values of a field. They also apply to the values inside a list, a map or a
/// struct.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValueRules {
    /// Texts that mean null. A number means null if it is written like one of them.
    pub null_values: Vec<String>,
    pub on_invalid: OnInvalid,
    /// Whether a value that is not a list becomes a list of one item, if the type is a list.
    pub wrap: bool,
    /// Whether a `double` can be `NaN`, `Infinity` or `-Infinity`.
    pub allow_nan: bool,
    /// Time zone of timestamps without an offset; `None`: UTC.
    pub zone: Option<chrono_tz::Tz>,
    pub separators: Separators,
}

/// Separators of numbers that are written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Separators {
    /// Character between groups of digits; `None`: there is none.
    pub thousands: Option<char>,
    /// Character before the fraction.
    pub decimal: char,
}

impl Separators {
    /// Separators of numbers in JSON.
    pub const JSON: Self = Self { thousands: None, decimal: '.' };
}

impl Default for Separators {
    fn default() -> Self {
        Self::JSON
    }
}

/// Action for a value that cannot be converted to the declared type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnInvalid {
    /// The record is rejected.
    #[default]
    Quarantine,
    /// The value becomes null, and is counted.
    Null,
}

/// Declared type of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldType {
    String,
    Long,
    Double,
    Boolean,
    /// A timestamp in one of these formats, which are tried in their order.
    Timestamp(Vec<TimestampFormat>),
    Date,
    /// A time of day, in the input a text such as `21:56:47`.
    Time,
    /// A decimal with a precision from 1 to 38 and a scale from 0 to the precision.
    Decimal {
        precision: u8,
        scale: i8,
    },
    /// Bytes, in the input a text in this encoding.
    Binary(BinaryEncoding),
    /// Any JSON value, stored as its text.
    Json,
    List(Box<FieldType>),
    /// An object with any keys, whose values have this type.
    Map(Box<FieldType>),
    /// A struct with these members. The input of a member is its own key, and `required` is always
    /// false.
    Struct(Vec<Field>),
}

/// Format of a timestamp in the input. Timestamps are always stored as microseconds since the
/// epoch, UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimestampFormat {
    EpochSeconds,
    EpochMilliseconds,
    EpochMicroseconds,
    EpochNanoseconds,
    Rfc3339,
    /// Any common format, recognized by its form.
    Auto,
    /// A format of `strftime`, such as `%d/%b/%Y:%H:%M:%S %z`.
    Pattern(TimestampPattern),
}

/// Encoding of bytes as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BinaryEncoding {
    Base64,
    Hex,
}

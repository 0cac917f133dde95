//! `[sources.<name>.fields]`: the input of each column, its type and its rules.

use super::diagnostics::{Diagnostics, Origin};
use super::field_input::{self, Input, Surroundings};
use super::file::{Entry, Value};
use super::name::check_names;
use super::resolved::{
    Field, FieldInput, FieldType, Metadata, OnInvalid, RecordKind, Separators, TimestampFormat, ValueRules,
};
use super::section::{Section, Text};
use super::settings::FIELD;
use super::{defaults, field_type};

/// The fields of a source.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) fields: Vec<Field>,
    pub(super) record_kind: RecordKind,
}

/// A field, as it is declared.
struct Declared<'a> {
    field: Field,
    /// Kind of records that the input requires; `None` if it does not read the record.
    reads: Option<RecordKind>,
    /// Origin of `from`, or of the field's name if it has no `from`.
    origin: &'a Origin,
}

/// Returns the fields of the source `name`.
pub(super) fn resolve(
    name: &str,
    source: &Section<'_>,
    around: Surroundings<'_>,
    diagnostics: &mut Diagnostics,
) -> Fields {
    let Some(item) = source.get("fields") else {
        let hint = format!("add `[sources.{name}.fields]` and a line for every column");
        diagnostics.report_with_hint(source.origin, format!("{}`fields` is missing", source.at), hint);
        return Fields::default();
    };
    let Value::Table(entries) = &item.value else {
        source.wrong_type("fields", item, diagnostics);
        return Fields::default();
    };
    if entries.is_empty() {
        source.report(&item.origin, "`fields` is empty", diagnostics);
    }
    check_names(&source.at, "field", entries.iter().map(|entry| (entry.key.as_str(), &entry.origin)), diagnostics);
    let allow_nan = source.boolean("allow_nan", defaults::ALLOW_NAN, diagnostics);
    let declared: Vec<Declared<'_>> =
        entries.iter().filter_map(|entry| field(source, entry, around, diagnostics)).collect();
    let (record_kind, is_mixed) = record_kind(source, &declared, diagnostics);
    let mut fields: Vec<_> = declared.into_iter().map(|declared| (declared.field, declared.origin)).collect();
    // A key and a position are not comparable.
    if !is_mixed {
        field_input::check_overlaps(source, &fields, record_kind, diagnostics);
    }
    fields.iter_mut().for_each(|(field, _)| field.rules.allow_nan = allow_nan);
    Fields { fields: fields.into_iter().map(|(field, _)| field).collect(), record_kind }
}

/// Returns the kind of the records: arrays if a field reads a position, any values if a field reads
/// the whole record, otherwise objects. Reports fields that then read something else, and returns
/// whether there are any.
fn record_kind(source: &Section<'_>, declared: &[Declared<'_>], diagnostics: &mut Diagnostics) -> (RecordKind, bool) {
    let mut special = declared.iter().filter_map(|it| Some((it, it.reads.filter(|kind| *kind != RecordKind::Object)?)));
    let Some((decisive, kind)) = special.next() else { return (RecordKind::Object, false) };
    let mut is_mixed = false;
    let reads = |kind| match kind {
        RecordKind::Object => "a key",
        RecordKind::Array => "a position of records that are arrays",
        RecordKind::Value => "the whole record, because its `from` is empty",
    };
    for Declared { field, reads: other, origin } in declared {
        let Some(other) = other.filter(|other| *other != kind) else { continue };
        is_mixed = true;
        let message = format!(
            "field `{}` reads {}, but field `{}` reads {}",
            field.name,
            reads(other),
            decisive.field.name,
            reads(kind)
        );
        let hint = match kind {
            RecordKind::Array => "write a position, such as `from = 0` for the first item",
            _ => "read the record either as a whole, or by its keys or positions",
        };
        diagnostics.report_with_hint(origin, format!("{}{message}", source.at), hint.to_owned());
    }
    let is_rest = |declared: &&Declared<'_>| declared.field.input == FieldInput::Metadata(Metadata::Rest);
    if let Some(rest) = declared.iter().find(is_rest).filter(|_| kind == RecordKind::Value) {
        let (name, whole) = (&rest.field.name, &decisive.field.name);
        let message = format!("field `{name}` is always null, because field `{whole}` reads the whole record");
        source.report(rest.origin, &message, diagnostics);
    }
    (kind, is_mixed)
}

fn field<'a>(
    source: &Section<'_>,
    entry: &'a Entry,
    around: Surroundings<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<Declared<'a>> {
    let name = entry.key.as_str();
    let at = format!("{}field `{name}`", source.at);
    let section = match &entry.item.value {
        Value::Text(text) => {
            let written = Text { text, origin: &entry.item.origin };
            let field_type = declared_type(&at, written, diagnostics)?;
            let field = Field::new(name, field_type);
            return Some(Declared { field, reads: Some(RecordKind::Object), origin: &entry.origin });
        }
        Value::Table(_) => Section::open(format!("{at}: "), &entry.item, FIELD, diagnostics)?,
        other => {
            let found = other.describe();
            diagnostics.report(&entry.item.origin, format!("{at} must be a type or a table, not {found}"));
            return None;
        }
    };
    let input = field_input::resolve(name, &section, around, diagnostics);
    let rules = rules(&section, diagnostics);
    let required = section.boolean("required", defaults::REQUIRED, diagnostics);
    section.require("type", "type = \"string\"", diagnostics)?;
    let written = section.text("type", diagnostics)?;
    let field_type = declared_type(&at, written, diagnostics)?;
    let Input { input, aliases, reads } = input?;
    check_type(&section, written, &field_type, &input, &rules, diagnostics);
    let origin = section.get("from").map_or(&entry.origin, |item| &item.origin);
    let field = Field { name: name.to_owned(), input, aliases, field_type, required, rules };
    Some(Declared { field, reads, origin })
}

fn declared_type(at: &str, written: Text<'_>, diagnostics: &mut Diagnostics) -> Option<FieldType> {
    let parsed = field_type::parse(written.text);
    parsed
        .map_err(|diagnostic| {
            diagnostics.report_with_hint(written.origin, format!("{at} {}", diagnostic.message), diagnostic.hint);
        })
        .ok()
}

fn rules(section: &Section<'_>, diagnostics: &mut Diagnostics) -> ValueRules {
    let null_values = section.texts("null_values", diagnostics).iter().map(|value| value.text.to_owned()).collect();
    let on_invalid = match section.word("on_invalid", diagnostics) {
        Some("null") => OnInvalid::Null,
        _ => OnInvalid::Quarantine,
    };
    let zone = section.text("zone", diagnostics).and_then(|Text { text, origin }| {
        let zone: Result<chrono_tz::Tz, _> = text.parse();
        if zone.is_err() {
            let message = format!("{}`zone` is `{text}`, which is not a time zone", section.at);
            let hint = "write a name of the IANA database, such as \"America/New_York\"".to_owned();
            diagnostics.report_with_hint(origin, message, hint);
        }
        zone.ok()
    });
    let wrap = section.boolean("wrap", defaults::WRAP, diagnostics);
    let separators = separators(section, diagnostics);
    // `allow_nan` is a setting of the source.
    ValueRules { null_values, on_invalid, wrap, allow_nan: false, zone, separators }
}

fn separators(section: &Section<'_>, diagnostics: &mut Diagnostics) -> Separators {
    let mut separator = |setting: &str| {
        let Text { text, origin } = section.text(setting, diagnostics)?;
        let mut characters = text.chars();
        let separator = characters.next().filter(|character| characters.next().is_none() && !is_of_number(*character));
        if separator.is_none() {
            let message =
                format!("`{setting}` must be one character other than a digit, `+`, `-`, `e` and `E`, not `{text}`");
            section.report(origin, &message, diagnostics);
        }
        separator
    };
    let thousands = separator("thousands_separator");
    let decimal = separator("decimal_separator").unwrap_or(Separators::JSON.decimal);
    if thousands == Some(decimal) {
        let message = format!("`thousands_separator` and `decimal_separator` are both `{decimal}`");
        section.report(section.origin, &message, diagnostics);
    }
    Separators { thousands, decimal }
}

/// Whether the character is part of a number in JSON, and so cannot be a separator.
fn is_of_number(character: char) -> bool {
    character.is_ascii_digit() || matches!(character, '-' | '+' | 'e' | 'E')
}

/// Reports a type that does not fit the input or the rules of its field.
fn check_type(
    section: &Section<'_>,
    written: Text<'_>,
    field_type: &FieldType,
    input: &FieldInput,
    rules: &ValueRules,
    diagnostics: &mut Diagnostics,
) {
    let is_nested =
        matches!(field_type, FieldType::Json | FieldType::List(_) | FieldType::Map(_) | FieldType::Struct(_));
    let fault = match (input, field_type) {
        (FieldInput::Keys(_) | FieldInput::Document(_), _) => None,
        (FieldInput::PathPart(_), _) => {
            is_nested.then_some("a part of a path can have every type but json, list, map and struct")
        }
        (FieldInput::Metadata(metadata), _) => match (metadata, field_type) {
            (Metadata::Key | Metadata::Etag | Metadata::Raw, FieldType::String)
            | (Metadata::Raw | Metadata::Rest, FieldType::Json)
            | (Metadata::Size | Metadata::Line | Metadata::Offset, FieldType::Long)
            | (Metadata::Modified, FieldType::Timestamp(_)) => None,
            (Metadata::Key | Metadata::Etag, _) => Some("this property needs the type `string`"),
            (Metadata::Raw, _) => Some("this property needs the type `string` or `json`"),
            (Metadata::Rest, _) => Some("this property needs the type `json`"),
            (Metadata::Size | Metadata::Line | Metadata::Offset, _) => Some("this property needs the type `long`"),
            (Metadata::Modified, _) => Some("this property needs the type `timestamp`"),
        },
    };
    if let Some(fault) = fault {
        section.report(written.origin, fault, diagnostics);
    }
    if let FieldInput::Metadata(metadata) = input {
        let without_effect = ["null_values", "on_invalid", "wrap", "zone", "thousands_separator", "decimal_separator"];
        for setting in without_effect.into_iter().filter(|setting| section.get(setting).is_some()) {
            section.report(section.origin, &format!("`{setting}` has no effect on `from_metadata`"), diagnostics);
        }
        if *metadata == Metadata::Rest && section.get("required").is_some() {
            section.report(section.origin, "`required` has no effect on `from_metadata`", diagnostics);
        }
        return;
    }
    if rules.wrap && !contains(field_type, &|inner| matches!(inner, FieldType::List(_))) {
        section.report(written.origin, "`wrap` needs a type with a list", diagnostics);
    }
    let may_be_local = |inner: &FieldType| match inner {
        FieldType::Timestamp(formats) => {
            formats.iter().any(|format| matches!(format, TimestampFormat::Auto | TimestampFormat::Pattern(_)))
        }
        _ => false,
    };
    if rules.zone.is_some() && !contains(field_type, &may_be_local) {
        let message = format!("{}`zone` needs a timestamp without an offset", section.at);
        let hint = "write `timestamp(auto)`, or a format of `strftime` in quotes".to_owned();
        diagnostics.report_with_hint(written.origin, message, hint);
    }
    let is_number =
        |inner: &FieldType| matches!(inner, FieldType::Long | FieldType::Double | FieldType::Decimal { .. });
    if rules.separators != Separators::JSON && !contains(field_type, &is_number) {
        let setting = if rules.separators.thousands.is_some() { "thousands_separator" } else { "decimal_separator" };
        let message = format!("`{setting}` needs the type `long`, `double` or `decimal`, or a type with one inside");
        section.report(written.origin, &message, diagnostics);
    }
}

/// Whether `field_type` or a type inside it meets `condition`.
fn contains(field_type: &FieldType, condition: &impl Fn(&FieldType) -> bool) -> bool {
    condition(field_type)
        || match field_type {
            FieldType::List(inner) | FieldType::Map(inner) => contains(inner, condition),
            FieldType::Struct(members) => members.iter().any(|member| contains(&member.field_type, condition)),
            _ => false,
        }
}

//! `[sources.<name>.fields]`: where the value of each column comes from, its type and its rules.

use regex::Regex;

use super::diagnostics::{Diagnostics, Origin, did_you_mean};
use super::file::{Entry, Item, Value};
use super::name::check_names;
use super::resolved::{Decoding, Field, FieldInput, FieldType, Metadata, OnInvalid, TimestampFormat, ValueRules};
use super::section::{Section, Text};
use super::settings::FIELD;
use super::{defaults, field_type};

/// Returns the fields of the source `name`.
pub(super) fn resolve(
    name: &str,
    source: &Section<'_>,
    decoding: &Decoding,
    diagnostics: &mut Diagnostics,
) -> Vec<Field> {
    let Some(item) = source.get("fields") else {
        let hint = format!("add `[sources.{name}.fields]` and a line for every column");
        diagnostics.report_with_hint(source.origin, format!("{}`fields` is missing", source.at), hint);
        return Vec::new();
    };
    let Value::Table(entries) = &item.value else {
        source.wrong_type("fields", item, diagnostics);
        return Vec::new();
    };
    if entries.is_empty() {
        source.report(&item.origin, "`fields` is empty", diagnostics);
    }
    check_names(&source.at, "field", entries.iter().map(|entry| (entry.key.as_str(), &entry.origin)), diagnostics);
    let allow_nan = source.boolean("allow_nan", defaults::ALLOW_NAN, diagnostics);
    let mut fields: Vec<_> = entries.iter().filter_map(|entry| field(source, entry, decoding, diagnostics)).collect();
    check_keys(source, &fields, diagnostics);
    fields.iter_mut().for_each(|(field, _)| field.rules.allow_nan = allow_nan);
    fields.into_iter().map(|(field, _)| field).collect()
}

/// Returns a field and the origin of its `from`, or of its key if it has no `from`.
fn field<'a>(
    source: &Section<'_>,
    entry: &'a Entry,
    decoding: &Decoding,
    diagnostics: &mut Diagnostics,
) -> Option<(Field, &'a Origin)> {
    let name = entry.key.as_str();
    let at = format!("{}field `{name}`", source.at);
    let section = match &entry.item.value {
        Value::Text(text) => {
            let written = Text { text, origin: &entry.item.origin };
            let field_type = declared_type(&at, written, diagnostics)?;
            return Some((Field::new(name, field_type), &entry.origin));
        }
        Value::Table(_) => Section::open(format!("{at}: "), &entry.item, FIELD, diagnostics)?,
        other => {
            let found = other.describe();
            diagnostics.report(&entry.item.origin, format!("{at} must be a type or a table, not {found}"));
            return None;
        }
    };
    let input = input(name, &section, decoding, diagnostics);
    let rules = rules(&section, diagnostics);
    let required = section.boolean("required", defaults::REQUIRED, diagnostics);
    section.require("type", "type = \"string\"", diagnostics)?;
    let written = section.text("type", diagnostics)?;
    let field_type = declared_type(&at, written, diagnostics)?;
    let input = input?;
    check_type(&section, written, &field_type, &input, &rules, diagnostics);
    let origin = section.get("from").map_or(&entry.origin, |item| &item.origin);
    Some((Field { name: name.to_owned(), input, field_type, required, rules }, origin))
}

fn declared_type(at: &str, written: Text<'_>, diagnostics: &mut Diagnostics) -> Option<FieldType> {
    let parsed = field_type::parse(written.text);
    parsed
        .map_err(|diagnostic| {
            diagnostics.report_with_hint(written.origin, format!("{at} {}", diagnostic.message), diagnostic.hint);
        })
        .ok()
}

/// Returns the input of a field: at most one of `from`, `from_path` and `from_metadata`. Returns `None`
/// for an unknown property.
fn input(name: &str, section: &Section<'_>, decoding: &Decoding, diagnostics: &mut Diagnostics) -> Option<FieldInput> {
    let keys = section.get("from").map(|item| keys(section, item, diagnostics));
    let part = section.text("from_path", diagnostics);
    let metadata = section.text("from_metadata", diagnostics);
    let is_ambiguous = usize::from(keys.is_some()) + usize::from(part.is_some()) + usize::from(metadata.is_some()) > 1;
    if is_ambiguous {
        let message = "set only one of `from`, `from_path` and `from_metadata`";
        section.report(section.origin, message, diagnostics);
    }
    if let Some(Text { text, origin }) = metadata {
        let known = Metadata::NAMES.iter().find(|(name, _)| *name == text);
        let Some((_, metadata)) = known else {
            let names = || Metadata::NAMES.iter().map(|(name, _)| *name);
            let all = || format!("the properties are {}", names().collect::<Vec<_>>().join(", "));
            let hint = did_you_mean(text, names()).unwrap_or_else(all);
            let message = format!("{}`from_metadata` is `{text}`, which is not a property", section.at);
            diagnostics.report_with_hint(origin, message, hint);
            return None;
        };
        return Some(FieldInput::Metadata(*metadata));
    }
    if let Some(Text { text, origin }) = part {
        // An invalid pattern was already reported.
        if let Some(Ok(pattern)) = decoding.path_pattern.as_deref().map(Regex::new)
            && !pattern.capture_names().flatten().any(|group| group == text)
        {
            let message = format!("{}`path_pattern` has no group `{text}`", section.at);
            let hint = format!("name a group with `(?<{text}>…)`");
            diagnostics.report_with_hint(origin, message, hint);
        }
        if text.is_empty() {
            section.report(origin, "`from_path` is empty", diagnostics);
        }
        return Some(FieldInput::PathPart(text.to_owned()));
    }
    Some(FieldInput::Keys(keys.unwrap_or_else(|| vec![name.to_owned()])))
}

/// Returns the keys in a `from`: `"user.name"`, or `["user", "name"]`, which also allows keys with
/// dots.
fn keys(section: &Section<'_>, item: &Item, diagnostics: &mut Diagnostics) -> Vec<String> {
    let written = section.texts("from", diagnostics);
    let keys: Vec<String> = match &item.value {
        // In a list, each item is one key, even if it contains a dot.
        Value::List(_) => written.iter().map(|key| key.text.to_owned()).collect(),
        _ => written.iter().flat_map(|path| path.text.split('.')).map(str::to_owned).collect(),
    };
    // Another type was reported by `texts`.
    let was_read = matches!(item.value, Value::List(_) | Value::Text(_));
    if was_read && keys.is_empty() {
        let hint = "for the whole record, write `from_metadata = \"raw\"`".to_owned();
        diagnostics.report_with_hint(&item.origin, format!("{}`from` has no key", section.at), hint);
    } else if was_read && keys.iter().any(String::is_empty) {
        section.report(&item.origin, "`from` has an empty key", diagnostics);
    }
    keys
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
    // `allow_nan` is a setting of the source.
    ValueRules { null_values, on_invalid, wrap, allow_nan: false, zone }
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
        (FieldInput::Keys(_), _) => None,
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
        let without_effect = ["null_values", "on_invalid", "wrap", "zone"];
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

/// Reports two fields that read the same value, and a field that reads a value inside the value of
/// another field.
fn check_keys(section: &Section<'_>, fields: &[(Field, &Origin)], diagnostics: &mut Diagnostics) {
    for (index, (field, origin)) in fields.iter().enumerate() {
        // Compare only with earlier fields, so that each pair is reported once.
        for (earlier, _) in fields.iter().take(index).filter(|(earlier, _)| !earlier.keys().is_empty()) {
            let (one, other) = (&earlier.name, &field.name);
            let (outer, inner) =
                if earlier.keys().len() <= field.keys().len() { (earlier, field) } else { (field, earlier) };
            if outer.keys().is_empty() || !inner.keys().starts_with(outer.keys()) {
                continue;
            }
            let message = if outer.keys() == inner.keys() {
                format!("fields `{one}` and `{other}` both read `{}`", outer.keys().join("."))
            } else {
                let (outer_path, inner_path) = (outer.keys().join("."), inner.keys().join("."));
                format!(
                    "field `{}` reads `{inner_path}`, which is inside `{outer_path}` of field `{}`",
                    inner.name, outer.name
                )
            };
            section.report(origin, &message, diagnostics);
        }
    }
}

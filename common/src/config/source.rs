//! `[sources.<name>]`: location of the objects, format of the records, fields.

use std::path::Path;

use url::Url;

use super::diagnostics::{Diagnostics, Origin};
use super::file::{Entry, Item, Value};
use super::name::check_names;
use super::object_patterns::{ObjectMatcher, ObjectPatterns, UrlPattern};
use super::resolved::{Field, JsonFormat, OnArchived, OnChange, OnDamaged, RecordFormat, Source};
use super::section::{Section, Text};
use super::settings::{FIELD, SOURCE};
use super::{defaults, field_type};

/// Returns the source and the origin of its URL; `None` if the URL is missing or wrong.
pub(super) fn resolve<'a>(
    name: &str,
    item: &'a Item,
    folder: &Path,
    diagnostics: &mut Diagnostics,
) -> Option<(Source, &'a Origin)> {
    let section = Section::open(format!("source `{name}`: "), item, SOURCE, diagnostics)?;
    // Report a missing URL here, but check the rest of the section anyway.
    section.require("url", &format!("url = \"data/{name}\""), diagnostics);
    let url = url(&section, folder, diagnostics);
    let include = patterns("include", &section, diagnostics);
    let exclude = patterns("exclude", &section, diagnostics);
    let allow_empty = section.boolean("allow_empty", defaults::ALLOW_EMPTY, diagnostics);
    let format = format(&section, diagnostics);
    let fields = fields(name, &section, diagnostics);
    let max_quarantine_share = section.share("max_quarantine_share", defaults::MAX_QUARANTINE_SHARE, diagnostics);
    let on_change = match section.word("on_change", diagnostics) {
        Some("ignore") => OnChange::Ignore,
        _ => OnChange::Error,
    };
    let on_damaged = match section.word("on_damaged", diagnostics) {
        Some("skip") => OnDamaged::Skip,
        Some("keep") => OnDamaged::Keep,
        _ => OnDamaged::Error,
    };
    let on_archived = match section.word("on_archived", diagnostics) {
        Some("skip") => OnArchived::Skip,
        _ => OnArchived::Error,
    };
    let follow_links = section.boolean("follow_links", defaults::FOLLOW_LINKS, diagnostics);
    // If the URL is missing, return only now, after everything else in the section was checked.
    let (url, end, origin) = url?;
    let source = Source {
        name: name.to_owned(),
        url,
        objects: ObjectPatterns { url: end, include, exclude },
        allow_empty,
        format,
        fields,
        max_quarantine_share,
        on_change,
        on_damaged,
        on_archived,
        follow_links,
    };
    Some((source, origin))
}

/// Returns the root in a `url`, its pattern, and its origin.
fn url<'a>(
    section: &Section<'a>,
    folder: &Path,
    diagnostics: &mut Diagnostics,
) -> Option<(Url, Option<UrlPattern>, &'a Origin)> {
    let Text { text, origin } = section.text("url", diagnostics)?;
    let (root, end) = UrlPattern::split(text);
    check_patterns("url", ObjectPatterns { url: end.clone(), ..Default::default() }, section, origin, diagnostics);
    section.resolved("url", Text { text: root, origin }, folder, diagnostics).map(|(url, origin)| (url, end, origin))
}

/// Returns the patterns of `include` or `exclude`.
fn patterns(key: &str, section: &Section<'_>, diagnostics: &mut Diagnostics) -> Vec<String> {
    let written = section.texts(key, diagnostics);
    if let Some(Item { value: Value::List(items), origin }) = section.get(key)
        && items.is_empty()
    {
        section.report(origin, &format!("`{key}` is empty"), diagnostics);
    }
    for Text { text, origin } in &written {
        if text.trim_matches('/').is_empty() {
            section.report(origin, &format!("`{key}` has an empty pattern"), diagnostics);
        }
        let patterns = ObjectPatterns { include: vec![(*text).to_owned()], ..Default::default() };
        check_patterns(key, patterns, section, origin, diagnostics);
    }
    written.iter().map(|pattern| pattern.text.to_owned()).collect()
}

fn check_patterns(
    key: &str,
    patterns: ObjectPatterns,
    section: &Section<'_>,
    origin: &Origin,
    diagnostics: &mut Diagnostics,
) {
    if let Err(fault) = ObjectMatcher::new(&patterns) {
        let hint =
            "`*`, `?` and `[` are special; write `[*]`, `[?]` and `[[]` for the characters. `**` is a whole segment";
        diagnostics.report_with_hint(origin, format!("{}`{key}` {fault}", section.at), hint.to_owned());
    }
}

fn format(section: &Section<'_>, diagnostics: &mut Diagnostics) -> RecordFormat {
    let is_json = section.word("format", diagnostics) == Some("json");
    let records = section.text("records", diagnostics);
    if let Some(Text { text, origin }) = records {
        if !is_json {
            section.report(origin, "`records` needs `format = \"json\"`", diagnostics);
        } else if text.is_empty() {
            section.report(origin, "`records` is empty", diagnostics);
        }
    }
    // A wrong format was already reported. Continue the checks with any format.
    RecordFormat::Json(if is_json {
        JsonFormat::Document { records: records.map(|key| key.text.to_owned()) }
    } else {
        JsonFormat::Lines
    })
}

fn fields(name: &str, section: &Section<'_>, diagnostics: &mut Diagnostics) -> Vec<Field> {
    let Some(item) = section.get("fields") else {
        let hint = format!("add `[sources.{name}.fields]` and a line for every column");
        diagnostics.report_with_hint(section.origin, format!("{}`fields` is missing", section.at), hint);
        return Vec::new();
    };
    let Value::Table(entries) = &item.value else {
        section.wrong_type("fields", item, diagnostics);
        return Vec::new();
    };
    if entries.is_empty() {
        section.report(&item.origin, "`fields` is empty", diagnostics);
    }
    check_names(&section.at, "field", entries.iter().map(|entry| (entry.key.as_str(), &entry.origin)), diagnostics);
    let fields: Vec<_> = entries.iter().filter_map(|entry| field(section, entry, diagnostics)).collect();
    check_paths(section, &fields, diagnostics);
    fields.into_iter().map(|(field, _)| field).collect()
}

/// Returns a field and the origin of its `from`, or of its key if it has no `from`.
fn field<'a>(source: &Section<'_>, entry: &'a Entry, diagnostics: &mut Diagnostics) -> Option<(Field, &'a Origin)> {
    let name = entry.key.as_str();
    let at = format!("{}field `{name}`", source.at);
    let (written, from, required, origin) = match &entry.item.value {
        Value::Text(text) => (Text { text, origin: &entry.item.origin }, None, false, &entry.origin),
        Value::Table(_) => {
            let section = Section::open(format!("{at}: "), &entry.item, FIELD, diagnostics)?;
            let from = section.get("from").map(|item| path(&section, item, diagnostics));
            let required = section.boolean("required", defaults::REQUIRED, diagnostics);
            section.require("type", "type = \"string\"", diagnostics)?;
            let origin = section.get("from").map_or(&entry.origin, |item| &item.origin);
            (section.text("type", diagnostics)?, from, required, origin)
        }
        other => {
            let found = other.describe();
            diagnostics.report(&entry.item.origin, format!("{at} must be a type or a table, not {found}"));
            return None;
        }
    };
    match field_type::parse(written.text) {
        Ok(field_type) => {
            let from = from.unwrap_or_else(|| vec![name.to_owned()]);
            Some((Field { name: name.to_owned(), from, field_type, required }, origin))
        }
        Err(diagnostic) => {
            diagnostics.report_with_hint(written.origin, format!("{at} {}", diagnostic.message), diagnostic.hint);
            None
        }
    }
}

/// Returns the keys in a `from`: `"user.name"`, or `["user", "name"]`, which also allows keys with
/// dots.
fn path(section: &Section<'_>, item: &Item, diagnostics: &mut Diagnostics) -> Vec<String> {
    let written = section.texts("from", diagnostics);
    let keys: Vec<String> = match &item.value {
        // In a list, each item is one key, even if it contains a dot.
        Value::List(_) => written.iter().map(|key| key.text.to_owned()).collect(),
        _ => written.iter().flat_map(|path| path.text.split('.')).map(str::to_owned).collect(),
    };
    // Another type was reported by `texts`.
    let was_read = matches!(item.value, Value::List(_) | Value::Text(_));
    if was_read && (keys.is_empty() || keys.iter().any(String::is_empty)) {
        section.report(&item.origin, "`from` has an empty key", diagnostics);
    }
    keys
}

/// Reports two fields that read the same value, and a field that reads a value inside the value of
/// another field.
fn check_paths(section: &Section<'_>, fields: &[(Field, &Origin)], diagnostics: &mut Diagnostics) {
    for (index, (field, origin)) in fields.iter().enumerate() {
        // Compare only with earlier fields, so that each pair is reported once.
        for (earlier, _) in fields.iter().take(index).filter(|(earlier, _)| !earlier.from.is_empty()) {
            let (one, other) = (&earlier.name, &field.name);
            let (outer, inner) =
                if earlier.from.len() <= field.from.len() { (earlier, field) } else { (field, earlier) };
            if outer.from.is_empty() || !inner.from.starts_with(&outer.from) {
                continue;
            }
            let message = if outer.from == inner.from {
                format!("fields `{one}` and `{other}` both read `{}`", outer.from.join("."))
            } else {
                let (outer_path, inner_path) = (outer.from.join("."), inner.from.join("."));
                format!(
                    "field `{}` reads `{inner_path}`, which is inside `{outer_path}` of field `{}`",
                    inner.name, outer.name
                )
            };
            section.report(origin, &message, diagnostics);
        }
    }
}

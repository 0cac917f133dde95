//! `[sources.<name>]`: where the objects lie, how records lie in them, which fields they have.

use std::path::Path;

use super::fault::Faults;
use super::field_type;
use super::file::{Entry, Node, Origin, Value};
use super::name::check_names;
use super::resolved::{Field, Format, OnArchived, OnChange, OnDamaged, Source};
use super::section::{Section, Text};
use super::settings::{FIELD, SOURCE};

const MAX_QUARANTINE_SHARE: f64 = 0.01;

/// The source and where its URL came from; `None` where a part without a default is missing or wrong.
pub(super) fn resolve<'a>(
    name: &str,
    node: &'a Node,
    folder: &Path,
    faults: &mut Faults,
) -> Option<(Source, &'a Origin)> {
    let section = Section::open(format!("source `{name}`: "), node, SOURCE, faults)?;
    section.require("url", &format!("url = \"data/{name}\""), faults);
    let url = section.location("url", folder, faults);
    let format = format(&section, faults);
    let fields = fields(name, &section, faults);
    let max_quarantine_share = section.share("max_quarantine_share", MAX_QUARANTINE_SHARE, faults);
    let on_change = match section.word("on_change", faults) {
        Some("ignore") => OnChange::Ignore,
        _ => OnChange::Error,
    };
    let on_damaged = match section.word("on_damaged", faults) {
        Some("skip") => OnDamaged::Skip,
        Some("keep") => OnDamaged::Keep,
        _ => OnDamaged::Error,
    };
    let on_archived = match section.word("on_archived", faults) {
        Some("skip") => OnArchived::Skip,
        _ => OnArchived::Error,
    };
    let follow_links = section.boolean("follow_links", false, faults);
    let (url, origin) = url?;
    let name = name.to_owned();
    Some((
        Source { name, url, format, fields, max_quarantine_share, on_change, on_damaged, on_archived, follow_links },
        origin,
    ))
}

fn format(section: &Section<'_>, faults: &mut Faults) -> Format {
    let is_json = section.word("format", faults) == Some("json");
    let records = section.text("records", faults);
    if let Some(Text { text, origin }) = records {
        if !is_json {
            section.report(origin, "`records` needs `format = \"json\"`", faults);
        } else if text.is_empty() {
            section.report(origin, "`records` is empty", faults);
        }
    }
    if is_json { Format::Json { records: records.map(|key| key.text.to_owned()) } } else { Format::Ndjson }
}

fn fields(name: &str, section: &Section<'_>, faults: &mut Faults) -> Vec<Field> {
    let Some(node) = section.node("fields") else {
        let hint = format!("add `[sources.{name}.fields]` and a line for every column");
        faults.report_with_hint(section.origin, format!("{}`fields` is missing", section.at), hint);
        return Vec::new();
    };
    let Value::Table(entries) = &node.value else {
        section.wrong_type("fields", node, faults);
        return Vec::new();
    };
    if entries.is_empty() {
        section.report(&node.origin, "`fields` is empty", faults);
    }
    check_names(&section.at, "field", entries.iter().map(|entry| (entry.key.as_str(), &entry.origin)), faults);
    let fields: Vec<_> = entries.iter().filter_map(|entry| field(section, entry, faults)).collect();
    check_paths(section, &fields, faults);
    fields.into_iter().map(|(field, _)| field).collect()
}

/// One field, and where what it reads is said.
fn field<'a>(of: &Section<'_>, entry: &'a Entry, faults: &mut Faults) -> Option<(Field, &'a Origin)> {
    let name = entry.key.as_str();
    let at = format!("{}field `{name}`", of.at);
    let (written, from, required, origin) = match &entry.node.value {
        Value::Text(text) => (Text { text, origin: &entry.node.origin }, None, false, &entry.origin),
        Value::Table(_) => {
            let section = Section::open(format!("{at}: "), &entry.node, FIELD, faults)?;
            let from = section.node("from").map(|node| path(&section, node, faults));
            let required = section.boolean("required", false, faults);
            section.require("type", "type = \"string\"", faults)?;
            let origin = section.node("from").map_or(&entry.origin, |node| &node.origin);
            (section.text("type", faults)?, from, required, origin)
        }
        other => {
            let found = other.describe();
            faults.report(&entry.node.origin, format!("{at} must be a type or a table, not {found}"));
            return None;
        }
    };
    match field_type::parse(written.text) {
        Ok(field_type) => {
            let from = from.unwrap_or_else(|| vec![name.to_owned()]);
            Some((Field { name: name.to_owned(), from, field_type, required }, origin))
        }
        Err(flaw) => {
            faults.report_with_hint(written.origin, format!("{at} {}", flaw.message), flaw.hint);
            None
        }
    }
}

/// `"user.name"`, or `["user", "name"]` where a key itself has a dot.
fn path(section: &Section<'_>, node: &Node, faults: &mut Faults) -> Vec<String> {
    let written = section.texts("from", faults);
    let keys: Vec<String> = match &node.value {
        Value::List(_) => written.iter().map(|key| key.text.to_owned()).collect(),
        _ => written.iter().flat_map(|path| path.text.split('.')).map(str::to_owned).collect(),
    };
    let was_read = matches!(node.value, Value::List(_) | Value::Text(_));
    if was_read && (keys.is_empty() || keys.iter().any(String::is_empty)) {
        section.report(&node.origin, "`from` has an empty key", faults);
    }
    keys
}

/// A value goes to one column: no two fields read the same one, or one inside the other.
fn check_paths(section: &Section<'_>, fields: &[(Field, &Origin)], faults: &mut Faults) {
    for (index, (field, origin)) in fields.iter().enumerate() {
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
                    "field `{}` reads `{inner_path}`, which lies inside `{outer_path}` of field `{}`",
                    inner.name, outer.name
                )
            };
            section.report(origin, &message, faults);
        }
    }
}

//! `[sources.<name>]`: location of the objects, format and decoding of the records.

use std::path::Path;

use regex::Regex;
use url::Url;

use super::diagnostics::{Diagnostics, Origin};
use super::field::Fields;
use super::field_input::Surroundings;
use super::file::{Item, Value};
use super::object_patterns::{ObjectMatcher, ObjectPatterns, UrlPattern};
use super::resolved::{Decoding, JsonFormat, OnArchived, OnChange, OnDamaged, RecordFormat, RecordKind, Source};
use super::section::{Section, Text};
use super::settings::SOURCE;
use super::{defaults, field, records_path};

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
    let mut decoding = decoding(&section, diagnostics);
    let around = Surroundings { format: &format, decoding: &decoding };
    let Fields { fields, record_kind } = field::resolve(name, &section, around, diagnostics);
    decoding.record_kind = record_kind;
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
        decoding,
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
        } else if let Err(fault) = records_path::parse(text) {
            let hint =
                "write a path of keys, such as `log.entries` or `pages[].items`; `*` stands for every key".to_owned();
            diagnostics.report_with_hint(origin, format!("{}`records` {fault}", section.at), hint);
        }
    }
    // A wrong format was already reported. Continue the checks with any format.
    RecordFormat::Json(if is_json {
        JsonFormat::Document { records: records.map(|key| key.text.to_owned()) }
    } else {
        JsonFormat::Lines
    })
}

fn decoding(section: &Section<'_>, diagnostics: &mut Diagnostics) -> Decoding {
    let encoding = section.text("encoding", diagnostics).filter(|encoding| encoding.text != "auto");
    let path_pattern = section.text("path_pattern", diagnostics);
    Decoding {
        encoding: encoding.and_then(|Text { text, origin }| {
            let known = encoding_rs::Encoding::for_label_no_replacement(text.as_bytes());
            if known.is_none() {
                let message = format!("{}`encoding` is `{text}`, which is not a known encoding", section.at);
                let hint = "write \"auto\" or a label of the WHATWG, such as \"latin1\" or \"shift_jis\"".to_owned();
                diagnostics.report_with_hint(origin, message, hint);
            }
            known
        }),
        path_pattern: path_pattern.map(|Text { text, origin }| {
            if let Err(error) = Regex::new(text) {
                let reason = error.to_string();
                let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
                section.report(origin, &format!("`path_pattern` is not a regular expression: {reason}"), diagnostics);
            }
            text.to_owned()
        }),
        replaces_invalid_unicode: section.word("invalid_unicode", diagnostics) == Some("replace"),
        skips_null_records: section.word("null_records", diagnostics) == Some("skip"),
        // The inputs of the fields decide it.
        record_kind: RecordKind::Object,
    }
}

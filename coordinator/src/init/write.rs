//! The text of a new project's `lake.toml`.

use std::fmt::Write as _;

use lakewright_common::config::resolved::{JsonFormat, RecordKind};
use lakewright_common::printable;

use super::around::{Reason, Unread};
use super::column::{Column, Input, key_of, percent};
use super::field_type::counted;
use super::invisible::{is_invisible, push_escape};
use super::profile::Count;
use super::read::Lost;
use super::sample::seen_share;
use super::source::Draft;
use crate::output;

/// Maximum width of a declaration whose comment is aligned with the others.
const MAX_ALIGNED_WIDTH: usize = 60;
/// A `max_quarantine_share` of 1. Limits are counted in parts of it.
const WHOLE: u16 = 10_000;
/// Default of `max_quarantine_share`.
const DEFAULT_LIMIT: u16 = WHOLE / 100;
/// Maximum number of objects that a comment names.
const MAX_NAMED_OBJECTS: usize = 5;

/// Returns the text of `lake.toml`. `ignored` are the objects that are in no source, each with the
/// reason.
pub(super) fn lake_toml(sources: &[Draft], ignored: &[(String, String)]) -> String {
    let mut text = String::from(
        "# Written by `coordinator init`, which chose every type so that all records that it read are accepted.\n\
         # Read the comments, rename and drop fields as you like, then start `coordinator run`.\n\
         # docs/configuration.md lists all settings.\n",
    );
    for (key, reason) in ignored {
        let _ = writeln!(text, "# In no source: {}, which {}.", printable::line(key), printable::line(reason));
    }
    text.push_str("\n[lake]\nurl = \"lake\"\n");
    for source in sources {
        text.push_str(&source_text(source));
    }
    for source in sources {
        text.push_str(&table_text(source));
    }
    text
}

fn source_text(source: &Draft) -> String {
    let Draft { name, profile, detected, selection, .. } = source;
    let mut text = format!("\n# {}\n[sources.{name}]\nurl = {}\n", how_read(source), quoted(&source.url));
    for (setting, patterns) in [("include", &selection.include), ("exclude", &selection.exclude)] {
        if !patterns.is_empty() {
            let _ = writeln!(text, "{setting} = {}", quoted_list(patterns));
        }
    }
    match &detected.format {
        JsonFormat::Lines => text.push_str("format = \"ndjson\"\n"),
        JsonFormat::Document { records: None } => text.push_str("format = \"json\"\n"),
        JsonFormat::Document { records: Some(path) } => {
            let _ = writeln!(text, "format = \"json\"\nrecords = {}", quoted(path));
            text.push_str(&records_comment(source));
        }
    }
    let places = |count: Count| first_place(source, count);
    if profile.not_utf8.count > 0 {
        let count = counted(profile.not_utf8.count, "record");
        let setting = if profile.has_utf8 { "invalid_unicode = \"replace\"" } else { "encoding = \"latin1\"" };
        let _ = writeln!(text, "{setting} # {count} not in UTF-8{}", places(profile.not_utf8));
    } else if profile.root.has_lone_surrogate() || profile.around.has_lone_surrogate() {
        text.push_str("invalid_unicode = \"replace\" # some texts have half of a surrogate pair\n");
    }
    let mut nan = profile.nan_records;
    nan.merge(profile.around.nan_values);
    for (setting, count, what) in [
        ("null_records = \"skip\"", profile.null_records, "record"),
        ("allow_nan = true", nan, "record"),
        ("on_damaged = \"keep\"", profile.damaged, "damaged object"),
    ] {
        if count.count > 0 {
            let _ = writeln!(text, "{setting} # {}{}", counted(count.count, what), places(count));
        }
    }
    text.push_str(&quarantine_text(source));
    let _ = writeln!(text, "\n[sources.{name}.fields]");
    text.push_str(&fields_text(&source.columns));
    text
}

/// Returns a comment on the choice of the records of documents, and on what is not read.
fn records_comment(source: &Draft) -> String {
    let Draft { detected, unread, .. } = source;
    let mut text = String::new();
    if let Some(members) = &detected.members {
        let example = members.names.first().map(|name| format!(", such as {}", quoted(name))).unwrap_or_default();
        let alike = match members.kind {
            RecordKind::Object => "similar objects",
            RecordKind::Array | RecordKind::Value => "values of one kind",
        };
        let _ = writeln!(
            text,
            "# The members of an object are the records, because {} of one document are {alike}.\n\
             # A field has their keys{}.",
            members.count,
            printable::line(&example)
        );
    }
    text.push_str("# Without `records`, each document is one record.\n");
    let without = source.profile.without_records;
    if without.count > 0 && !source.profile.around.is_empty() {
        let objects = counted(without.count, "object");
        let place = first_place(source, without);
        let _ = writeln!(
            text,
            "# The values around the records of {objects} are in no row, because they have no record{place}."
        );
    }
    for Unread { name, path, bytes, reason } in unread {
        let what = format!("{path} ({})", output::bytes(*bytes));
        let declaration = format!("{name} = {{ type = \"json\", from_document = {} }}", quoted(path));
        let line = match reason {
            Reason::Large => format!(
                "Not read, because each record would repeat it: {what}. To read it, add the field: {declaration}"
            ),
            Reason::Unnamed => format!("Not read, because no setting can name it: {what}"),
            Reason::Incomplete(object) => format!(
                "Not read, because a run would reject the records of {object}, which is not read to its end: {what}. \
                 Exclude the object, and add the field: {declaration}"
            ),
        };
        let _ = writeln!(text, "# {}", printable::line(&line));
    }
    text
}

/// Describes what was read of a source.
fn how_read(source: &Draft) -> String {
    let profile = &source.profile;
    let bytes: u64 = source.objects.iter().map(|object| object.bytes).sum();
    let all = format!("{} ({})", output::objects(source.objects.len()), output::bytes(bytes));
    let records = counted(profile.records, "record");
    if !source.is_sampled() {
        return format!("{all}, {records}. All of them were read.");
    }
    format!(
        "{all}. A sample of {} ({}) with {records} was read: a field\n# present in more than {:.3} % of the records was \
         seen with 99.9 % confidence.",
        output::objects(profile.objects),
        output::bytes(profile.stored_bytes),
        seen_share(profile.records) * 100.0
    )
}

/// Returns a comment on what will be quarantined, and the limit of its share if the default is too
/// low.
fn quarantine_text(source: &Draft) -> String {
    let profile = &source.profile;
    let (rejected, broken) = (profile.rejected, profile.broken_bytes);
    let mut text = String::new();
    if rejected.count > 0 {
        let share = percent(rejected.count, profile.records + rejected.count);
        let count = counted(rejected.count, "record");
        let place = first_place(source, rejected);
        let another = match source.detected.kind {
            RecordKind::Object => ", not an object",
            RecordKind::Array => ", not an array",
            RecordKind::Value => "",
        };
        let _ = writeln!(text, "# {count} ({share}) will be quarantined: malformed{another} or too long{place}");
    }
    if broken > 0 {
        let count = counted(broken, "byte");
        let ranges = counted(profile.broken.count, "range");
        let share = percent(broken, profile.text_bytes);
        let _ = writeln!(text, "# {count} belong to no record ({share}), and will be quarantined in {ranges}");
    }
    let all_rejected = rejected.count + profile.broken.count;
    let of_records = limit_of(all_rejected, profile.records + all_rejected, source.is_sampled());
    let limit = of_records.max(limit_of(broken, profile.text_bytes, source.is_sampled()));
    if limit > DEFAULT_LIMIT {
        let _ = writeln!(
            text,
            "# The limit allows the share that was found, so that a run succeeds: {}.\n\
             # Correct or exclude the objects, and remove the limit. Its default is 0.01.\n\
             max_quarantine_share = {}",
            lost_by_object(source),
            f64::from(limit) / f64::from(WHOLE)
        );
    }
    text
}

/// Returns the smallest limit, in parts of [`WHOLE`], that allows the loss of `part` of `whole`. It is
/// rounded up to a percent, and has a margin if only a sample was read. It is [`WHOLE`] only if
/// everything is lost.
fn limit_of(part: u64, whole: u64, is_sampled: bool) -> u16 {
    let (part, whole) = (u128::from(part.min(whole)), u128::from(whole.max(1)));
    let with_margin = if is_sampled { part * 150 } else { part * 100 };
    let percent = with_margin.div_ceil(whole);
    let exact = (part * u128::from(WHOLE)).div_ceil(whole);
    let limit = if percent < 100 || part == whole { percent.min(100) * 100 } else { exact.max(9900) };
    u16::try_from(limit).unwrap_or(WHOLE)
}

/// Names the objects with the largest losses.
fn lost_by_object(source: &Draft) -> String {
    let lost = source.profile.lost.iter().map(|(index, lost)| (*index, *lost));
    let mut objects: Vec<(usize, Lost)> = lost.filter(|(_, lost)| *lost != Lost::default()).collect();
    objects.sort_by_key(|(_, lost)| std::cmp::Reverse((lost.records, lost.bytes)));
    let named = objects.iter().take(MAX_NAMED_OBJECTS).map(|(index, lost)| {
        let records = (lost.records > 0).then(|| counted(lost.records, "record"));
        let bytes = (lost.bytes > 0).then(|| counted(lost.bytes, "byte"));
        let counts: Vec<String> = [records, bytes].into_iter().flatten().collect();
        format!("{} in {}", counts.join(" and "), printable::line(source.places().object(*index)))
    });
    let mut named: Vec<String> = named.collect();
    if objects.len() > MAX_NAMED_OBJECTS {
        named.push(format!("more in {}", output::objects(objects.len() - MAX_NAMED_OBJECTS)));
    }
    named.join(", ")
}

fn first_place(source: &Draft, count: Count) -> String {
    let place = source.places().first(count);
    place.map(|place| format!("; the first is in {}", printable::line(&place))).unwrap_or_default()
}

/// Returns the lines of fields, with aligned comments.
fn fields_text(columns: &[Column]) -> String {
    let declarations: Vec<String> = columns.iter().map(declaration).collect();
    let widths = declarations.iter().map(|text| text.chars().count());
    let width = widths.filter(|width| *width <= MAX_ALIGNED_WIDTH).max().unwrap_or(0);
    let mut text = String::new();
    for (column, declaration) in columns.iter().zip(declarations) {
        for note in &column.notes {
            let kind = if note.is_conflict { "conflict" } else { "note" };
            let path = if note.path.is_empty() { String::new() } else { format!("`{}`: ", note.path) };
            let _ = writeln!(text, "# {kind}: {}", printable::line(&format!("{path}{}", note.text)));
        }
        match column.comment.as_str() {
            "" => text.push_str(&declaration),
            comment => {
                let _ = write!(text, "{declaration:width$}  # {comment}");
            }
        }
        text.push('\n');
    }
    text
}

/// Returns the declaration of a field.
fn declaration(column: &Column) -> String {
    let Column { name, field_type, input, wrap, .. } = column;
    let from = match input {
        Input::Name => String::new(),
        Input::Key(key) => format!(", from = [{}]", quoted(key)),
        Input::Position(position) => format!(", from = {position}"),
        Input::Record => ", from = []".to_owned(),
        Input::PathPart(part) => format!(", from_path = {}", quoted(part)),
        Input::Document(path) => format!(", from_document = {}", quoted(path)),
        Input::Rest => ", from_metadata = \"rest\"".to_owned(),
    };
    let wrap = if *wrap { ", wrap = true" } else { "" };
    match (from.as_str(), wrap) {
        ("", "") => format!("{name} = {}", quoted(field_type)),
        _ => format!("{name} = {{ type = {}{from}{wrap} }}", quoted(field_type)),
    }
}

fn table_text(source: &Draft) -> String {
    let mut text = format!("\n[tables.{}]\n", source.name);
    if let Some(key) = key_of(&source.columns) {
        let records = counted(source.profile.records, "record");
        let all = if source.is_sampled() { "" } else { "all " };
        let _ = writeln!(text, "# key = {}   # unique and never null in {all}{records} read", quoted(&key.name));
    }
    text
}

/// Writes a text as in TOML. Characters that cannot be seen are escaped.
fn quoted(text: &str) -> String {
    if text.contains(['"', '\\']) && !text.contains(|c: char| c == '\'' || is_invisible(c)) {
        return format!("'{text}'");
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if is_invisible(c) => push_escape(&mut quoted, c),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn quoted_list(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    if let [text] = texts.as_slice() { text.clone() } else { format!("[{}]", texts.join(", ")) }
}

#[cfg(test)]
mod tests {
    use lakewright_common::config::{self, Purpose};
    use lakewright_common::storage::object::SourceObject;

    use super::*;
    use crate::init::around::tests::add as add_around;
    use crate::init::column::columns;
    use crate::init::detect::Detected;
    use crate::init::places::Places;
    use crate::init::profile::Place;
    use crate::init::read::Profile;
    use crate::init::select::Selection;
    use crate::init::visitor::add_record;

    fn draft(records: &[&str]) -> Draft {
        let mut profile = Profile { objects: 1, ..Profile::default() };
        for record in records {
            profile.records += 1;
            add_record(&mut profile.root, RecordKind::Object, record, Place { object: 0, position: profile.records });
        }
        let objects = vec![SourceObject { key: "a \u{1b}.json".into(), bytes: 10, etag: None, modified: 0 }];
        profile.stored_bytes = 10;
        let long = format!("\"{}\"", "x".repeat(2000));
        add_around(&mut profile.around, 0, 0, &[("next", "\"x\""), ("long", &long), ("say \\\"x", "1")]);
        let detected = Detected {
            format: JsonFormat::Document { records: Some("\"a.b\"".to_owned()) },
            kind: RecordKind::Object,
            members: None,
        };
        let (columns, unread) = columns(&profile, &objects, Places::new(&objects, &JsonFormat::Lines), &detected);
        Draft {
            name: "odd".to_owned(),
            url: "in\"put".to_owned(),
            selection: Selection { include: vec!["/*.json".to_owned()], ..Selection::default() },
            detected,
            columns,
            unread,
            objects,
            profile,
        }
    }

    #[test]
    fn the_written_file_is_a_valid_configuration() {
        let mut source = draft(&[
            r#"{"id":1,"it's \" odd":{"a b":"x","it's":[1]},"\u0001":1,"tags":["a"],"v":1,"n":null}"#,
            r#"{"id":2,"it's \" odd":null,"tags":"b\u001b","v":"x\n","n":null,"ID":[{"x":{}}]}"#,
        ]);
        let one = Count { count: 1, first: Some(Place { object: 0, position: 7 }) };
        source.profile.reject(Place { object: 0, position: 7 });
        source.profile.broken_bytes = 3;
        source.profile.text_bytes = 100;
        source.profile.not_utf8 = one;
        source.profile.null_records = one;
        source.profile.nan_records = one;
        source.profile.damaged = one;
        let text = lake_toml(&[source], &[("README.md".to_owned(), "is not JSON".to_owned())]);
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("models")).unwrap();
        std::fs::write(folder.path().join("models/odd.sql"), "SELECT * FROM staging.odd").unwrap();
        let file = folder.path().join("lake.toml");
        std::fs::write(&file, &text).unwrap();
        let config = config::load(&file, Purpose::Run, std::iter::empty());
        let config = config.unwrap_or_else(|error| panic!("{error:?}\n{text}"));
        let names: Vec<_> = config.sources[0].fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["id", "it_s_odd", "field", "tags", "v", "n", "ID_2", "next"]);
        for line in [
            "# In no source: README.md, which is not JSON.",
            "records = '\"a.b\"'",
            "# Not read, because each record would repeat it: long (2.00 kB). To read it, add the field: \
             long = { type = \"json\", from_document = \"long\" }",
            "# Not read, because no setting can name it: say \"x (1 B)",
            "encoding = \"latin1\" # 1 record not in UTF-8; the first is in a \\u{1b}.json, byte 7",
            "# conflict: 1 string, 1 number; a number is in a \\u{1b}.json, line 1; numbers are kept as text",
            "# The limit allows the share that was found, so that a run succeeds: 1 record in a \\u{1b}.json.",
            "max_quarantine_share = 0.34",
            "# key = \"id\"   # unique and never null in all 2 records read",
        ] {
            assert!(text.lines().any(|written| written == line), "{line}\n{text}");
        }
    }

    #[test]
    fn comments_are_aligned() {
        let text = fields_text(&draft(&[r#"{"id":1,"name":"x"}"#, r#"{"id":2}"#]).columns[..2]);
        assert_eq!(text, "id = \"long\"      # e.g. 1\nname = \"string\"  # 50 % null; e.g. \"x\"\n");
    }

    #[test]
    fn the_limit_of_rejected_records_is_raised_to_their_share_only() {
        let limits = |rejected: u64, of: u64, is_whole: bool| {
            let mut source = draft(&["{\"id\":1}"]);
            source.profile.records = of - rejected;
            (0..rejected).for_each(|position| source.profile.reject(Place { object: 0, position }));
            source.profile.stored_bytes = if is_whole { 10 } else { 5 };
            let text = quarantine_text(&source);
            text.lines().find_map(|line| line.strip_prefix("max_quarantine_share = ").map(str::to_owned))
        };
        for (rejected, of, is_whole, expected) in [
            (0, 100, true, None),
            (1, 100, true, None),
            (2, 100, true, Some("0.02")),
            (21, 1000, true, Some("0.03")),
            (9, 10, true, Some("0.9")),
            (999, 1000, true, Some("0.999")),
            (10, 10, true, Some("1")),
            // A sample can have fewer of them than all records.
            (10, 100, false, Some("0.15")),
            (9, 10, false, Some("0.99")),
        ] {
            assert_eq!(limits(rejected, of, is_whole).as_deref(), expected, "{rejected} of {of}");
        }
    }

    #[test]
    fn a_text_shows_all_of_its_characters() {
        for (text, expected) in [
            ("a b", "\"a b\""),
            ("a\u{200B}", "\"a\\u200B\""),
            ("say \"x\"\u{FEFF}", "\"say \\\"x\\\"\\uFEFF\""),
            ("say \"x\"", "'say \"x\"'"),
            ("\u{E0001}", "\"\\U000E0001\""),
        ] {
            assert_eq!(quoted(text), expected);
        }
    }
}

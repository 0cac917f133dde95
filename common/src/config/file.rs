//! Parses `lake.toml` into a tree of values, in the order of the file, each with its line.
//!
//! The tree is built from the TOML parser's own tree, because `serde` would stop at the first
//! fault. The keys of the tree are not checked here: `environment` adds overrides to the tree, and
//! `validate` checks it.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostics::{Diagnostics, Origin};

/// A value and its origin.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// A value of a TOML type. Dates are kept as text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Integer(i128),
    Float(f64),
    Boolean(bool),
    Date(String),
    List(Vec<Item>),
    Table(Vec<Entry>),
}

/// One key of a TOML table, with its value.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Origin of the key. The origin of `item` may be another line: for a table, it is the line of
    /// the header.
    pub(super) origin: Origin,
    pub(super) item: Item,
}

impl Value {
    /// Returns the name of the value's type with an article, for messages such as `must be text,
    /// not a list`.
    pub(super) fn describe(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number with a fraction",
            Self::Boolean(_) => "a boolean",
            Self::Date(_) => "a date",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// Parses `text`. If it is not valid TOML, reports the syntax errors and returns `None`, because
/// further checks would only report consequences of these errors.
pub(super) fn parse(text: &str, diagnostics: &mut Diagnostics) -> Option<Item> {
    let lines = Lines::of(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut readable = true;
    let mut last_line = 0;
    for error in &errors {
        let line = error.span().map_or(1, |span| lines.at(span.start));
        // Further errors in a line are mostly consequences of the first error.
        if std::mem::replace(&mut last_line, line) == line {
            continue;
        }
        if error.message() == "duplicate key" {
            report_duplicate(&lines, line, error.span().and_then(|span| text.get(span)), diagnostics);
        } else {
            readable = false;
            diagnostics.report(&Origin::Line(line), format!("this is not TOML: {}", error.message()));
        }
    }
    // Duplicate keys leave a usable tree, so further faults can be found.
    readable.then(|| Item { value: table_of(document.get_ref(), &lines), origin: Origin::File })
}

/// Parses the value of an override: a TOML literal, or else the text itself.
pub(super) fn parse_literal(text: &str, origin: &Origin) -> Item {
    match DeValue::parse(text) {
        Ok(literal) => {
            let mut item = item_of(&literal, &Lines::of(text));
            // Line numbers within an override are meaningless, so the origin is the variable
            // instead.
            replace_origin(&mut item, origin);
            item
        }
        Err(_) => Item { value: Value::Text(text.to_owned()), origin: origin.clone() },
    }
}

fn replace_origin(item: &mut Item, origin: &Origin) {
    item.origin = origin.clone();
    match &mut item.value {
        Value::List(items) => items.iter_mut().for_each(|item| replace_origin(item, origin)),
        Value::Table(entries) => {
            for entry in entries {
                entry.origin = origin.clone();
                replace_origin(&mut entry.item, origin);
            }
        }
        _ => {}
    }
}

/// Reports a table or a key that occurs twice.
fn report_duplicate(lines: &Lines<'_>, line: usize, key: Option<&str>, diagnostics: &mut Diagnostics) {
    let origin = Origin::Line(line);
    let text = lines.text(line);
    if let Some(head) = head_of(text) {
        let first = lines.first_head(head, line);
        let hint = first.map(|first| format!("the first is in line {first}; rename one of them"));
        diagnostics.report_with_hint(&origin, format!("`{head}` appears twice"), hint);
        return;
    }
    // Duplicate keys below a duplicate header are only a consequence of the duplicate header.
    let above = (1..line).rev().find_map(|above| head_of(lines.text(above)).map(|head| (above, head)));
    if above.is_some_and(|(above, head)| lines.first_head(head, above).is_some()) {
        return;
    }
    let key = key.unwrap_or(text).trim();
    let place = above.map(|(_, head)| format!("`{head}`: ")).unwrap_or_default();
    diagnostics.report(&origin, format!("{place}`{key}` is set twice"));
}

/// Returns the header, such as `[tables.songs]`, of a line that starts a table.
fn head_of(line: &str) -> Option<&str> {
    let line = line.trim_start();
    // `[[…]]` starts an element of a list, which may occur many times.
    let end = line.find(']').filter(|_| line.starts_with('[') && !line.starts_with("[["))?;
    line.get(..=end)
}

fn table_of(table: &DeTable<'_>, lines: &Lines<'_>) -> Value {
    let entries = table.iter().map(|(key, value)| Entry {
        key: key.get_ref().to_string(),
        origin: Origin::Line(lines.at(key.span().start)),
        item: item_of(value, lines),
    });
    Value::Table(entries.collect())
}

fn item_of(value: &Spanned<DeValue<'_>>, lines: &Lines<'_>) -> Item {
    let origin = Origin::Line(lines.at(value.span().start));
    let value = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        // An integer of more than 128 bits exceeds the maximum of every setting anyway.
        DeValue::Integer(n) => Value::Integer(i128::from_str_radix(n.as_str(), n.radix()).unwrap_or(i128::MAX)),
        DeValue::Float(n) => Value::Float(n.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(yes) => Value::Boolean(*yes),
        DeValue::Datetime(date) => Value::Date(date.to_string()),
        DeValue::Array(items) => Value::List(items.iter().map(|item| item_of(item, lines)).collect()),
        DeValue::Table(table) => table_of(table, lines),
    };
    Item { value, origin }
}

/// Maps byte offsets to lines.
struct Lines<'a> {
    text: &'a str,
    /// Byte offset of the start of each line.
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    /// Returns the line, from 1, that contains `offset`.
    fn at(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset)
    }

    fn text(&self, line: usize) -> &'a str {
        let start = line.checked_sub(1).and_then(|index| self.starts.get(index)).copied().unwrap_or(0);
        self.text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default()
    }

    /// Returns the first line before `line` that has the header `head`.
    fn first_head(&self, head: &str, line: usize) -> Option<usize> {
        (1..line).find(|earlier| head_of(self.text(*earlier)) == Some(head))
    }
}

//! The file as written: a tree of values in the file's order, each with its line.
//!
//! Read by hand from the TOML parser's own tree, for `serde` would stop at the first fault. What comes out knows no
//! setting yet; `environment` changes it, `check` reads it.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::Faults;

/// Where a value, or a key, came from; in the order in which faults are told.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// What is missing has no line.
    File,
    /// From 1.
    Line(usize),
    /// The variable's name.
    Environment(String),
}

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// TOML's own types; dates are kept as their text.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Text(String),
    Integer(i128),
    Float(f64),
    Boolean(bool),
    Date(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// One key of a table.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Of the key; a table's own value has the line of its head.
    pub(super) origin: Origin,
    pub(super) node: Node,
}

impl Value {
    /// With its article, for `must be text, not …`.
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

/// The tree of `text`, or `None` where so little of it is TOML that looking further would only mislead.
pub(super) fn parse(text: &str, faults: &mut Faults) -> Option<Node> {
    let lines = Lines::of(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut readable = true;
    let mut last_line = 0;
    for error in &errors {
        let line = error.span().map_or(1, |span| lines.at(span.start));
        // What follows in the same line mostly follows from it.
        if std::mem::replace(&mut last_line, line) == line {
            continue;
        }
        if error.message() == "duplicate key" {
            report_duplicate(&lines, line, error.span().and_then(|span| text.get(span)), faults);
        } else {
            readable = false;
            faults.report(&Origin::Line(line), format!("this is not TOML: {}", error.message()));
        }
    }
    readable.then(|| Node { value: table_of(document.get_ref(), &lines), origin: Origin::File })
}

/// A value as an override gives it: a TOML literal, or else the text itself.
pub(super) fn parse_literal(text: &str, origin: &Origin) -> Node {
    match DeValue::parse(text) {
        Ok(literal) => {
            let mut node = node_of(&literal, &Lines::of(text));
            replace_origin(&mut node, origin);
            node
        }
        Err(_) => Node { value: Value::Text(text.to_owned()), origin: origin.clone() },
    }
}

fn replace_origin(node: &mut Node, origin: &Origin) {
    node.origin = origin.clone();
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| replace_origin(item, origin)),
        Value::Table(entries) => {
            for entry in entries {
                entry.origin = origin.clone();
                replace_origin(&mut entry.node, origin);
            }
        }
        _ => {}
    }
}

/// Two tables of one name, or a key set twice.
fn report_duplicate(lines: &Lines<'_>, line: usize, key: Option<&str>, faults: &mut Faults) {
    let origin = Origin::Line(line);
    let text = lines.text(line);
    if let Some(head) = head_of(text) {
        let first = lines.first_head(head, line);
        let hint = first.map(|first| format!("the first is in line {first}; give one of them another name"));
        faults.report_with_hint(&origin, format!("`{head}` is there twice"), hint);
        return;
    }
    // Below a head that is there twice, keys that are there twice only follow from it.
    let above = (1..line).rev().find_map(|above| head_of(lines.text(above)).map(|head| (above, head)));
    if above.is_some_and(|(above, head)| lines.first_head(head, above).is_some()) {
        return;
    }
    let key = key.unwrap_or(text).trim();
    let place = above.map(|(_, head)| format!("`{head}`: ")).unwrap_or_default();
    faults.report(&origin, format!("{place}`{key}` is set twice"));
}

/// `[tables.songs]` of a line that begins a table.
fn head_of(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let end = line.find(']').filter(|_| line.starts_with('[') && !line.starts_with("[["))?;
    line.get(..=end)
}

fn table_of(table: &DeTable<'_>, lines: &Lines<'_>) -> Value {
    let entries = table.iter().map(|(key, value)| Entry {
        key: key.get_ref().to_string(),
        origin: Origin::Line(lines.at(key.span().start)),
        node: node_of(value, lines),
    });
    Value::Table(entries.collect())
}

fn node_of(value: &Spanned<DeValue<'_>>, lines: &Lines<'_>) -> Node {
    let origin = Origin::Line(lines.at(value.span().start));
    let value = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        // Beyond 128 bits, and beyond every bound of every setting.
        DeValue::Integer(n) => Value::Integer(i128::from_str_radix(n.as_str(), n.radix()).unwrap_or(i128::MAX)),
        DeValue::Float(n) => Value::Float(n.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(yes) => Value::Boolean(*yes),
        DeValue::Datetime(date) => Value::Date(date.to_string()),
        DeValue::Array(items) => Value::List(items.iter().map(|item| node_of(item, lines)).collect()),
        DeValue::Table(table) => table_of(table, lines),
    };
    Node { value, origin }
}

/// From byte offsets to lines.
struct Lines<'a> {
    text: &'a str,
    /// The offset of each line's first byte.
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    /// The line, from 1, that `offset` lies in.
    fn at(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset)
    }

    fn text(&self, line: usize) -> &'a str {
        let start = line.checked_sub(1).and_then(|index| self.starts.get(index)).copied().unwrap_or(0);
        self.text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default()
    }

    /// The first line before `line` that begins the table `head`.
    fn first_head(&self, head: &str, line: usize) -> Option<usize> {
        (1..line).find(|earlier| head_of(self.text(*earlier)) == Some(head))
    }
}

//! One entry of a table's `checks`: exactly one rule, and the column that some rules need.

use std::path::Path;

use super::fault::Faults;
use super::file::{Node, Origin, Value};
use super::name::is_name;
use super::resolved::{Check, Rule};
use super::section::{Section, Text};
use super::settings::{CHECK, RANGE};
use super::table::{columns, read_sql};

const RULES: &[&str] = &["not_null", "unique", "references", "accepted_values", "range", "sql"];
/// Those that say what a column must be, and so name it apart.
const RULES_OF_A_COLUMN: &[&str] = &["references", "accepted_values", "range"];

/// The check and where it stands; `number` counts a table's checks from 1.
pub(super) fn resolve<'a>(
    table: &Section<'_>,
    number: usize,
    node: &'a Node,
    folder: &Path,
    faults: &mut Faults,
) -> Option<(Check, &'a Origin)> {
    let section = Section::open(format!("{}check {number}: ", table.at), node, CHECK, faults)?;
    let warn = section.boolean("warn", false, faults);
    let given: Vec<&str> = RULES.iter().copied().filter(|rule| section.node(rule).is_some()).collect();
    let [rule] = given[..] else {
        let message = if given.is_empty() {
            format!("it has no rule: one of {}", quoted(RULES))
        } else {
            format!("it has more than one rule: {}", quoted(&given))
        };
        section.report(&node.origin, &message, faults);
        return None;
    };
    let needs_column = RULES_OF_A_COLUMN.contains(&rule);
    if needs_column {
        section.require("column", "column = \"…\"", faults);
    } else if let Some(column) = section.node("column") {
        section.report(&column.origin, &format!("`column` does not go with `{rule}`"), faults);
    }
    let column = if needs_column { column(&section, "column", faults) } else { None };
    let rule = match rule {
        "not_null" => Rule::NotNull { column: self::column(&section, "not_null", faults)? },
        "unique" => unique(&section, faults)?,
        "references" => references(&section, column, faults)?,
        "accepted_values" => accepted_values(&section, column, faults)?,
        "range" => range(&section, column, faults)?,
        _ => {
            let (file, sql) = read_sql(&section, section.text("sql", faults)?, folder, faults)?;
            Rule::Sql { file, sql }
        }
    };
    Some((Check { rule, warn }, &node.origin))
}

fn column(section: &Section<'_>, key: &str, faults: &mut Faults) -> Option<String> {
    let Text { text, origin } = section.text(key, faults)?;
    if !is_name(text) {
        section.report(origin, &format!("`{key}` is `{text}`, which cannot be the name of a column"), faults);
        return None;
    }
    Some(text.to_owned())
}

fn unique(section: &Section<'_>, faults: &mut Faults) -> Option<Rule> {
    let columns = columns(section, "unique", faults);
    if columns.is_empty() {
        if let Some(Node { value: Value::List(_), origin }) = section.node("unique") {
            section.report(origin, "`unique` names no column", faults);
        }
        return None;
    }
    Some(Rule::Unique { columns })
}

/// `"users.user_id"`
fn references(section: &Section<'_>, column: Option<String>, faults: &mut Faults) -> Option<Rule> {
    let Text { text, origin } = section.text("references", faults)?;
    match text.split_once('.').filter(|(table, column)| is_name(table) && is_name(column)) {
        Some((table, to_column)) => {
            Some(Rule::References { column: column?, to_table: table.to_owned(), to_column: to_column.to_owned() })
        }
        None => {
            let message = format!("`references` is `{text}`, which is not a table and its column");
            let hint = "write it like `users.user_id`".to_owned();
            faults.report_with_hint(origin, format!("{}{message}", section.at), hint);
            None
        }
    }
}

/// Values are compared as text, so numbers and booleans may be written as they are.
fn accepted_values(section: &Section<'_>, column: Option<String>, faults: &mut Faults) -> Option<Rule> {
    let node = section.node("accepted_values")?;
    let Value::List(items) = &node.value else {
        section.wrong_type("accepted_values", node, faults);
        return None;
    };
    if items.is_empty() {
        section.report(&node.origin, "`accepted_values` is empty", faults);
    }
    let mut values = Vec::new();
    for item in items {
        match &item.value {
            Value::Text(text) | Value::Date(text) => values.push(text.clone()),
            Value::Integer(n) => values.push(n.to_string()),
            Value::Float(n) => values.push(n.to_string()),
            Value::Boolean(yes) => values.push(yes.to_string()),
            Value::List(_) | Value::Table(_) => section.wrong_type("accepted_values", item, faults),
        }
    }
    Some(Rule::AcceptedValues { column: column?, values })
}

fn range(section: &Section<'_>, column: Option<String>, faults: &mut Faults) -> Option<Rule> {
    let node = section.node("range")?;
    let bounds = Section::open(format!("{}`range`: ", section.at), node, RANGE, faults)?;
    let (min, max) = (bounds.number("min", faults), bounds.number("max", faults));
    if bounds.node("min").is_none() && bounds.node("max").is_none() {
        bounds.report(&node.origin, "`min`, `max` or both are missing", faults);
    }
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        bounds.report(&node.origin, &format!("`min` {min} is above `max` {max}"), faults);
    }
    Some(Rule::Range { column: column?, min, max })
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

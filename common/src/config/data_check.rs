//! One entry of a table's `checks`: exactly one rule, and the column that some rules need.

use std::path::Path;

use super::defaults;
use super::diagnostics::{Diagnostics, Origin};
use super::file::{Item, Value};
use super::name::is_name;
use super::resolved::{Check, Rule};
use super::section::{Section, Text};
use super::settings::{CHECK, RANGE};
use super::sql_file::read_sql;

const RULES: &[&str] = &["not_null", "unique", "references", "accepted_values", "range", "sql"];
/// Rules that need the separate key `column`, which names the checked column.
const RULES_OF_A_COLUMN: &[&str] = &["references", "accepted_values", "range"];

/// Returns the check and its origin. `number` is its position in the table's `checks`, from 1.
pub(super) fn resolve<'a>(
    table: &Section<'_>,
    number: usize,
    item: &'a Item,
    folder: &Path,
    diagnostics: &mut Diagnostics,
) -> Option<(Check, &'a Origin)> {
    let section = Section::open(format!("{}check {number}: ", table.at), item, CHECK, diagnostics)?;
    let warn = section.boolean("warn", defaults::WARN, diagnostics);
    let given: Vec<&str> = RULES.iter().copied().filter(|rule| section.get(rule).is_some()).collect();
    // Require exactly one rule, because two rules in one entry would share `warn` and the message.
    let [rule] = given[..] else {
        let message = if given.is_empty() {
            format!("it has no rule: one of {}", quoted(RULES))
        } else {
            format!("it has more than one rule: {}", quoted(&given))
        };
        section.report(&item.origin, &message, diagnostics);
        return None;
    };
    let needs_column = RULES_OF_A_COLUMN.contains(&rule);
    if needs_column {
        section.require("column", "column = \"…\"", diagnostics);
    } else if let Some(column) = section.get("column") {
        section.report(&column.origin, &format!("`column` cannot be combined with `{rule}`"), diagnostics);
    }
    let column = if needs_column { column(&section, "column", diagnostics) } else { None };
    let rule = match rule {
        // The value of `not_null` is its column, and the value of `unique` is one or more columns.
        "not_null" => Rule::NotNull { column: self::column(&section, "not_null", diagnostics)? },
        "unique" => unique(&section, diagnostics)?,
        "references" => references(&section, column, diagnostics)?,
        "accepted_values" => accepted_values(&section, column, diagnostics)?,
        "range" => range(&section, column, diagnostics)?,
        _ => {
            let (file, sql) = read_sql(&section, section.text("sql", diagnostics)?, folder, diagnostics)?;
            Rule::Sql { file, sql }
        }
    };
    Some((Check { rule, warn }, &item.origin))
}

fn column(section: &Section<'_>, key: &str, diagnostics: &mut Diagnostics) -> Option<String> {
    let Text { text, origin } = section.text(key, diagnostics)?;
    if !is_name(text) {
        section.report(origin, &format!("`{key}` is `{text}`, which cannot be the name of a column"), diagnostics);
        return None;
    }
    Some(text.to_owned())
}

fn unique(section: &Section<'_>, diagnostics: &mut Diagnostics) -> Option<Rule> {
    let columns = section.columns("unique", diagnostics);
    if columns.is_empty() {
        // A wrong type is already reported.
        if let Some(Item { value: Value::List(_), origin }) = section.get("unique") {
            section.report(origin, "`unique` names no column", diagnostics);
        }
        return None;
    }
    Some(Rule::Unique { columns })
}

/// Resolves `references`, such as `"users.user_id"`.
fn references(section: &Section<'_>, column: Option<String>, diagnostics: &mut Diagnostics) -> Option<Rule> {
    let Text { text, origin } = section.text("references", diagnostics)?;
    match text.split_once('.').filter(|(table, column)| is_name(table) && is_name(column)) {
        Some((table, to_column)) => {
            Some(Rule::References { column: column?, to_table: table.to_owned(), to_column: to_column.to_owned() })
        }
        None => {
            let message = format!("`references` is `{text}`, which is not a table and its column");
            let hint = "write it like `users.user_id`".to_owned();
            diagnostics.report_with_hint(origin, format!("{}{message}", section.at), hint);
            None
        }
    }
}

/// Resolves `accepted_values`. Values are compared as text, so numbers and booleans need no quotes.
fn accepted_values(section: &Section<'_>, column: Option<String>, diagnostics: &mut Diagnostics) -> Option<Rule> {
    let item = section.get("accepted_values")?;
    let Value::List(items) = &item.value else {
        section.wrong_type("accepted_values", item, diagnostics);
        return None;
    };
    if items.is_empty() {
        section.report(&item.origin, "`accepted_values` is empty", diagnostics);
    }
    let mut values = Vec::new();
    for item in items {
        match &item.value {
            // TOML dates need no quotes either, and are compared as text like everything else.
            Value::Text(text) | Value::Date(text) => values.push(text.clone()),
            Value::Integer(n) => values.push(n.to_string()),
            Value::Float(n) => values.push(n.to_string()),
            Value::Boolean(yes) => values.push(yes.to_string()),
            Value::List(_) | Value::Table(_) => section.wrong_type("accepted_values", item, diagnostics),
        }
    }
    Some(Rule::AcceptedValues { column: column?, values })
}

fn range(section: &Section<'_>, column: Option<String>, diagnostics: &mut Diagnostics) -> Option<Rule> {
    let item = section.get("range")?;
    let bounds = Section::open(format!("{}`range`: ", section.at), item, RANGE, diagnostics)?;
    let (min, max) = (bounds.number("min", diagnostics), bounds.number("max", diagnostics));
    // Check the entries instead of the parsed bounds, because a bound with a wrong type is reported
    // separately.
    if bounds.get("min").is_none() && bounds.get("max").is_none() {
        bounds.report(&item.origin, "`min`, `max` or both are missing", diagnostics);
    }
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        bounds.report(&item.origin, &format!("`min` {min} is above `max` {max}"), diagnostics);
    }
    Some(Rule::Range { column: column?, min, max })
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

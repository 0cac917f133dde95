//! The settings that are in effect, each with its origin: `lake.toml`, the environment, or the
//! default.
//!
//! No setting holds a secret: those are only in the files and variables of AWS, and in files that
//! settings name.

use std::path::Path;

use super::diagnostics;
use super::file::{Entry, Item, Value};
use super::settings::{self, Kind, ROOT};
use crate::error::Result;

/// A setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Keys that lead to the setting, joined by dots: `limits.memory`.
    pub name: String,
    /// The value as in TOML. For a default, as in the documentation, such as `the cores`.
    pub value: String,
    pub origin: Origin,
}

/// Where the value of a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `lake.toml`, with the line if it is known.
    File {
        line: Option<usize>,
    },
    Environment {
        variable: String,
    },
    Default,
}

/// Returns the settings of `file` with the overrides of `environment`, in the order of
/// `docs/configuration.md`. Defaults are listed only for sections that are not made of names.
///
/// # Errors
/// A configuration error if the file cannot be read or is not TOML.
pub fn settings(file: &Path, environment: impl Iterator<Item = (String, String)>) -> Result<Vec<Setting>> {
    let (document, _) = super::read(file, environment)?;
    let mut found = Vec::new();
    if let Value::Table(entries) = &document.value {
        section("", ROOT, entries, &mut found);
    }
    Ok(found)
}

/// Adds the settings of a table at `at`, and the defaults of those that are missing.
fn section(at: &str, known: &[settings::Setting], entries: &[Entry], found: &mut Vec<Setting>) {
    for setting in known {
        let name = joined(at, setting.key);
        let entry = entries.iter().find(|entry| entry.key == setting.key);
        match (entry, setting.kind) {
            (Some(Entry { item: Item { value: Value::Table(inner), .. }, .. }), Kind::Section(below)) => {
                section(&name, below, inner, found);
            }
            (Some(Entry { item: Item { value: Value::Table(inner), .. }, .. }), Kind::Named(_) | Kind::Fields(_)) => {
                inner.iter().for_each(|entry| given(&name, entry, found));
            }
            (Some(entry), _) => given(at, entry, found),
            // A section that is missing may be switched off by that.
            (None, Kind::Section(_) | Kind::Named(_) | Kind::Fields(_) | Kind::Listed(_)) => {}
            (None, _) => found.push(Setting { name, value: setting.default.to_string(), origin: Origin::Default }),
        }
    }
}

/// Adds a setting that is given, or those inside of it.
fn given(at: &str, entry: &Entry, found: &mut Vec<Setting>) {
    let name = joined(at, &entry.key);
    match &entry.item.value {
        Value::Table(inner) => inner.iter().for_each(|entry| given(&name, entry, found)),
        value => found.push(Setting { name, value: text(value), origin: origin(&entry.item.origin) }),
    }
}

fn joined(at: &str, key: &str) -> String {
    if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") }
}

fn origin(origin: &diagnostics::Origin) -> Origin {
    match origin {
        diagnostics::Origin::File => Origin::File { line: None },
        diagnostics::Origin::Line(line) => Origin::File { line: Some(*line) },
        diagnostics::Origin::Environment(variable) => Origin::Environment { variable: variable.clone() },
    }
}

/// Writes a value as in TOML.
fn text(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("{text:?}"),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(yes) => yes.to_string(),
        Value::Date(date) => date.clone(),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(|item| text(&item.value)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Table(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|entry| format!("{} = {}", entry.key, text(&entry.item.value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_its_origin() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lake.toml");
        let toml = "[lake]\nurl = \"lake\"\n[limits]\nthreads = 3\n[sources.s]\nurl = \"in\"\n[sources.s.fields]\n\
                    id = { type = \"long\", aliases = [\"a\", \"b\"] }\n";
        std::fs::write(&file, toml).unwrap();
        let variable = ("LAKEWRIGHT__LIMITS__THREADS".to_owned(), "5".to_owned());
        let settings = settings(&file, [variable.clone()].into_iter()).unwrap();
        let found = |name: &str| {
            let setting = settings.iter().find(|setting| setting.name == name).unwrap();
            (setting.value.as_str(), setting.origin.clone())
        };
        assert_eq!(found("lake.url"), ("\"lake\"", Origin::File { line: Some(2) }));
        assert_eq!(found("limits.threads"), ("5", Origin::Environment { variable: variable.0 }));
        assert_eq!(found("limits.max_record_bytes"), ("\"16MiB\"", Origin::Default));
        assert_eq!(found("sources.s.fields.id.aliases"), ("[\"a\", \"b\"]", Origin::File { line: Some(8) }));
    }
}

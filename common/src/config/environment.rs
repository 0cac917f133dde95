//! Applies overrides from the environment, such as `LAKEWRIGHT__LIMITS__MAX_RECORD_BYTES=1MiB`.
//!
//! A variable's name consists of the keys that lead to the setting, joined by `__`. Case is
//! ignored. Overrides are put into the tree of the file before it is checked, so that the same
//! rules apply to them. Unknown keys are put into it too, so that `validate` reports them like
//! those of the file. Overrides can change sources, tables and fields, but cannot add new ones.

use super::diagnostics::{Diagnostics, Origin, did_you_mean};
use super::file::{Entry, Item, Value, parse_literal};
use super::settings::{Kind, ROOT, Setting};

const PREFIX: &str = "LAKEWRIGHT__";
const SEPARATOR: &str = "__";

/// Puts every override among `variables` into `document` and ignores other variables.
pub(super) fn apply(
    document: &mut Item,
    variables: impl Iterator<Item = (String, String)>,
    diagnostics: &mut Diagnostics,
) {
    // `LAKEWRIGHT_FAILPOINT` and the like have a single underscore and are not settings.
    let mut overrides: Vec<_> = variables.filter(|(name, _)| below(name, PREFIX).is_some()).collect();
    // Sorted, so that a section comes before its settings and the result does not depend on the
    // order of the variables.
    overrides.sort();
    for (name, text) in overrides {
        let path = below(&name, PREFIX).unwrap_or_default();
        let change = Override { origin: &Origin::Environment(name.clone()), text: &text };
        change.put(document, ROOT, path, "", diagnostics);
    }
}

struct Override<'a> {
    origin: &'a Origin,
    text: &'a str,
}

impl Override<'_> {
    /// Puts the variable's value into `item`, a TOML table that may contain `settings`. `path`
    /// lists the keys from `item` to the value, such as `LIMITS__MEMORY`. `at` is the prefix of
    /// messages.
    fn put(&self, item: &mut Item, settings: &[Setting], path: &str, at: &str, diagnostics: &mut Diagnostics) {
        // `validate` reports a file that has something else than a table here.
        let Value::Table(entries) = &mut item.value else { return };
        // A key may contain `__`, and may be a prefix of another key: take the longest that
        // matches.
        let fits = |setting: &&Setting| match rest_after(path, setting.key) {
            Some("") => true,
            Some(_) => matches!(setting.kind, Kind::Section(_) | Kind::Named(_) | Kind::Fields(_)),
            None => false,
        };
        let Some(setting) = settings.iter().filter(fits).max_by_key(|setting| setting.key.len()) else {
            self.set(entries, &unknown_key(settings, path), self.text());
            return;
        };
        let rest = rest_after(path, setting.key).unwrap_or_default();
        if rest.is_empty() {
            self.set(entries, setting.key, self.value(setting.kind));
            return;
        }
        let below = &mut self.entry_of(entries, setting.key).item;
        match setting.kind {
            Kind::Named(settings) | Kind::Fields(settings) => {
                self.put_in_named(below, settings, rest, at, setting.key.trim_end_matches('s'), diagnostics);
            }
            kind => self.put(below, kind.below(), rest, &format!("{at}`{}`: ", setting.key), diagnostics),
        }
    }

    /// Puts the variable's value into `item`, a TOML table with user-defined names as keys. `path`
    /// lists the keys from `item` to the value, such as `EVENTS__URL`. `what` says what the
    /// user-defined names refer to, such as `source`.
    fn put_in_named(
        &self,
        item: &mut Item,
        settings: &'static [Setting],
        path: &str,
        at: &str,
        what: &str,
        diagnostics: &mut Diagnostics,
    ) {
        let Value::Table(entries) = &mut item.value else { return };
        // Cloned, because the entries are borrowed mutably below.
        let known: Vec<String> = entries.iter().map(|entry| entry.key.clone()).collect();
        let fitting = entries.iter_mut().filter(|entry| rest_after(path, &entry.key).is_some());
        let Some(entry) = fitting.max_by_key(|entry| entry.key.len()) else {
            let unknown = unknown_key(&[], path);
            let hint = did_you_mean(&unknown, known.iter().map(String::as_str));
            diagnostics.report_with_hint(self.origin, format!("{at}no {what} is named `{unknown}`"), hint);
            return;
        };
        let rest = rest_after(path, &entry.key).unwrap_or_default();
        if rest.is_empty() {
            entry.origin = self.origin.clone();
            entry.item = self.value(Kind::Section(settings));
            return;
        }
        // A field may be written as only its type. If an override sets another key of the field,
        // the field becomes a table.
        if let Value::Text(_) = entry.item.value {
            let written = std::mem::replace(&mut entry.item.value, Value::Table(Vec::new()));
            let type_item = Item { value: written, origin: entry.item.origin.clone() };
            // `ts = "long"` becomes `ts = { type = "long" }`.
            entry.item.value =
                Value::Table(vec![Entry { key: "type".to_owned(), origin: entry.origin.clone(), item: type_item }]);
        }
        let at = format!("{at}{what} `{}`: ", entry.key);
        self.put(&mut entry.item, settings, rest, &at, diagnostics);
    }

    fn entry_of<'n>(&self, entries: &'n mut Vec<Entry>, key: &str) -> &'n mut Entry {
        let index = entries.iter().position(|entry| entry.key == key).unwrap_or_else(|| {
            let item = Item { value: Value::Table(Vec::new()), origin: self.origin.clone() };
            entries.push(Entry { key: key.to_owned(), origin: self.origin.clone(), item });
            entries.len() - 1
        });
        &mut entries[index]
    }

    fn set(&self, entries: &mut Vec<Entry>, key: &str, item: Item) {
        let entry = self.entry_of(entries, key);
        entry.origin = self.origin.clone();
        entry.item = item;
    }

    /// Parses the variable's text as the value of a setting of `kind`.
    fn value(&self, kind: Kind) -> Item {
        let is_quoted = self.text.starts_with(['"', '\'']);
        let is_list = self.text.starts_with('[') && self.text.ends_with(']');
        match kind {
            // Do not parse the text as TOML, because `2024` may be the name of a folder.
            Kind::Text | Kind::OneOf(_) | Kind::Duration if !is_quoted => self.text(),
            // A number without a sign or leading zeros is a position, as in TOML.
            Kind::Keys if self.text.parse().is_ok_and(|position: u32| position.to_string() == self.text) => {
                parse_literal(self.text, self.origin)
            }
            // A pattern may begin with `[`, so text that is not a list is one text.
            Kind::Texts | Kind::Keys if !(is_quoted || is_list) => self.text(),
            _ => parse_literal(self.text, self.origin),
        }
    }

    fn text(&self) -> Item {
        Item { value: Value::Text(self.text.to_owned()), origin: self.origin.clone() }
    }
}

/// Returns the key to report if no setting matches `path`. This is the first key of `path`. But if
/// that key is a setting that contains no other settings, it is all of `path`.
fn unknown_key(settings: &[Setting], path: &str) -> String {
    let path = path.to_lowercase();
    match path.split_once(SEPARATOR) {
        Some((key, _)) if !key.is_empty() && settings.iter().all(|setting| setting.key != key) => key.to_owned(),
        _ => path,
    }
}

/// If `path` starts with `key` and a separator, returns the text after them; empty if `path` is
/// `key`. Ignores case.
fn rest_after<'a>(path: &'a str, key: &str) -> Option<&'a str> {
    let rest = below(path, key)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix(SEPARATOR).filter(|rest| !rest.is_empty()) }
}

/// Returns the part of `text` after `prefix`; `None` if `text` does not start with `prefix`. Case
/// is ignored.
fn below<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

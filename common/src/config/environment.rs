//! Settings that the environment replaces: `LAKEWRIGHT__LIMITS__MAX_RECORD_BYTES=1MiB`.
//!
//! The parts of a variable's name are the keys on the way to the setting, joined by `__`, in any case. An override goes
//! into the tree of the file before anything is checked, so that it is held to the same rules; a key that no setting
//! has goes in too, for `check` to report it like one of the file. Sources, tables and fields cannot be made here, only
//! changed.

use super::fault::{Faults, did_you_mean};
use super::file::{Entry, Node, Origin, Value, parse_literal};
use super::settings::{Kind, ROOT, Setting};

const PREFIX: &str = "LAKEWRIGHT__";
const SEPARATOR: &str = "__";

/// Puts every override among `variables` into `document`; other variables do not matter.
pub(super) fn apply(document: &mut Node, variables: impl Iterator<Item = (String, String)>, faults: &mut Faults) {
    let mut overrides: Vec<_> = variables.filter(|(name, _)| below(name, PREFIX).is_some()).collect();
    // A section comes before the settings in it, and two runs do the same.
    overrides.sort();
    for (name, text) in overrides {
        let path = below(&name, PREFIX).unwrap_or_default();
        let change = Override { origin: &Origin::Environment(name.clone()), text: &text };
        change.put(document, ROOT, path, "", faults);
    }
}

struct Override<'a> {
    origin: &'a Origin,
    text: &'a str,
}

impl Override<'_> {
    /// Follows `path` from a table of `settings`, which faults call `at`.
    fn put(&self, node: &mut Node, settings: &[Setting], path: &str, at: &str, faults: &mut Faults) {
        // What the file has instead of a table, `check` reports.
        let Value::Table(entries) = &mut node.value else { return };
        // A key may itself hold `__`, and one may begin like another: the longest that fits is meant.
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
        let below = &mut self.entry_of(entries, setting.key).node;
        match setting.kind {
            Kind::Named(settings) | Kind::Fields(settings) => {
                self.put_in_named(below, settings, rest, at, setting.key.trim_end_matches('s'), faults);
            }
            kind => self.put(below, kind.below(), rest, &format!("{at}`{}`: ", setting.key), faults),
        }
    }

    /// Follows `path` from a table whose names the user has chosen; `what` is one of the things named.
    fn put_in_named(
        &self,
        node: &mut Node,
        settings: &'static [Setting],
        path: &str,
        at: &str,
        what: &str,
        faults: &mut Faults,
    ) {
        let Value::Table(entries) = &mut node.value else { return };
        let known: Vec<String> = entries.iter().map(|entry| entry.key.clone()).collect();
        let fitting = entries.iter_mut().filter(|entry| rest_after(path, &entry.key).is_some());
        let Some(entry) = fitting.max_by_key(|entry| entry.key.len()) else {
            let unknown = unknown_key(&[], path);
            let hint = did_you_mean(&unknown, known.iter().map(String::as_str));
            faults.report_with_hint(self.origin, format!("{at}no {what} is named `{unknown}`"), hint);
            return;
        };
        let rest = rest_after(path, &entry.key).unwrap_or_default();
        if rest.is_empty() {
            entry.origin = self.origin.clone();
            entry.node = self.value(Kind::Section(settings));
            return;
        }
        // A field given by its type alone becomes a table as soon as something else of it is set.
        if let Value::Text(_) = entry.node.value {
            let written = std::mem::replace(&mut entry.node.value, Value::Table(Vec::new()));
            let of_type = Node { value: written, origin: entry.node.origin.clone() };
            entry.node.value =
                Value::Table(vec![Entry { key: "type".to_owned(), origin: entry.origin.clone(), node: of_type }]);
        }
        let at = format!("{at}{what} `{}`: ", entry.key);
        self.put(&mut entry.node, settings, rest, &at, faults);
    }

    fn entry_of<'n>(&self, entries: &'n mut Vec<Entry>, key: &str) -> &'n mut Entry {
        let index = entries.iter().position(|entry| entry.key == key).unwrap_or_else(|| {
            let node = Node { value: Value::Table(Vec::new()), origin: self.origin.clone() };
            entries.push(Entry { key: key.to_owned(), origin: self.origin.clone(), node });
            entries.len() - 1
        });
        &mut entries[index]
    }

    fn set(&self, entries: &mut Vec<Entry>, key: &str, node: Node) {
        let entry = self.entry_of(entries, key);
        entry.origin = self.origin.clone();
        entry.node = node;
    }

    /// What the variable's text stands for in a setting of `kind`.
    fn value(&self, kind: Kind) -> Node {
        let is_quoted = self.text.starts_with(['"', '\'']);
        match kind {
            // `2024` is a fine name of a folder.
            Kind::Text | Kind::OneOf(_) | Kind::Duration if !is_quoted => self.text(),
            _ => parse_literal(self.text, self.origin),
        }
    }

    fn text(&self) -> Node {
        Node { value: Value::Text(self.text.to_owned()), origin: self.origin.clone() }
    }
}

/// The key that `path` goes to where no setting fits: its first part, or all of it where a setting has that part and
/// nothing below it.
fn unknown_key(settings: &[Setting], path: &str) -> String {
    let path = path.to_lowercase();
    match path.split_once(SEPARATOR) {
        Some((key, _)) if !key.is_empty() && settings.iter().all(|setting| setting.key != key) => key.to_owned(),
        _ => path,
    }
}

/// What follows `key` and a separator in `path`; empty where `path` is `key`; the case does not matter.
fn rest_after<'a>(path: &'a str, key: &str) -> Option<&'a str> {
    let rest = below(path, key)?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix(SEPARATOR).filter(|rest| !rest.is_empty()) }
}

/// `text` without `prefix`, whatever the case.
fn below<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

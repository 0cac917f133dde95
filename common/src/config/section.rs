//! Reads one TOML table of `lake.toml` key by key. Each getter reports a wrong value and returns
//! the default instead.

use std::path::Path;
use std::time::Duration;

use bytesize::ByteSize;
use url::Url;

use super::diagnostics::{Diagnostics, Origin, did_you_mean};
use super::file::{Entry, Item, Value};
use super::location::{self, secrets_hint};
use super::name::check_names;
use super::settings::{Kind, Setting, TABLES_OF_THE_FILE};

/// Parts of a key that indicate a secret value.
const SECRET_WORDS: &[&str] = &["secret", "password", "passwd", "token", "access_key", "accesskey", "credential"];

/// A TOML table of the file, with the settings that it may contain.
#[derive(Debug)]
pub(super) struct Section<'a> {
    /// Prefix of messages about the table, such as "`[limits]`: ".
    pub(super) at: String,
    /// Origin of the table's header, such as line 14. Faults about missing settings name it.
    pub(super) origin: &'a Origin,
    entries: &'a [Entry],
    settings: &'static [Setting],
}

/// A text value and its origin (the line or environment variable that sets it).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Text<'a> {
    pub(super) text: &'a str,
    pub(super) origin: &'a Origin,
}

impl<'a> Section<'a> {
    /// Opens a TOML table. Reports an `item` that is not a table, and every unknown key.
    pub(super) fn open(
        at: impl Into<String>,
        item: &'a Item,
        settings: &'static [Setting],
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let at = at.into();
        let Value::Table(entries) = &item.value else {
            // A message about the whole table has no colon after the prefix.
            let whole = at.trim_end_matches(": ");
            diagnostics.report(&item.origin, format!("{whole} must be a table, not {}", item.value.describe()));
            return None;
        };
        let section = Self { at, origin: &item.origin, entries, settings };
        for entry in entries {
            section.check_key(entry, diagnostics);
        }
        Some(section)
    }

    fn check_key(&self, entry: &Entry, diagnostics: &mut Diagnostics) {
        let key = entry.key.as_str();
        let known = || self.settings.iter().map(|setting| setting.key);
        if known().any(|setting| setting == key) {
            return;
        }
        // `secretAccessKey` and `secret-access-key` mean the same.
        let folded = key.to_lowercase().replace('-', "_");
        if SECRET_WORDS.iter().any(|word| folded.contains(word)) {
            diagnostics.report_with_hint(
                &entry.origin,
                format!("{}`{key}` looks like a secret", self.at),
                secrets_hint(),
            );
            return;
        }
        let hint = did_you_mean(key, known()).or_else(|| belongs_to(key, self.settings));
        diagnostics.report_with_hint(&entry.origin, format!("{}unknown key `{key}`", self.at), hint);
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a Item> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.item)
    }

    /// Returns a setting. If the setting is missing, reports a fault with an example.
    pub(super) fn require(&self, key: &str, example: &str, diagnostics: &mut Diagnostics) -> Option<&'a Item> {
        let item = self.get(key);
        if item.is_none() {
            let hint = format!("add `{example}`");
            diagnostics.report_with_hint(self.origin, format!("{}`{key}` is missing", self.at), hint);
        }
        item
    }

    pub(super) fn report(&self, origin: &Origin, message: &str, diagnostics: &mut Diagnostics) {
        diagnostics.report(origin, format!("{}{message}", self.at));
    }

    pub(super) fn text(&self, key: &str, diagnostics: &mut Diagnostics) -> Option<Text<'a>> {
        let item = self.get(key)?;
        let text = as_text(item);
        if text.is_none() {
            self.wrong_type(key, item, diagnostics);
        }
        text
    }

    /// Returns the URL of a setting that contains a path or a URL, and the origin of the setting.
    /// Relative paths start from `folder`.
    pub(super) fn location(
        &self,
        key: &str,
        folder: &Path,
        diagnostics: &mut Diagnostics,
    ) -> Option<(Url, &'a Origin)> {
        let text = self.text(key, diagnostics)?;
        self.resolved(key, text, folder, diagnostics)
    }

    /// Returns the URL in the text of a setting, and its origin.
    pub(super) fn resolved(
        &self,
        key: &str,
        Text { text, origin }: Text<'a>,
        folder: &Path,
        diagnostics: &mut Diagnostics,
    ) -> Option<(Url, &'a Origin)> {
        match location::resolve(text, folder) {
            Ok(url) => Some((url, origin)),
            Err(diagnostic) => {
                diagnostics.report_with_hint(
                    origin,
                    format!("{}`{key}` {}", self.at, diagnostic.message),
                    diagnostic.hint,
                );
                None
            }
        }
    }

    /// Returns a list of texts. A single text is a list of one; a missing setting is an empty list.
    pub(super) fn texts(&self, key: &str, diagnostics: &mut Diagnostics) -> Vec<Text<'a>> {
        let Some(item) = self.get(key) else { return Vec::new() };
        let Value::List(items) = &item.value else {
            let text = as_text(item);
            if text.is_none() {
                self.wrong_type(key, item, diagnostics);
            }
            return text.into_iter().collect();
        };
        let mut texts = Vec::new();
        for item in items {
            match as_text(item) {
                Some(text) => texts.push(text),
                None => self.wrong_type(key, item, diagnostics),
            }
        }
        texts
    }

    /// Returns a list of column names; reports wrong names and duplicates.
    pub(super) fn columns(&self, key: &str, diagnostics: &mut Diagnostics) -> Vec<String> {
        let written = self.texts(key, diagnostics);
        let at = format!("{}`{key}`: ", self.at);
        check_names(&at, "column", written.iter().map(|column| (column.text, column.origin)), diagnostics);
        written.iter().map(|column| column.text.to_owned()).collect()
    }

    pub(super) fn boolean(&self, key: &str, default: bool, diagnostics: &mut Diagnostics) -> bool {
        match self.get(key) {
            Some(Item { value: Value::Boolean(yes), .. }) => *yes,
            Some(item) => {
                self.wrong_type(key, item, diagnostics);
                default
            }
            None => default,
        }
    }

    /// Returns the value of a setting that allows only certain words; reports any other word.
    pub(super) fn word(&self, key: &str, diagnostics: &mut Diagnostics) -> Option<&'a str> {
        let Text { text, origin } = self.text(key, diagnostics)?;
        // Kinds other than `OneOf` allow any word.
        let Some(Kind::OneOf(words)) = self.kind(key) else { return Some(text) };
        if words.contains(&text) {
            return Some(text);
        }
        let expected = Kind::OneOf(words).describe();
        let hint = did_you_mean(text, words.iter().copied());
        diagnostics.report_with_hint(origin, format!("{}`{key}` must be {expected}, not `{text}`", self.at), hint);
        None
    }

    /// Returns an integer of at least 1.
    pub(super) fn count(&self, key: &str, default: usize, diagnostics: &mut Diagnostics) -> usize {
        match self.get(key) {
            Some(item @ Item { value: Value::Integer(n), .. }) => {
                self.at_least_one(key, *n, item, diagnostics).unwrap_or(default)
            }
            Some(item) => {
                self.wrong_type(key, item, diagnostics);
                default
            }
            None => default,
        }
    }

    /// Returns a number of bytes, at least 1.
    pub(super) fn size(&self, key: &str, default: u64, diagnostics: &mut Diagnostics) -> u64 {
        let Some(item) = self.get(key) else { return default };
        let bytes = match &item.value {
            Value::Integer(n) => *n,
            Value::Text(text) => match text.trim().parse::<ByteSize>() {
                Ok(size) => i128::from(size.as_u64()),
                Err(_) => {
                    diagnostics.report_with_hint(
                        &item.origin,
                        format!("{}`{key}` is `{text}`, which is not a size", self.at),
                        "write bytes, or a size such as \"512MB\", \"16MiB\" or \"1.5GB\"".to_owned(),
                    );
                    return default;
                }
            },
            _ => {
                self.wrong_type(key, item, diagnostics);
                return default;
            }
        };
        self.at_least_one(key, bytes, item, diagnostics).unwrap_or(default)
    }

    pub(super) fn duration(&self, key: &str, default: Duration, diagnostics: &mut Diagnostics) -> Duration {
        let Some(Text { text, origin }) = self.text(key, diagnostics) else { return default };
        match humantime::parse_duration(text) {
            Ok(duration) if duration.is_zero() => {
                self.report(origin, &format!("`{key}` must be longer than 0"), diagnostics);
                default
            }
            Ok(duration) => duration,
            Err(_) => {
                diagnostics.report_with_hint(
                    origin,
                    format!("{}`{key}` is `{text}`, which is not a duration", self.at),
                    "write a number and a unit, such as \"30s\", \"5m\" or \"1h 30m\"".to_owned(),
                );
                default
            }
        }
    }

    pub(super) fn number(&self, key: &str, diagnostics: &mut Diagnostics) -> Option<f64> {
        let item = self.get(key)?;
        match as_number(item) {
            Some(n) if n.is_nan() => {
                self.report(&item.origin, &format!("`{key}` must be a number, not `nan`"), diagnostics);
                None
            }
            Some(n) => Some(n),
            None => {
                self.wrong_type(key, item, diagnostics);
                None
            }
        }
    }

    /// Returns a share from 0.0 to 1.0.
    pub(super) fn share(&self, key: &str, default: f64, diagnostics: &mut Diagnostics) -> f64 {
        let Some(share) = self.number(key, diagnostics) else { return default };
        if (0.0..=1.0).contains(&share) {
            return share;
        }
        // A share above 1 is probably a percentage.
        let hint = (1.0..=100.0).contains(&share).then(|| format!("{share} % is written `{}`", share / 100.0));
        let origin = self.get(key).map_or(self.origin, |item| &item.origin);
        diagnostics.report_with_hint(origin, format!("{}`{key}` is {share}, which is not from 0 to 1", self.at), hint);
        default
    }

    fn at_least_one<T: TryFrom<i128>>(
        &self,
        key: &str,
        n: i128,
        item: &Item,
        diagnostics: &mut Diagnostics,
    ) -> Option<T> {
        if n < 1 {
            self.report(&item.origin, &format!("`{key}` must be at least 1, not {n}"), diagnostics);
            return None;
        }
        let fits = T::try_from(n).ok();
        if fits.is_none() {
            self.report(&item.origin, &format!("`{key}` is too large"), diagnostics);
        }
        fits
    }

    pub(super) fn wrong_type(&self, key: &str, item: &Item, diagnostics: &mut Diagnostics) {
        let expected = self.kind(key).map_or_else(String::new, Kind::describe);
        let article = if expected.starts_with('"') || expected.starts_with("text") { "" } else { "a " };
        let found = item.value.describe();
        self.report(&item.origin, &format!("`{key}` must be {article}{expected}, not {found}"), diagnostics);
    }

    fn kind(&self, key: &str) -> Option<Kind> {
        self.settings.iter().find(|setting| setting.key == key).map(|setting| setting.kind)
    }
}

/// Returns the text of an item, if it is a text.
pub(super) fn as_text(item: &Item) -> Option<Text<'_>> {
    match &item.value {
        Value::Text(text) => Some(Text { text, origin: &item.origin }),
        _ => None,
    }
}

fn as_number(item: &Item) -> Option<f64> {
    match item.value {
        Value::Integer(n) => Some(n as f64),
        Value::Float(n) => Some(n),
        _ => None,
    }
}

/// Returns a hint for a key that belongs in another table.
fn belongs_to(key: &str, here: &[Setting]) -> Option<String> {
    let (head, _) = TABLES_OF_THE_FILE.iter().find(|(head, there)| {
        // Skip the table `here`, which is recognized by its address.
        head.starts_with('[') && !std::ptr::eq(*there, here) && there.iter().any(|setting| setting.key == key)
    })?;
    Some(format!("`{key}` belongs in `{head}`"))
}

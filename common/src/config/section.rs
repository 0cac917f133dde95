//! One table of the tree, read key by key: each getter reports what is wrong with its value and the reading goes on.

use std::path::Path;
use std::time::Duration;

use bytesize::ByteSize;
use url::Url;

use super::fault::{Faults, did_you_mean};
use super::file::{Entry, Node, Origin, Value};
use super::location::{self, secrets_hint};
use super::settings::{Kind, Setting, TABLES_OF_THE_FILE};

/// A part of a key that says that its value is a secret.
const SECRET_WORDS: &[&str] = &["secret", "password", "passwd", "token", "access_key", "credential"];

/// A table of the file whose keys are known.
#[derive(Debug)]
pub(super) struct Section<'a> {
    /// How its faults begin, such as "`[limits]`: ".
    pub(super) at: String,
    /// Of the table's head; where what is missing should have been.
    pub(super) origin: &'a Origin,
    entries: &'a [Entry],
    settings: &'static [Setting],
}

/// A text and where it came from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Text<'a> {
    pub(super) text: &'a str,
    pub(super) origin: &'a Origin,
}

impl<'a> Section<'a> {
    /// Reports what is not a table, and every key that no setting has.
    pub(super) fn open(
        at: impl Into<String>,
        node: &'a Node,
        settings: &'static [Setting],
        faults: &mut Faults,
    ) -> Option<Self> {
        let at = at.into();
        let Value::Table(entries) = &node.value else {
            let whole = at.trim_end_matches(": ");
            faults.report(&node.origin, format!("{whole} must be a table, not {}", node.value.describe()));
            return None;
        };
        let section = Self { at, origin: &node.origin, entries, settings };
        for entry in entries {
            section.check_key(entry, faults);
        }
        Some(section)
    }

    fn check_key(&self, entry: &Entry, faults: &mut Faults) {
        let key = entry.key.as_str();
        let known = || self.settings.iter().map(|setting| setting.key);
        if known().any(|setting| setting == key) {
            return;
        }
        let folded = key.to_lowercase().replace('-', "_");
        if SECRET_WORDS.iter().any(|word| folded.contains(word)) {
            faults.report_with_hint(&entry.origin, format!("{}`{key}` looks like a secret", self.at), secrets_hint());
            return;
        }
        let hint = did_you_mean(key, known()).or_else(|| belongs_to(key, self.settings));
        faults.report_with_hint(&entry.origin, format!("{}unknown key `{key}`", self.at), hint);
    }

    pub(super) fn node(&self, key: &str) -> Option<&'a Node> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.node)
    }

    /// Reports a setting that is not there, with an example of it.
    pub(super) fn require(&self, key: &str, example: &str, faults: &mut Faults) -> Option<&'a Node> {
        let node = self.node(key);
        if node.is_none() {
            let hint = format!("add `{example}`");
            faults.report_with_hint(self.origin, format!("{}`{key}` is missing", self.at), hint);
        }
        node
    }

    pub(super) fn report(&self, origin: &Origin, message: &str, faults: &mut Faults) {
        faults.report(origin, format!("{}{message}", self.at));
    }

    pub(super) fn text(&self, key: &str, faults: &mut Faults) -> Option<Text<'a>> {
        let node = self.node(key)?;
        let text = as_text(node);
        if text.is_none() {
            self.wrong_type(key, node, faults);
        }
        text
    }

    /// A path or a URL, and where it came from; relative paths are seen from `folder`.
    pub(super) fn location(&self, key: &str, folder: &Path, faults: &mut Faults) -> Option<(Url, &'a Origin)> {
        let Text { text, origin } = self.text(key, faults)?;
        match location::resolve(text, folder) {
            Ok(url) => Some((url, origin)),
            Err(flaw) => {
                faults.report_with_hint(origin, format!("{}`{key}` {}", self.at, flaw.message), flaw.hint);
                None
            }
        }
    }

    /// A list of texts, or one text that stands for a list of one; empty where the setting is not there.
    pub(super) fn texts(&self, key: &str, faults: &mut Faults) -> Vec<Text<'a>> {
        let Some(node) = self.node(key) else { return Vec::new() };
        let Value::List(items) = &node.value else {
            let text = as_text(node);
            if text.is_none() {
                self.wrong_type(key, node, faults);
            }
            return text.into_iter().collect();
        };
        let mut texts = Vec::new();
        for item in items {
            match as_text(item) {
                Some(text) => texts.push(text),
                None => self.wrong_type(key, item, faults),
            }
        }
        texts
    }

    pub(super) fn boolean(&self, key: &str, default: bool, faults: &mut Faults) -> bool {
        match self.node(key) {
            Some(Node { value: Value::Boolean(yes), .. }) => *yes,
            Some(node) => {
                self.wrong_type(key, node, faults);
                default
            }
            None => default,
        }
    }

    /// One of the words that the setting knows.
    pub(super) fn word(&self, key: &str, faults: &mut Faults) -> Option<&'a str> {
        let Text { text, origin } = self.text(key, faults)?;
        let Some(Kind::OneOf(words)) = self.kind(key) else { return Some(text) };
        if words.contains(&text) {
            return Some(text);
        }
        let expected = Kind::OneOf(words).describe();
        let hint = did_you_mean(text, words.iter().copied());
        faults.report_with_hint(origin, format!("{}`{key}` must be {expected}, not `{text}`", self.at), hint);
        None
    }

    /// At least 1.
    pub(super) fn count(&self, key: &str, default: usize, faults: &mut Faults) -> usize {
        match self.node(key) {
            Some(node @ Node { value: Value::Integer(n), .. }) => {
                self.at_least_one(key, *n, node, faults).unwrap_or(default)
            }
            Some(node) => {
                self.wrong_type(key, node, faults);
                default
            }
            None => default,
        }
    }

    /// Bytes, at least 1.
    pub(super) fn size(&self, key: &str, default: u64, faults: &mut Faults) -> u64 {
        let Some(node) = self.node(key) else { return default };
        let bytes = match &node.value {
            Value::Integer(n) => *n,
            Value::Text(text) => match text.trim().parse::<ByteSize>() {
                Ok(size) => i128::from(size.as_u64()),
                Err(_) => {
                    faults.report_with_hint(
                        &node.origin,
                        format!("{}`{key}` is `{text}`, which is not a size", self.at),
                        "write bytes, or a size such as \"512MB\", \"16MiB\" or \"1.5GB\"".to_owned(),
                    );
                    return default;
                }
            },
            _ => {
                self.wrong_type(key, node, faults);
                return default;
            }
        };
        self.at_least_one(key, bytes, node, faults).unwrap_or(default)
    }

    pub(super) fn duration(&self, key: &str, default: Duration, faults: &mut Faults) -> Duration {
        let Some(Text { text, origin }) = self.text(key, faults) else { return default };
        match humantime::parse_duration(text) {
            Ok(duration) if duration.is_zero() => {
                self.report(origin, &format!("`{key}` must be longer than nothing"), faults);
                default
            }
            Ok(duration) => duration,
            Err(_) => {
                faults.report_with_hint(
                    origin,
                    format!("{}`{key}` is `{text}`, which is not a duration", self.at),
                    "write a number and a unit, such as \"30s\", \"5m\" or \"1h 30m\"".to_owned(),
                );
                default
            }
        }
    }

    pub(super) fn number(&self, key: &str, faults: &mut Faults) -> Option<f64> {
        let node = self.node(key)?;
        match as_number(node) {
            Some(n) if n.is_nan() => {
                self.report(&node.origin, &format!("`{key}` must be a number, not `nan`"), faults);
                None
            }
            Some(n) => Some(n),
            None => {
                self.wrong_type(key, node, faults);
                None
            }
        }
    }

    /// 0.0–1.0
    pub(super) fn share(&self, key: &str, default: f64, faults: &mut Faults) -> f64 {
        let Some(share) = self.number(key, faults) else { return default };
        if (0.0..=1.0).contains(&share) {
            return share;
        }
        let hint = (1.0..=100.0).contains(&share).then(|| format!("{share} % is written `{}`", share / 100.0));
        let origin = self.node(key).map_or(self.origin, |node| &node.origin);
        faults.report_with_hint(origin, format!("{}`{key}` is {share}, which is not from 0 to 1", self.at), hint);
        default
    }

    fn at_least_one<T: TryFrom<i128>>(&self, key: &str, n: i128, node: &Node, faults: &mut Faults) -> Option<T> {
        if n < 1 {
            self.report(&node.origin, &format!("`{key}` must be at least 1, not {n}"), faults);
            return None;
        }
        let fits = T::try_from(n).ok();
        if fits.is_none() {
            self.report(&node.origin, &format!("`{key}` is too large"), faults);
        }
        fits
    }

    pub(super) fn wrong_type(&self, key: &str, node: &Node, faults: &mut Faults) {
        let expected = self.kind(key).map_or_else(String::new, Kind::describe);
        let article = if expected.starts_with('"') || expected.starts_with("text") { "" } else { "a " };
        let found = node.value.describe();
        self.report(&node.origin, &format!("`{key}` must be {article}{expected}, not {found}"), faults);
    }

    fn kind(&self, key: &str) -> Option<Kind> {
        self.settings.iter().find(|setting| setting.key == key).map(|setting| setting.kind)
    }
}

/// The text of a node that is one.
pub(super) fn as_text(node: &Node) -> Option<Text<'_>> {
    match &node.value {
        Value::Text(text) => Some(Text { text, origin: &node.origin }),
        _ => None,
    }
}

fn as_number(node: &Node) -> Option<f64> {
    match node.value {
        Value::Integer(n) => Some(n as f64),
        Value::Float(n) => Some(n),
        _ => None,
    }
}

/// A key that is known, but in another table.
fn belongs_to(key: &str, here: &[Setting]) -> Option<String> {
    let (head, _) = TABLES_OF_THE_FILE.iter().find(|(head, there)| {
        head.starts_with('[') && !std::ptr::eq(*there, here) && there.iter().any(|setting| setting.key == key)
    })?;
    Some(format!("`{key}` belongs in `{head}`"))
}

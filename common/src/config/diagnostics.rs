//! Collects the faults of `lake.toml` and of the environment variables that override it. Reports
//! all of them together, in the order of the file.

use std::path::Path;

use crate::error::Error;

/// Origin of a value or a key. Faults are reported in the order of their origins: first the file,
/// then lines, then variables.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// The file as a whole; the origin of faults about missing settings.
    File,
    /// Line number, from 1.
    Line(usize),
    /// Name of the environment variable.
    Environment(String),
}

/// A fault and a hint. Functions that parse one value do not know the setting's key: they return a
/// message such as `is empty`, and the caller puts the key before the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Diagnostic {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Diagnostic {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub(super) fn hint(self, hint: impl Into<Option<String>>) -> Self {
        Self { hint: hint.into(), ..self }
    }
}

/// All faults of one `lake.toml` and of the environment variables that override it.
#[derive(Debug)]
pub(super) struct Diagnostics {
    file: String,
    found: Vec<(Origin, Diagnostic)>,
}

impl Diagnostics {
    pub(super) fn new(file: &Path) -> Self {
        Self { file: file.display().to_string(), found: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(super) fn report(&mut self, origin: &Origin, message: impl Into<String>) {
        self.report_with_hint(origin, message, None);
    }

    pub(super) fn report_with_hint(
        &mut self,
        origin: &Origin,
        message: impl Into<String>,
        hint: impl Into<Option<String>>,
    ) {
        self.found.push((origin.clone(), Diagnostic::new(message).hint(hint)));
    }

    /// Returns one error that joins all faults, in the order of the file.
    pub(super) fn into_error(mut self) -> Error {
        // Faults are collected in the order of the checks, so sort them by their place in the file.
        self.found.sort_by(|(one, _), (other, _)| one.cmp(other));
        let file = &self.file;
        let errors = self.found.into_iter().map(|(origin, diagnostic)| {
            let place = match origin {
                Origin::File => file.clone(),
                Origin::Line(line) => format!("{file}, line {line}"),
                Origin::Environment(variable) => format!("environment variable `{variable}`"),
            };
            let error = Error::configuration(format!("{} ({place})", diagnostic.message));
            match diagnostic.hint {
                Some(hint) => error.hint(hint),
                None => error,
            }
        });
        Error::join(errors).unwrap_or_else(|| Error::internal("a configuration without faults was rejected"))
    }
}

/// Returns a hint if the unknown `name` resembles one of the `known` names.
pub(super) fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    nearest(name, known).map(|near| format!("did you mean `{near}`?"))
}

/// Returns the name in `known` that `name` probably means. The two may differ in case, in dashes
/// and by a few typos.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let folded = |text: &str| text.to_lowercase().replace('-', "_");
    let length = name.chars().count();
    known
        // Transposed letters count as one typo.
        .map(|candidate| (strsim::damerau_levenshtein(&folded(name), &folded(candidate)), candidate))
        .filter(|(typos, candidate)| {
            // A candidate may have one typo per three letters, unless every letter differs.
            *typos <= (length.max(candidate.chars().count()) / 3).max(1) && *typos < length
        })
        .min_by_key(|(typos, _)| *typos)
        .map(|(_, candidate)| candidate)
}

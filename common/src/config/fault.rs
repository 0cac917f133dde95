//! Faults are gathered, sorted by where they stand and told in one error.

use std::path::Path;

use super::file::Origin;
use super::nearest;
use crate::error::Error;

/// What is wrong with a value, as it is said after its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Flaw {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub(super) fn hint(self, hint: impl Into<Option<String>>) -> Self {
        Self { hint: hint.into(), ..self }
    }
}

/// Everything that is wrong with one file and its overrides.
#[derive(Debug)]
pub(super) struct Faults {
    file: String,
    found: Vec<(Origin, Flaw)>,
}

impl Faults {
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
        self.found.push((origin.clone(), Flaw::new(message).hint(hint)));
    }

    /// A line for each fault and for each hint; the first without `error: `, which whoever prints the error adds.
    pub(super) fn into_error(mut self) -> Error {
        self.found.sort_by(|(one, _), (other, _)| one.cmp(other));
        let told = self.found.iter().map(|(origin, flaw)| {
            let place = match origin {
                Origin::File => self.file.clone(),
                Origin::Line(line) => format!("{}, line {line}", self.file),
                Origin::Environment(variable) => format!("environment variable `{variable}`"),
            };
            let hint = flaw.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
            format!("{} ({place}){hint}", flaw.message)
        });
        Error::configuration(told.collect::<Vec<_>>().join("\nerror: "))
    }
}

/// The hint for a name that is none of `known`.
pub(super) fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    nearest(name, known).map(|near| format!("did you mean `{near}`?"))
}

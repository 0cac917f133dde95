//! Names that are valid in each of these places: as unquoted SQL identifiers, as folders, as Hive
//! partition columns, and in the names of environment variables.

use super::diagnostics::{Diagnostics, Origin};

/// Whether `name` is an ASCII letter followed by ASCII letters, digits and `_`. A leading `_` is
/// not allowed, because readers such as Spark ignore folders with such names.
#[must_use]
pub fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether two names are equal if case is ignored. SQL, Delta and some file systems do not
/// distinguish such names.
#[must_use]
pub fn same_but_for_case(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// Reports invalid names, equal names, and names that differ only in case. `at` is the prefix of
/// messages, such as "source `events`: ". `what` says what the names refer to, such as "field".
pub(super) fn check_names<'a>(
    at: &str,
    what: &str,
    names: impl Iterator<Item = (&'a str, &'a Origin)>,
    diagnostics: &mut Diagnostics,
) {
    // A list instead of a map, because there are few names and messages need their order.
    let mut seen: Vec<&str> = Vec::new();
    for (name, origin) in names {
        if !is_name(name) {
            diagnostics.report_with_hint(
                origin,
                format!("{at}`{name}` cannot be the name of a {what}"),
                "a name is a letter, then letters, digits and `_`".to_owned(),
            );
        }
        if let Some(twin) = seen.iter().find(|earlier| same_but_for_case(earlier, name)) {
            let fault = if *twin == name {
                format!("{at}{what} `{name}` appears twice")
            } else {
                format!("{at}the names of {what} `{twin}` and {what} `{name}` differ only in case")
            };
            diagnostics.report(origin, fault);
        }
        seen.push(name);
    }
}

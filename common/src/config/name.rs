//! Names that are valid as unquoted SQL identifiers, names of folders and of Hive partition
//! columns, and parts of names of environment variables.

use super::diagnostics::{Diagnostics, Origin};

/// Whether `name` is an ASCII letter followed by ASCII letters, digits and `_`. A leading `_` would
/// hide a folder of a lake.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether two names are equal except for case. SQL, Delta and some file systems do not
/// distinguish such names.
pub(super) fn same_but_for_case(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// Reports invalid names, and names that differ only in case. `at` is the prefix of messages, such
/// as "source `events`: "; `what` is the kind of thing they name, such as "field".
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

//! Names that SQL without quotes, a folder, a Hive partition and a variable of the environment can all carry.

use super::fault::Faults;
use super::file::Origin;

/// ASCII letters, digits and `_`, a letter first: what begins with `_` is hidden in a lake.
pub(super) fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether SQL, Delta or some file systems would take one for the other.
pub(super) fn same_but_for_case(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// Reports names that are none and names that differ only in case; `at` and `what` say whose they are, such as
/// "source `events`: " and "field".
pub(super) fn check_names<'a>(
    at: &str,
    what: &str,
    names: impl Iterator<Item = (&'a str, &'a Origin)>,
    faults: &mut Faults,
) {
    let mut seen: Vec<&str> = Vec::new();
    for (name, origin) in names {
        if !is_name(name) {
            faults.report_with_hint(
                origin,
                format!("{at}`{name}` cannot be the name of a {what}"),
                "a name is a letter, then letters, digits and `_`".to_owned(),
            );
        }
        if let Some(twin) = seen.iter().find(|earlier| same_but_for_case(earlier, name)) {
            let fault = if *twin == name {
                format!("{at}{what} `{name}` is there twice")
            } else {
                format!("{at}the names of {what} `{twin}` and {what} `{name}` differ only in case")
            };
            faults.report(origin, fault);
        }
        seen.push(name);
    }
}

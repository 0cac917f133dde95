//! Reads the SQL files that `lake.toml` names.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::diagnostics::{Diagnostics, did_you_mean};
use super::section::{Section, Text};

/// Returns the path and the text of an SQL file. `written` is the path as it is written in
/// `lake.toml`.
pub(super) fn read_sql(
    section: &Section<'_>,
    written: Text<'_>,
    folder: &Path,
    diagnostics: &mut Diagnostics,
) -> Option<(PathBuf, String)> {
    let file = folder.join(written.text);
    // Reading a pipe would block.
    let is_special = std::fs::metadata(&file).is_ok_and(|found| !found.is_file() && !found.is_dir());
    let read = if is_special { Err(ErrorKind::InvalidInput.into()) } else { std::fs::read_to_string(&file) };
    let (message, hint) = match read {
        Err(_) if is_special => (format!("`{}` is a pipe or a device, not an SQL file", file.display()), None),
        Ok(sql) if sql.trim().is_empty() => (format!("the SQL file `{}` is empty", file.display()), None),
        Ok(sql) => return Some((file, sql)),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            (format!("SQL file `{}` does not exist", file.display()), near_file(&file))
        }
        Err(e) => (format!("cannot read the SQL file `{}`: {e}", file.display()), None),
    };
    diagnostics.report_with_hint(written.origin, format!("{}{message}", section.at), hint);
    None
}

/// Returns a hint that names a file with a similar name in the folder of `missing`.
fn near_file(missing: &Path) -> Option<String> {
    let mut names: Vec<String> = std::fs::read_dir(missing.parent()?)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    did_you_mean(missing.file_name()?.to_str()?, names.iter().map(String::as_str))
}

//! `[tables.<name>]`: the model's SQL, and the key, partition columns and checks of the table that
//! it builds.
//!
//! Planning checks later whether the model returns the columns named here.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::data_check;
use super::diagnostics::{Diagnostics, did_you_mean};
use super::file::{Item, Origin, Value};
use super::name::check_names;
use super::resolved::Table;
use super::section::{Section, Text};
use super::settings::TABLE;

/// Returns the table and the origin of each of its checks; `None` if `item` is not a table. Wrong
/// parts are reported and left out.
pub(super) fn resolve<'a>(
    name: &str,
    item: &'a Item,
    folder: &Path,
    diagnostics: &mut Diagnostics,
) -> Option<(Table, Vec<&'a Origin>)> {
    let section = Section::open(format!("table `{name}`: "), item, TABLE, diagnostics)?;
    let default = format!("models/{name}.sql");
    let sql = match section.text("sql", diagnostics) {
        Some(written) => read_sql(&section, written, folder, diagnostics),
        // Written with a wrong type, which was reported. The default file must not hide that.
        None if section.get("sql").is_some() => None,
        None => read_sql(&section, Text { text: &default, origin: section.origin }, folder, diagnostics),
    };
    let key = columns(&section, "key", diagnostics);
    let partition_by = columns(&section, "partition_by", diagnostics);
    let mut checks = Vec::new();
    let mut origins = Vec::new();
    for (check, origin) in written_checks(&section, diagnostics)
        .iter()
        .enumerate()
        .filter_map(|(index, item)| data_check::resolve(&section, index + 1, item, folder, diagnostics))
    {
        checks.push(check);
        origins.push(origin);
    }
    // A table without its SQL is kept to check its references; the fault prevents its use.
    let (sql_file, sql) = sql.unwrap_or_default();
    Some((Table { name: name.to_owned(), sql_file, sql, key, partition_by, checks }, origins))
}

fn written_checks<'a>(section: &Section<'a>, diagnostics: &mut Diagnostics) -> &'a [Item] {
    match section.get("checks") {
        Some(Item { value: Value::List(checks), .. }) => checks,
        Some(item) => {
            section.wrong_type("checks", item, diagnostics);
            &[]
        }
        None => &[],
    }
}

/// Returns a list of columns; reports wrong names and duplicates.
pub(super) fn columns(section: &Section<'_>, key: &str, diagnostics: &mut Diagnostics) -> Vec<String> {
    let written = section.texts(key, diagnostics);
    let at = format!("{}`{key}`: ", section.at);
    check_names(&at, "column", written.iter().map(|column| (column.text, column.origin)), diagnostics);
    written.iter().map(|column| column.text.to_owned()).collect()
}

/// Returns the path of the SQL file `written` and its text.
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

/// Returns a hint with a file of a similar name in the same folder.
fn near_file(missing: &Path) -> Option<String> {
    let mut names: Vec<String> = std::fs::read_dir(missing.parent()?)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    did_you_mean(missing.file_name()?.to_str()?, names.iter().map(String::as_str))
}

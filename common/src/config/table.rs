//! `[tables.<name>]`: the model's SQL, the key, the partition columns and the checks of what it builds.
//!
//! Whether a model has the columns that are named here is seen when it is planned.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::data_check;
use super::fault::{Faults, did_you_mean};
use super::file::{Node, Origin, Value};
use super::name::check_names;
use super::resolved::Table;
use super::section::{Section, Text};
use super::settings::TABLE;

/// The table and where each of its checks stands; `None` where its SQL cannot be had or a check is wrong.
pub(super) fn resolve<'a>(
    name: &str,
    node: &'a Node,
    folder: &Path,
    faults: &mut Faults,
) -> Option<(Table, Vec<&'a Origin>)> {
    let section = Section::open(format!("table `{name}`: "), node, TABLE, faults)?;
    let default = format!("models/{name}.sql");
    let sql = match section.text("sql", faults) {
        Some(written) => read_sql(&section, written, folder, faults),
        None if section.node("sql").is_some() => None,
        None => read_sql(&section, Text { text: &default, origin: section.origin }, folder, faults),
    };
    let key = columns(&section, "key", faults);
    let partition_by = columns(&section, "partition_by", faults);
    let mut checks = Vec::new();
    let mut origins = Vec::new();
    for (check, origin) in written_checks(&section, faults)
        .iter()
        .enumerate()
        .filter_map(|(index, node)| data_check::resolve(&section, index + 1, node, folder, faults))
    {
        checks.push(check);
        origins.push(origin);
    }
    // A table without its SQL still says whether its references hold; it never leaves this folder.
    let (sql_file, sql) = sql.unwrap_or_default();
    Some((Table { name: name.to_owned(), sql_file, sql, key, partition_by, checks }, origins))
}

fn written_checks<'a>(section: &Section<'a>, faults: &mut Faults) -> &'a [Node] {
    match section.node("checks") {
        Some(Node { value: Value::List(checks), .. }) => checks,
        Some(node) => {
            section.wrong_type("checks", node, faults);
            &[]
        }
        None => &[],
    }
}

/// Columns by name, each once.
pub(super) fn columns(section: &Section<'_>, key: &str, faults: &mut Faults) -> Vec<String> {
    let written = section.texts(key, faults);
    let at = format!("{}`{key}`: ", section.at);
    check_names(&at, "column", written.iter().map(|column| (column.text, column.origin)), faults);
    written.iter().map(|column| column.text.to_owned()).collect()
}

/// The file that `written` names and what is in it.
pub(super) fn read_sql(
    section: &Section<'_>,
    written: Text<'_>,
    folder: &Path,
    faults: &mut Faults,
) -> Option<(PathBuf, String)> {
    let file = folder.join(written.text);
    // A pipe would be waited for.
    let is_special = std::fs::metadata(&file).is_ok_and(|found| !found.is_file() && !found.is_dir());
    let read = if is_special { Err(ErrorKind::InvalidInput.into()) } else { std::fs::read_to_string(&file) };
    let (message, hint) = match read {
        Err(_) if is_special => (format!("`{}` is a pipe or a device, not an SQL file", file.display()), None),
        Ok(sql) if sql.trim().is_empty() => (format!("the SQL file `{}` is empty", file.display()), None),
        Ok(sql) => return Some((file, sql)),
        Err(e) if e.kind() == ErrorKind::NotFound => {
            (format!("there is no SQL file `{}`", file.display()), near_file(&file))
        }
        Err(e) => (format!("cannot read the SQL file `{}`: {e}", file.display()), None),
    };
    faults.report_with_hint(written.origin, format!("{}{message}", section.at), hint);
    None
}

/// A file beside the missing one that was probably meant.
fn near_file(missing: &Path) -> Option<String> {
    let mut names: Vec<String> = std::fs::read_dir(missing.parent()?)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    did_you_mean(missing.file_name()?.to_str()?, names.iter().map(String::as_str))
}

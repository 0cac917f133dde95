//! `[tables.<name>]`: the model's SQL, and the key, partition columns and checks of the table that
//! it builds.
//!
//! The section names columns. Whether the model returns them is only checked when the model is
//! planned.

use std::path::Path;

use super::data_check;
use super::diagnostics::{Diagnostics, Origin};
use super::file::{Item, Value};
use super::resolved::Table;
use super::section::{Section, Text};
use super::settings::TABLE;
use super::sql_file::read_sql;

/// Returns the table and the origin of each of its checks; `None` if `item` is not a TOML table.
/// Wrong parts are reported and left out.
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
        // The setting has a wrong type, which was reported. Do not read the default file instead.
        None if section.get("sql").is_some() => None,
        None => read_sql(&section, Text { text: &default, origin: section.origin }, folder, diagnostics),
    };
    let key = section.columns("key", diagnostics);
    let partition_by = section.columns("partition_by", diagnostics);
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
    // A table without SQL is kept, so that checks can still refer to it. The reported fault
    // prevents its use.
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

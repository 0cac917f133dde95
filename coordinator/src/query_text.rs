//! Builds the SQL that this program writes itself. This SQL contains names and values that users
//! chose.
//!
//! Every name goes through `identifier` and every value through `literal`, because a name may
//! be a keyword, and may contain upper case, dots and quotes. No other file builds SQL.

use arrow::datatypes::Fields;
use lakewright_common::config::resolved::Rule;

/// Queries of the pages.
pub(crate) mod pages;

/// Query for the commits of the lake, oldest first.
pub(crate) const HISTORY: &str = "SELECT version, committed_at, run_id, elapsed_ms, objects, bytes, records, staged, \
                                  quarantined, tables_changed FROM system.history ORDER BY version";

/// Quotes a name as an SQL identifier. The libraries' helpers do not fit: the one of DataFusion
/// leaves keywords unquoted, and the one of `sqlparser` treats two quotes in a name as one escaped
/// quote.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes a text as an SQL string literal.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Returns the model that copies a source, for a new project.
pub(crate) fn copy_of_source(source: &str) -> String {
    format!("SELECT * FROM staging.{source}\n")
}

/// Returns the query for the columns of a table. `table` is a name as a user writes it in SQL.
pub(crate) fn describe(table: &str) -> String {
    format!("DESCRIBE {table}")
}

/// Returns the query for the rows of `table` with a null in one of `columns`.
pub(crate) fn rows_with_null(table: &str, columns: &[String]) -> String {
    let nulls: Vec<String> = columns.iter().map(|column| format!("{} IS NULL", identifier(column))).collect();
    format!("SELECT * FROM {} WHERE {}", identifier(table), nulls.join(" OR "))
}

/// Returns the query for the combinations of values in `columns` that occur more than once in
/// `table`.
pub(crate) fn duplicates(table: &str, columns: &[String]) -> String {
    let columns = columns.iter().map(|column| identifier(column)).collect::<Vec<_>>().join(", ");
    format!("SELECT {columns}, count(*) AS copies FROM {} GROUP BY {columns} HAVING count(*) > 1", identifier(table))
}

/// Returns the query for the rows or values of `table` that violate a rule.
pub(crate) fn violations(table: &str, rule: &Rule) -> String {
    let from = identifier(table);
    match rule {
        Rule::NotNull { column } => rows_with_null(table, std::slice::from_ref(column)),
        Rule::Unique { columns } => duplicates(table, columns),
        Rule::References { column, to_table, to_column } => format!(
            // A null refers to nothing, which is allowed; `not_null` forbids it.
            "SELECT DISTINCT a.{0} FROM {from} a LEFT ANTI JOIN {1} b ON a.{0} = b.{2} WHERE a.{0} IS NOT NULL",
            identifier(column),
            identifier(to_table),
            identifier(to_column)
        ),
        Rule::AcceptedValues { column, values } => {
            let values: Vec<String> = values.iter().map(|value| literal(value)).collect();
            let column = identifier(column);
            format!(
                "SELECT DISTINCT {column} FROM {from} WHERE CAST({column} AS VARCHAR) NOT IN ({})",
                values.join(", ")
            )
        }
        Rule::Range { column, min, max } => {
            let column = identifier(column);
            // `{:?}` keeps the decimal point, so that SQL reads the bound as a floating-point
            // number.
            let below = min.map(|min| format!("{column} < {min:?}"));
            let above = max.map(|max| format!("{column} > {max:?}"));
            let outside: Vec<String> = below.into_iter().chain(above).collect();
            format!("SELECT * FROM {from} WHERE {}", outside.join(" OR "))
        }
        Rule::Sql { sql, .. } => sql.clone(),
    }
}

/// Returns the query that computes one digest per row of `table`. For each value of the row, the
/// digest covers the length of the value's text, and then the text. `text_of` is the SQL function
/// that converts nested and binary values to text.
pub(crate) fn row_digests(table: &str, columns: &Fields, text_of: &str) -> String {
    let values = columns.iter().map(|field| {
        let name = identifier(field.name());
        let text = match field.data_type() {
            nested if nested.is_nested() || nested.is_binary() => format!("{text_of}({name})"),
            _ => format!("CAST({name} AS VARCHAR)"),
        };
        format!("coalesce(concat(character_length({text}), ':', {text}), 'null')")
    });
    format!(
        "SELECT arrow_cast(digest(concat({}), 'md5'), 'Binary') AS digest FROM {}",
        values.collect::<Vec<_>>().join(", ',', "),
        identifier(table)
    )
}

/// Returns the query that counts rejected records by source, reason and field.
pub(crate) fn rejected_counts(source: Option<&str>, reason: Option<&str>) -> String {
    format!(
        "SELECT source, reason, field, count(*) AS records, count(DISTINCT object) AS objects \
         FROM system.quarantine {} GROUP BY source, reason, field ORDER BY source, records DESC, reason, field",
        rejected_by(source, reason)
    )
}

/// Returns the query for the first `most` rejected records, in the order of their objects.
pub(crate) fn rejected_records(source: Option<&str>, reason: Option<&str>, most: u64) -> String {
    format!(
        "SELECT source, object, line, byte_offset, byte_end, reason, field, detail, text \
         FROM system.quarantine {} ORDER BY source, object, byte_offset LIMIT {most}",
        rejected_by(source, reason)
    )
}

fn rejected_by(source: Option<&str>, reason: Option<&str>) -> String {
    let conditions: Vec<String> = [("source", source), ("reason", reason)]
        .into_iter()
        .filter_map(|(column, value)| Some(format!("{column} = {}", literal(value?))))
        .collect();
    if conditions.is_empty() { String::new() } else { format!("WHERE {}", conditions.join(" AND ")) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
    use arrow::datatypes::DataType;
    use datafusion::datasource::MemTable;
    use datafusion::prelude::SessionContext;
    use lakewright_common::config::resolved::Location;
    use lakewright_common::session::memory::TaskScope;
    use lakewright_common::session::{self, Resources, Storages};
    use lakewright_common::sql::check_text;
    use lakewright_common::storage;
    use url::Url;

    use super::*;
    use crate::session_tables::{TABLES_SCHEMA, register};

    const NAMES: &[&str] = &[
        "plain",
        "Upper",
        "select",
        "group",
        "order",
        "null",
        "user",
        "a.b",
        "a.b.c",
        ".",
        "a b",
        " ",
        "1st",
        "$1",
        "?",
        "a\"b",
        "\"",
        "\"\"",
        "a\"\"b",
        "\"a\"",
        "\\",
        "a\\\"b",
        "a'b",
        "''",
        "`",
        "--",
        "/*",
        ";",
        "%",
        "{0}",
        "straße",
        "名前",
        "e\u{301}",
        "\u{1F3B5}",
        "a\nb",
        "a\tb",
    ];

    /// Returns rows with two columns. The first is named `name` and contains `values`. The second
    /// is named `other`.
    fn rows(name: &str, values: &[Option<&str>]) -> RecordBatch {
        let column: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
        let other: ArrayRef = Arc::new(StringArray::from(vec!["x"; values.len()]));
        RecordBatch::try_from_iter_with_nullable([(name, column, true), ("other", other, true)]).unwrap()
    }

    /// Runs `sql`. Returns the values of the first column of its result, sorted.
    async fn first_column(session: &SessionContext, sql: &str) -> Vec<Option<String>> {
        check_text(sql).unwrap();
        let batches = session.sql(sql).await.unwrap().collect().await.unwrap();
        let mut values = Vec::new();
        for batch in batches {
            let column = arrow::compute::cast(batch.column(0), &DataType::Utf8).unwrap();
            values.extend(column.as_string::<i32>().iter().map(|value| value.map(str::to_owned)));
        }
        values.sort();
        values
    }

    #[tokio::test]
    async fn any_name_and_any_value_can_be_checked() {
        let folder = tempfile::tempdir().unwrap();
        let lake = storage::open(&Location::of(Url::from_directory_path(folder.path()).unwrap())).await.unwrap();
        let storages = Storages { spool: lake.clone(), lake, sources: vec![] };
        let resources = Resources::new(256 << 20, 1, None).unwrap();
        let session =
            session::build(&resources, &storages, 1, TaskScope::new(0, 256 << 20, 1), Arc::default()).unwrap();
        for name in NAMES {
            let rows = rows(name, &[None, Some(name), Some(name), Some("another value")]);
            let columns = rows.schema();
            let table = MemTable::try_new(rows.schema(), vec![vec![rows]]).unwrap();
            register(&session, TABLES_SCHEMA, name, Arc::new(table)).unwrap();
            let column = || (*name).to_owned();
            let found = async |rule: Rule| first_column(&session, &violations(name, &rule)).await;
            let texts = |texts: &[&str]| texts.iter().map(|text| Some((*text).to_owned())).collect::<Vec<_>>();

            assert_eq!(found(Rule::NotNull { column: column() }).await, [None], "{name:?}");
            assert_eq!(found(Rule::Unique { columns: vec![column()] }).await, texts(&[name]), "{name:?}");
            let only_its_name = Rule::AcceptedValues { column: column(), values: vec![column()] };
            assert_eq!(found(only_its_name).await, texts(&["another value"]), "{name:?}");
            let itself = Rule::References { column: column(), to_table: column(), to_column: column() };
            assert_eq!(found(itself).await, [], "{name:?}");
            let other = Rule::References { column: column(), to_table: column(), to_column: "other".to_owned() };
            let mut missing = texts(&[name, "another value"]);
            missing.sort();
            assert_eq!(found(other).await, missing, "{name:?}");
            let digests = session.sql(&row_digests(name, columns.fields(), "no_function")).await.unwrap();
            assert_eq!(digests.count().await.unwrap(), 4, "{name:?}");
        }
    }
}

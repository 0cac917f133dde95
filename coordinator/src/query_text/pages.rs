//! SQL of the pages.

use super::{identifier, literal};

/// Rejected records that a page shows. `None` stands for any value.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rejected<'a> {
    pub(crate) source: Option<&'a str>,
    pub(crate) reason: Option<&'a str>,
    pub(crate) field: Option<&'a str>,
    pub(crate) object: Option<&'a str>,
    /// A part of the record's text.
    pub(crate) text: Option<&'a str>,
}

/// How the values of a column are converted to numbers for a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    Number,
    /// Seconds since the epoch.
    Time,
}

impl Rejected<'_> {
    fn condition(self) -> String {
        let equals = [("source", self.source), ("reason", self.reason), ("field", self.field), ("object", self.object)];
        let equals = equals.into_iter().filter_map(|(column, value)| Some(format!("{column} = {}", literal(value?))));
        let contains = self.text.map(|part| format!("contains(text, {})", literal(part)));
        let conditions: Vec<String> = equals.chain(contains).collect();
        if conditions.is_empty() { String::new() } else { format!("WHERE {}", conditions.join(" AND ")) }
    }
}

/// Returns the query for the first rows of a table.
pub(crate) fn first_rows(table: &str, limit: u64) -> String {
    format!("SELECT * FROM {} LIMIT {limit}", identifier(table))
}

/// Returns the query for the number of rejected records.
pub(crate) fn count_rejected(rejected: Rejected<'_>) -> String {
    format!("SELECT count(*) FROM system.quarantine {}", rejected.condition())
}

/// Returns the query for the numbers of rejected records by the values of a column, the largest
/// first.
pub(crate) fn rejected_groups(rejected: Rejected<'_>, column: &str, limit: u64) -> String {
    format!(
        "SELECT {column}, count(*) AS records FROM system.quarantine {} GROUP BY {column} \
         ORDER BY records DESC, {column} LIMIT {limit}",
        rejected.condition()
    )
}

/// Returns the query for one page of rejected records.
pub(crate) fn rejected_page(rejected: Rejected<'_>, limit: u64, offset: u64) -> String {
    format!(
        "SELECT source, object, byte_offset, byte_end, line, reason, field, detail, text, text_bytes \
         FROM system.quarantine {} ORDER BY source, object, byte_offset LIMIT {limit} OFFSET {offset}",
        rejected.condition()
    )
}

fn objects_of(source: &str, part: Option<&str>) -> String {
    let named = part.map(|part| format!(" AND contains(file_name, {})", literal(part))).unwrap_or_default();
    format!("FROM system.ledger WHERE source = {}{named}", literal(source))
}

/// Returns the query for the number of ingested objects of a source whose keys contain `part`.
pub(crate) fn count_objects(source: &str, part: Option<&str>) -> String {
    format!("SELECT count(*) {}", objects_of(source, part))
}

/// Returns the query for one page of these objects.
pub(crate) fn objects_page(source: &str, part: Option<&str>, limit: u64, offset: u64) -> String {
    format!(
        "SELECT file_name, file_size, last_modified, row_count, error_count, \"commit\" {} \
         ORDER BY error_count DESC, \"commit\" DESC, file_name LIMIT {limit} OFFSET {offset}",
        objects_of(source, part)
    )
}

/// Returns the query for the number of nulls of a column and, with `compares`, the number of
/// different values, the least and the greatest one as text.
pub(crate) fn counts(table: &str, column: &str, compares: bool) -> String {
    let column = identifier(column);
    let compared = if compares {
        format!(", count(DISTINCT {column}), CAST(min({column}) AS VARCHAR), CAST(max({column}) AS VARCHAR)")
    } else {
        String::new()
    };
    format!("SELECT count(*) - count({column}){compared} FROM {}", identifier(table))
}

/// Returns the query for the most frequent values of a column as text, with their numbers.
pub(crate) fn frequent_values(table: &str, column: &str, limit: u64) -> String {
    let column = identifier(column);
    format!(
        "SELECT CAST({column} AS VARCHAR) AS value, count(*) AS records FROM {} WHERE {column} IS NOT NULL \
         GROUP BY {column} ORDER BY records DESC, value LIMIT {limit}",
        identifier(table)
    )
}

fn scaled(column: &str, scale: Scale) -> String {
    match scale {
        Scale::Number => format!("CAST({} AS DOUBLE)", identifier(column)),
        Scale::Time => format!("CAST(date_part('epoch', {}) AS DOUBLE)", identifier(column)),
    }
}

/// Returns the query for the least and the greatest value of a column on a scale.
pub(crate) fn bounds(table: &str, column: &str, scale: Scale) -> String {
    let value = scaled(column, scale);
    format!("SELECT min({value}), max({value}) FROM {} WHERE NOT isnan({value})", identifier(table))
}

/// Returns the query for the numbers of values in `count` buckets of equal `width`, from `least` on.
pub(crate) fn buckets(table: &str, column: &str, scale: Scale, least: f64, width: f64, count: u64) -> String {
    let value = scaled(column, scale);
    let last = count.saturating_sub(1);
    // Group by the position, because the table can have a column `bucket`.
    // A width of zero means that all values are equal.
    let bucket = if width > 0.0 {
        format!("least(CAST(floor(({value} - {least:e}) / {width:e}) AS BIGINT), {last})")
    } else {
        "CAST(0 AS BIGINT)".to_owned()
    };
    format!(
        "SELECT {bucket} AS bucket, count(*) AS records FROM {} WHERE NOT isnan({value}) GROUP BY 1",
        identifier(table)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_users_are_quoted() {
        let rejected = Rejected { source: Some("it's"), text: Some("a'b"), ..Rejected::default() };
        assert_eq!(
            count_rejected(rejected),
            "SELECT count(*) FROM system.quarantine WHERE source = 'it''s' AND contains(text, 'a''b')"
        );
        assert_eq!(first_rows("a\"b", 3), "SELECT * FROM \"a\"\"b\" LIMIT 3");
        assert_eq!(count_rejected(Rejected::default()).trim_end(), "SELECT count(*) FROM system.quarantine");
    }
}

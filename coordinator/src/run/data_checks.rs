//! Verifies the keys and data checks of the new tables before the tables become visible.
//!
//! A check is a query over the files that were just written. Each row that the query returns is a
//! failure. All checks run before the run fails, so that one report names everything that is wrong.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateBuilder;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::prelude::{DataFrame, SessionContext, lit};
use lakewright_common::config::resolved::{Rule, Table};
use lakewright_common::error::{EngineContext, Error, Result};
use lakewright_common::report::WrittenFile;
use lakewright_common::sql::check_text;

use super::build::Tables;
use super::context::RunContext;
use crate::lake::manifest::TableState;
use crate::model::{Model, read_only};
use crate::output::{self, Format};
use crate::query_text::{duplicates, rows_with_null, violations};

/// If a table has fewer rows than this, its checks read at least [`FILES_AT_ONCE`] files at the
/// same time.
const FEW_ROWS: u64 = 100_000;
const FILES_AT_ONCE: usize = 16;
/// Maximum number of failing rows that are shown for one check.
const SHOWN_ROWS: usize = 10;

/// Hint in the error message of each failed check.
const CORRECT_IT: &str = "nothing was committed; correct the input or the model (one of `checks` only warns with \
                          `warn = true`, a key does not)";

/// Runs each check whose result may have changed since the last run. Returns the failures of checks
/// that only warn.
///
/// # Errors
/// A data error with the first failing rows of each failed check. A configuration error for a check
/// that does not fit its table.
pub(super) async fn check(context: &RunContext<'_>, models: &[Model<'_>], tables: &Tables) -> Result<Vec<String>> {
    let step = context.progress.step("check", context.engine.tasks());
    // Collect the failures of all checks, so that one run reports them all.
    let mut failures = Vec::new();
    let mut warnings = Vec::new();
    for model in models {
        let table = model.table;
        let is_built = |name: &String| tables.built.contains(name);
        let state = tables.states.iter().find(|state| state.name == table.name);
        let rows = state.map_or(0, TableState::rows);
        if is_built(&table.name) && !table.key.is_empty() {
            // File statistics often prove that the key has no null. Then no row is read.
            if !state.is_some_and(|state| is_known_to_have_no_null_in_its_key(state, table)) {
                let nulls = rows_with_null(&table.name, &table.key);
                failures.extend(run_check(context, table, rows, &nulls, "key", "is null").await?);
            }
            let duplicates = duplicates(&table.name, &table.key);
            failures.extend(run_check(context, table, rows, &duplicates, "key", "is not unique").await?);
        }
        for check in &table.checks {
            // A check with the user's own SQL may read any table, so it always runs.
            let concerns_build = is_built(&table.name)
                || matches!(&check.rule, Rule::References { to_table, .. } if is_built(to_table))
                || matches!(&check.rule, Rule::Sql { .. });
            if !concerns_build {
                continue;
            }
            let (what, verdict) = describe(&check.rule);
            let query = violations(&table.name, &check.rule);
            let failure = run_check(context, table, rows, &query, &what, &verdict).await?;
            // This is the result of a query that ran. A query that cannot run fails the run, even
            // if the check only warns.
            if check.warn { warnings.extend(failure) } else { failures.extend(failure) }
        }
    }
    match Error::join(failures.into_iter().map(|failure| Error::data(failure).hint(CORRECT_IT))) {
        Some(failure) => {
            // Log the warnings here, because a failed run prints no summary with them.
            for warning in warnings.iter().filter_map(|warning| warning.lines().next()) {
                tracing::warn!("{warning}");
            }
            Err(failure)
        }
        None => {
            step.end();
            Ok(warnings)
        }
    }
}

/// Returns whether the statistics of the table's files prove that no key column has a null. The
/// statistic `null_count` covers all rows of a file.
fn is_known_to_have_no_null_in_its_key(state: &TableState, table: &Table) -> bool {
    let has_none = |file: &WrittenFile, column: &String| match file.partition_values.get(column) {
        // A partition value is the same in all rows of a file.
        Some(value) => value.is_some(),
        None => file.statistics.iter().any(|known| known.column == *column && known.null_count == 0),
    };
    state.files.iter().all(|file| table.key.iter().all(|column| has_none(&file.written, column)))
}

/// Returns a copy of the session that plans for at least [`FILES_AT_ONCE`] partitions, even with
/// fewer threads. With small files, most of the time is spent waiting for storage, so more of them
/// are read at the same time.
fn many_files_at_once(session: &SessionContext) -> SessionContext {
    let mut config = session.copied_config();
    config = config.clone().with_target_partitions(config.target_partitions().max(FILES_AT_ONCE));
    // Otherwise the builder would replace the session's catalog with an empty one.
    config.options_mut().catalog.create_default_catalog_and_schema = false;
    let state = SessionStateBuilder::new_from_existing(session.state()).with_config(config).build();
    SessionContext::new_with_state(state)
}

/// Runs one check. Returns a message with the first failing rows, or `None` if no row fails.
async fn run_check(
    context: &RunContext<'_>,
    table: &Table,
    rows_read: u64,
    query: &str,
    what: &str,
    verdict: &str,
) -> Result<Option<String>> {
    let broken = |e: DataFusionError| {
        Error::configuration(format!("table `{}`: check of {what} cannot run", table.name))
            .caused_by(e.strip_backtrace())
    };
    let session = if rows_read < FEW_ROWS { many_files_at_once(&context.session) } else { context.session.clone() };
    let collect = async |frame: DataFrame| {
        let plan = frame.create_physical_plan().await.engine_context(broken)?;
        let rows = context.engine.collect(&session, &format!("check {}", table.name), plan, rows_read).await;
        rows.map_err(|mut error| {
            error.message = format!("table `{}`: check of {what}: {}", table.name, error.message);
            error
        })
    };
    check_text(query)?;
    let frame = session.sql_with_options(query, read_only()).await.engine_context(broken)?;
    let mut rows = collect(frame.clone().limit(0, Some(SHOWN_ROWS)).engine_context(broken)?).await?;
    // Engines may return empty batches.
    rows.retain(|batch| batch.num_rows() > 0);
    if rows.is_empty() {
        return Ok(None);
    }
    // Count only after a failure, because counting reads all rows.
    let counted = collect(frame.aggregate(vec![], vec![count(lit(1_i64))]).engine_context(broken)?).await?;
    let count: i64 = counted.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values()).sum();
    let mut shown = Vec::new();
    output::write(&mut shown, &rows, Format::Table)?;
    let noun = if count == 1 { "row" } else { "rows" };
    Ok(Some(format!(
        "table `{}`: {what} {verdict} in {count} {noun}\n{}",
        table.name,
        String::from_utf8_lossy(&shown).trim_end()
    )))
}

/// Describes what a check requires, such as `level is not null`.
pub(crate) fn describe_rule(rule: &Rule) -> String {
    match rule {
        Rule::NotNull { column } => format!("{column} is not null"),
        Rule::Unique { columns } => format!("{} is unique", columns.join(", ")),
        Rule::References { column, to_table, to_column } => format!("{column} is in {to_table}.{to_column}"),
        Rule::AcceptedValues { column, values } => format!("{column} is one of {}", values.join(", ")),
        Rule::Range { column, min, max } => {
            let bound = |bound: &Option<f64>| bound.map(|bound| bound.to_string()).unwrap_or_default();
            format!("{column} is within {}..{}", bound(min), bound(max))
        }
        Rule::Sql { file, .. } => format!("{} returns no rows", file.display()),
    }
}

/// Returns two parts of the message of a failed check: the column or file, such as `level`, and
/// what is wrong with it, such as `is null`.
pub(super) fn describe(rule: &Rule) -> (String, String) {
    let (what, verdict) = match rule {
        Rule::NotNull { column } => (column, "is null".to_owned()),
        Rule::Unique { columns } => return (format!("`{}`", columns.join("`, `")), "is not unique".to_owned()),
        Rule::References { column, to_table, to_column } => (column, format!("is not in `{to_table}.{to_column}`")),
        Rule::AcceptedValues { column, values } => (column, format!("is none of `{}`", values.join("`, `"))),
        Rule::Range { column, min, max } => {
            let bound = |bound: &Option<f64>| bound.map(|bound| bound.to_string()).unwrap_or_default();
            (column, format!("is outside {}..{}", bound(min), bound(max)))
        }
        Rule::Sql { file, .. } => return (format!("`{}`", file.display()), "returns rows, so it fails,".to_owned()),
    };
    (format!("`{what}`"), verdict)
}

//! Columns that the columns of a query come from.
//!
//! Follows each column of the query's plan down to the tables. Only columns whose values are part of
//! the result count, not those of conditions:
//!
//! ```text
//! SELECT a.id, concat(b.x, b.y) AS xy FROM a JOIN b ON a.id = b.id WHERE b.z > 1
//!   id ◄── a.id (as it is)       xy ◄── b.x, b.y (computed)
//! ```

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema};
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan, TableScan};
use datafusion::prelude::SessionContext;
use lakewright_common::error::{EngineContext, Error, Result};

use crate::model::read_only;

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Origin {
    pub(super) schema: Option<String>,
    pub(super) table: String,
    pub(super) column: String,
}

/// Origins of one column, each with whether the value is taken as it is.
type Origins = BTreeMap<Origin, bool>;

/// The columns of a query, with their types and origins.
#[derive(Debug)]
pub(super) struct ColumnOrigins(Vec<(String, DataType, Origins)>);

impl ColumnOrigins {
    /// Returns name and type of each column.
    pub(super) fn columns(&self) -> Vec<(String, DataType)> {
        self.0.iter().map(|(name, data_type, _)| (name.clone(), data_type.clone())).collect()
    }

    /// Returns each column with each of its origins, and whether the value is taken as it is.
    pub(super) fn edges(&self) -> impl Iterator<Item = (&str, &Origin, bool)> {
        self.0.iter().flat_map(|(name, _, origins)| {
            origins.iter().map(move |(origin, is_direct)| (name.as_str(), origin, *is_direct))
        })
    }
}

/// Returns the origins of the columns of a query, whose tables are registered in `session`.
///
/// # Errors
/// A configuration error if the query cannot be planned.
pub(super) async fn origins(session: &SessionContext, sql: &str) -> Result<ColumnOrigins> {
    let cannot_plan = |e: datafusion::error::DataFusionError| {
        Error::configuration("a model cannot be planned").caused_by(e.strip_backtrace())
    };
    let frame = session.sql_with_options(sql, read_only()).await.engine_context(cannot_plan)?;
    let plan = frame.logical_plan();
    let schema = plan.schema();
    let columns = schema.fields().iter().zip(of_plan(plan));
    Ok(ColumnOrigins(
        columns.map(|(field, origins)| (field.name().clone(), field.data_type().clone(), origins)).collect(),
    ))
}

/// Origins of the columns of each input of a plan.
type Inputs<'a> = Vec<(&'a DFSchema, Vec<Origins>)>;

/// Returns the origins of each column of a plan.
fn of_plan(plan: &LogicalPlan) -> Vec<Origins> {
    if let LogicalPlan::TableScan(scan) = plan {
        return of_table(scan);
    }
    // Each input is followed once: plans can nest deeply.
    let inputs: Inputs<'_> = plan.inputs().into_iter().map(|input| (input.schema().as_ref(), of_plan(input))).collect();
    match plan {
        LogicalPlan::Projection(projection) => of_expressions(&projection.expr, &inputs),
        LogicalPlan::Distinct(Distinct::On(distinct)) => of_expressions(&distinct.select_expr, &inputs),
        LogicalPlan::Aggregate(aggregate) => {
            let mut columns = of_expressions(&expanded(&aggregate.group_expr), &inputs);
            if matches!(aggregate.group_expr.as_slice(), [Expr::GroupingSet(_)]) {
                // The number of the grouping set has a column of its own.
                columns.push(Origins::new());
            }
            columns.extend(of_expressions(&aggregate.aggr_expr, &inputs));
            columns
        }
        LogicalPlan::Window(window) => {
            let of_windows = of_expressions(&window.window_expr, &inputs);
            let mut columns: Vec<Origins> = inputs.into_iter().flat_map(|(_, origins)| origins).collect();
            columns.extend(of_windows);
            columns
        }
        LogicalPlan::Union(_) | LogicalPlan::RecursiveQuery(_) => {
            let mut columns: Vec<Origins> = vec![Origins::new(); plan.schema().fields().len()];
            for (_, of_input) in inputs {
                columns.iter_mut().zip(of_input).for_each(|(column, origins)| add(column, origins, true));
            }
            columns
        }
        // Others keep the columns of their inputs, some of them under another qualifier.
        _ => by_position_or_name(plan, &inputs),
    }
}

fn of_table(scan: &TableScan) -> Vec<Origins> {
    let origin = |column: &str| Origin {
        schema: scan.table_name.schema().map(str::to_owned),
        table: scan.table_name.table().to_owned(),
        column: column.to_owned(),
    };
    scan.projected_schema.fields().iter().map(|field| Origins::from([(origin(field.name()), true)])).collect()
}

/// Returns the origins of the columns of a plan that only passes columns on.
fn by_position_or_name(plan: &LogicalPlan, inputs: &Inputs<'_>) -> Vec<Origins> {
    let columns = plan.schema().columns();
    match inputs.as_slice() {
        [(_, only)] if only.len() == columns.len() => only.clone(),
        _ => columns.iter().map(|column| of_column(column, inputs)).collect(),
    }
}

fn of_expressions(expressions: &[Expr], inputs: &Inputs<'_>) -> Vec<Origins> {
    expressions.iter().map(|expression| of_expression(expression, inputs)).collect()
}

fn of_expression(expression: &Expr, inputs: &Inputs<'_>) -> Origins {
    let is_direct = matches!(expression.clone().unalias(), Expr::Column(_));
    let mut origins = Origins::new();
    for column in expression.column_refs() {
        add(&mut origins, of_column(column, inputs), is_direct);
    }
    // Results of subqueries. An expression is never too deep here, because it was planned.
    let _ = expression.apply(|inner| {
        if let Expr::ScalarSubquery(subquery) = inner {
            of_plan(&subquery.subquery).into_iter().for_each(|found| add(&mut origins, found, false));
        }
        Ok(TreeNodeRecursion::Continue)
    });
    origins
}

/// Returns the origins of a column of the inputs: the one with its table, otherwise the one with its
/// name.
fn of_column(column: &Column, inputs: &Inputs<'_>) -> Origins {
    let found = |position: &dyn Fn(&DFSchema) -> Option<usize>| {
        inputs.iter().find_map(|(schema, of_input)| of_input.get(position(schema)?)).cloned()
    };
    found(&|schema| schema.maybe_index_of_column(column))
        .or_else(|| found(&|schema| schema.index_of_column_by_name(None, &column.name)))
        .unwrap_or_default()
}

/// Returns the expressions of a grouping, those of grouping sets one by one.
fn expanded(group: &[Expr]) -> Vec<Expr> {
    match group {
        [Expr::GroupingSet(sets)] => sets.distinct_expr().into_iter().cloned().collect(),
        group => group.to_vec(),
    }
}

/// Adds origins. An origin is direct only if every path to it copies the value.
fn add(to: &mut Origins, origins: Origins, is_direct: bool) {
    for (origin, was_direct) in origins {
        let known = to.entry(origin).or_insert(true);
        *known &= was_direct && is_direct;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::datatypes::{Field, Schema};
    use datafusion::datasource::empty::EmptyTable;

    use super::*;
    use crate::session_tables::register;

    #[tokio::test]
    async fn many_windows_are_followed_once() {
        let session = SessionContext::new();
        let table = EmptyTable::new(Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)])));
        register(&session, "public", "t", Arc::new(table)).unwrap();
        let windows: Vec<String> =
            (0..40).map(|i| format!("sum(id) OVER (PARTITION BY id + {i} ORDER BY id) AS w{i}")).collect();
        let origins = origins(&session, &format!("SELECT {} FROM t", windows.join(", "))).await.unwrap();
        assert_eq!(origins.edges().count(), 40);
    }

    #[tokio::test]
    async fn columns_are_followed_to_their_tables() {
        let session = SessionContext::new();
        let text = |name: &str| Field::new(name, DataType::Utf8, true);
        let long = |name: &str| Field::new(name, DataType::Int64, true);
        for (schema, name, fields) in
            [("staging", "a", vec![long("id"), text("x"), text("y")]), ("public", "b", vec![long("id"), text("z")])]
        {
            register(&session, schema, name, Arc::new(EmptyTable::new(Arc::new(Schema::new(fields))))).unwrap();
        }
        for (sql, expected) in [
            ("SELECT id AS i, x || y AS xy FROM staging.a", &["i=a.id", "xy~a.x", "xy~a.y"][..]),
            ("SELECT a.id, b.z FROM staging.a JOIN b ON a.id = b.id WHERE a.y = 'q'", &["id=a.id", "z=b.z"]),
            ("SELECT id, max(x) AS m, count(*) AS n FROM staging.a GROUP BY id", &["id=a.id", "m~a.x"]),
            (
                "SELECT id, row_number() OVER (PARTITION BY x ORDER BY y) AS r FROM staging.a",
                &["id=a.id", "r~a.x", "r~a.y"],
            ),
            ("SELECT x FROM staging.a UNION ALL SELECT z FROM b", &["x=a.x", "x=b.z"]),
            ("WITH c AS (SELECT x AS w FROM staging.a) SELECT DISTINCT w AS v FROM c ORDER BY v LIMIT 1", &["v=a.x"]),
            ("SELECT id, (SELECT max(z) FROM b) AS m FROM staging.a", &["id=a.id", "m~b.z"]),
            ("SELECT q.x FROM (SELECT * FROM staging.a) q WHERE q.id IN (SELECT id FROM b)", &["x=a.x"]),
            ("SELECT 1 AS one", &[]),
            ("SELECT x, max(y) AS m, max(id) AS n FROM staging.a GROUP BY ROLLUP(x)", &["m~a.y", "n~a.id", "x=a.x"]),
            ("SELECT b.id FROM staging.a JOIN b ON a.x = b.z", &["id=b.id"]),
            ("SELECT a.id, b.id AS other FROM staging.a JOIN b ON a.x = b.z", &["id=a.id", "other=b.id"]),
            ("SELECT DISTINCT ON (y) y, x, id FROM staging.a ORDER BY y, id", &["id=a.id", "x=a.x", "y=a.y"]),
            ("SELECT DISTINCT ON (id) upper(x) AS u FROM staging.a ORDER BY id", &["u~a.x"]),
        ] {
            let origins = origins(&session, sql).await.unwrap();
            let mut edges: Vec<String> = origins
                .edges()
                .map(|(column, origin, is_direct)| {
                    format!("{column}{}{}.{}", if is_direct { "=" } else { "~" }, origin.table, origin.column)
                })
                .collect();
            edges.sort();
            assert_eq!(edges, expected, "{sql}");
        }
    }
}

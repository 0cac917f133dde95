//! Finds the aggregations whose single rows are their own result.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::{
    BinaryExpr, CastExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, Literal, NotExpr,
};
use datafusion::physical_expr::projection::ProjectionExpr;
use datafusion::physical_expr::{Partitioning, PhysicalExpr};
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode, PhysicalGroupBy};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

pub(super) type Plan = Arc<dyn ExecutionPlan>;

/// An aggregation of rows of files that returns a group of one row unchanged.
pub(super) struct Aggregation {
    /// Node that returns the results.
    pub(super) node: Plan,
    /// Node that returns the rows to aggregate.
    pub(super) input: Plan,
    /// Number of rows of the files.
    pub(super) rows: u64,
    /// Whether conditions select some of these rows.
    pub(super) has_conditions: bool,
    pub(super) group_by: PhysicalGroupBy,
    pub(super) functions: Vec<Arc<AggregateFunctionExpr>>,
    /// Columns of the input that are grouped by.
    pub(super) keys: Vec<Column>,
    /// Column of the input whose value each function returns for a group of one row.
    values: Vec<Column>,
}

impl Aggregation {
    /// Returns all such aggregations in a plan.
    pub(super) fn all(plan: &Plan) -> Vec<Self> {
        let mut found = Vec::new();
        // The closure never fails.
        let _ = plan.apply(|node| {
            found.extend(Self::of(node));
            Ok(TreeNodeRecursion::Continue)
        });
        found
    }

    fn of(node: &Plan) -> Option<Self> {
        let last = node.downcast_ref::<AggregateExec>()?;
        let first = match last.mode() {
            AggregateMode::Single | AggregateMode::SinglePartitioned => last,
            AggregateMode::Final | AggregateMode::FinalPartitioned => partial(last.input())?,
            AggregateMode::Partial | AggregateMode::PartialReduce => return None,
        };
        // A limit, or an order of the groups, is a promise that a union does not keep.
        let is_plain = |aggregate: &AggregateExec| {
            aggregate.limit_options().is_none()
                && aggregate.dynamic_expressions_produced().is_empty()
                && aggregate.filter_expr().iter().all(Option::is_none)
        };
        if !is_plain(first) || !is_plain(last) || node.output_ordering().is_some() {
            return None;
        }
        let group_by = first.group_expr();
        if group_by.is_empty() || !group_by.is_single() {
            return None;
        }
        let schema = first.input().schema();
        let keys: Vec<Column> =
            group_by.expr().iter().map(|(key, _)| exact_key(key, &schema)).collect::<Option<_>>()?;
        let values: Vec<Column> =
            first.aggr_expr().iter().map(|function| value(function, &schema)).collect::<Option<_>>()?;
        let rows = rows(first.input())?;
        Some(Self {
            node: Arc::clone(node),
            input: Arc::clone(first.input()),
            rows: rows.of_files,
            has_conditions: rows.have_conditions,
            group_by: group_by.clone(),
            functions: first.aggr_expr().to_vec(),
            keys,
            values,
        })
    }

    /// Returns whether the aggregation has values of variable length, and at least as many of them as
    /// keys of variable length. Only then do the queries pay off.
    pub(super) fn is_wide(&self) -> bool {
        let schema = self.input.schema();
        let is_variable = |column: &&Column| {
            let data_type = schema.field(column.index()).data_type();
            !data_type.is_primitive() && *data_type != DataType::Boolean
        };
        let values = self.values.iter().filter(is_variable).count();
        values > 0 && values >= self.keys.iter().filter(is_variable).count()
    }

    /// Returns the columns of the result for groups of one row.
    pub(super) fn results_of_single_rows(&self) -> Vec<ProjectionExpr> {
        let (columns, schema) = (self.keys.iter().chain(&self.values), self.node.schema());
        let results = columns.zip(schema.fields()).map(|(column, field)| {
            // The cast changes no value. It replaces the metadata of the column in the file.
            let value = CastExpr::new_with_target_field(Arc::new(column.clone()), Arc::clone(field), None);
            ProjectionExpr { expr: Arc::new(value), alias: field.name().clone() }
        });
        results.collect()
    }
}

/// Returns the node that aggregates the rows of each partition, below the exchange.
fn partial(exchange: &Plan) -> Option<&AggregateExec> {
    let below = if let Some(exchange) = exchange.downcast_ref::<RepartitionExec>() {
        exchange.input()
    } else if let Some(exchange) = exchange.downcast_ref::<CoalescePartitionsExec>() {
        exchange.input()
    } else {
        exchange
    };
    below.downcast_ref::<AggregateExec>().filter(|aggregate| *aggregate.mode() == AggregateMode::Partial)
}

/// Returns the column of a key, if keys of its type are equal exactly if their bytes are. This is
/// not so for floating-point numbers: `0.0` and `-0.0` are equal.
fn exact_key(key: &Arc<dyn PhysicalExpr>, schema: &SchemaRef) -> Option<Column> {
    let column = key.downcast_ref::<Column>()?;
    let data_type = schema.field(column.index()).data_type();
    let is_exact = data_type.is_integer()
        || matches!(
            data_type,
            DataType::Boolean
                | DataType::Utf8
                | DataType::Timestamp(_, _)
                | DataType::Date32
                | DataType::Decimal128(_, _)
        );
    is_exact.then(|| column.clone())
}

/// Returns the column whose value an aggregate function returns for a group of one row; `None` if
/// the function may return something else.
fn value(function: &AggregateFunctionExpr, schema: &SchemaRef) -> Option<Column> {
    let is_value = matches!(function.fun().name(), "max" | "min" | "first_value" | "last_value");
    let [value] = function.expressions().try_into().ok()?;
    let column = value.downcast_ref::<Column>()?;
    // An expression in `ORDER BY` could fail. It is not evaluated for rows that bypass the
    // aggregation.
    let is_ordered_by_columns = function.order_bys().iter().all(|key| key.expr.is::<Column>());
    let is_same_type = function.field().data_type() == schema.field(column.index()).data_type();
    (is_value && is_ordered_by_columns && is_same_type).then(|| column.clone())
}

/// Rows that an aggregation reads.
struct Rows {
    of_files: u64,
    have_conditions: bool,
}

/// Counts the rows of the files that a plan reads. Returns `None` unless the plan only scans files and
/// selects rows by simple conditions. Only such a plan is cheap, and returns the same rows each time.
fn rows(plan: &Plan) -> Option<Rows> {
    if let Some(scan) = plan.downcast_ref::<DataSourceExec>() {
        return rows_of_files(scan);
    }
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        let is_simple = filter.fetch().is_none() && is_simple(filter.predicate());
        return rows(filter.input()).filter(|_| is_simple).map(|rows| Rows { have_conditions: true, ..rows });
    }
    if let Some(projection) = plan.downcast_ref::<ProjectionExec>() {
        let is_simple = projection.expr().iter().all(|column| column.expr.is::<Column>());
        return rows(projection.input()).filter(|_| is_simple);
    }
    let exchange = plan.downcast_ref::<RepartitionExec>()?;
    rows(exchange.input()).filter(|_| matches!(exchange.partitioning(), Partitioning::RoundRobinBatch(_)))
}

fn rows_of_files(scan: &DataSourceExec) -> Option<Rows> {
    let files = scan.data_source().downcast_ref::<FileScanConfig>()?;
    let source = files.file_source();
    let is_simple = files.limit.is_none()
        && source.filter().iter().all(is_simple)
        && source.projection().is_none_or(|columns| columns.iter().all(|column| column.expr.is::<Column>()));
    let rows = *files.statistics().num_rows.get_value()?;
    is_simple.then(|| Rows { of_files: rows as u64, have_conditions: source.filter().is_some() })
}

/// Whether a condition only compares columns with columns or constants. Such a condition has the
/// same value each time, cannot fail, and is cheap.
fn is_simple(condition: &Arc<dyn PhysicalExpr>) -> bool {
    let children = condition.children();
    let is_simple_node = match condition.downcast_ref::<BinaryExpr>() {
        Some(binary) => matches!(
            binary.op(),
            Operator::And
                | Operator::Or
                | Operator::Eq
                | Operator::NotEq
                | Operator::Lt
                | Operator::LtEq
                | Operator::Gt
                | Operator::GtEq
                | Operator::IsDistinctFrom
                | Operator::IsNotDistinctFrom
        ),
        None => {
            condition.is::<Column>()
                || condition.is::<Literal>()
                || condition.is::<NotExpr>()
                || condition.is::<IsNullExpr>()
                || condition.is::<IsNotNullExpr>()
                || condition.is::<InListExpr>()
        }
    };
    is_simple_node && children.into_iter().all(is_simple)
}

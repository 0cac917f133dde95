//! Refuses grouping sets over columns that a condition makes constant.
//!
//! DataFusion 55 assumes that a column which is constant below an aggregate is constant above it
//! too. But the column is null in the rows of a grouping set that does not contain it, so
//! DataFusion wrongly skips sorts and windows over it.

use datafusion::common::{Column, DFSchema};
use datafusion::error::Result;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Aggregate, BinaryExpr, Expr, GroupingSet, LogicalPlan, Operator};

use super::refusal::refuse;

/// Refuses grouping sets over a column that has only one value.
pub(super) fn check(aggregate: &Aggregate) -> Result<()> {
    let sets = aggregate.group_expr.iter().filter_map(|expr| match expr {
        Expr::GroupingSet(set) => Some(set),
        _ => None,
    });
    for key in sets.flat_map(keys_left_out) {
        if is_constant(key, &aggregate.input) {
            return refuse(
                &format!("`{key}`, which has one value, in grouping sets"),
                "leave it out of `ROLLUP`, `CUBE` or `GROUPING SETS`, or write a query for each set and `UNION ALL`",
            );
        }
    }
    Ok(())
}

/// Returns the grouping keys that are missing in at least one of the sets.
fn keys_left_out(set: &GroupingSet) -> Vec<&Expr> {
    match set {
        // `ROLLUP` and `CUBE` always include the empty set, which contains no key.
        GroupingSet::Rollup(keys) | GroupingSet::Cube(keys) => keys.iter().collect(),
        GroupingSet::GroupingSets(sets) => {
            sets.iter().flatten().filter(|key| sets.iter().any(|set| !set.contains(key))).collect()
        }
    }
}

/// Whether `expr` is known to have the same value in all rows of `plan`.
fn is_constant(expr: &Expr, plan: &LogicalPlan) -> bool {
    let columns = expr.column_refs();
    // An expression is constant if all of its columns are constant. A literal has no columns, so it
    // is constant.
    !expr.is_volatile() && columns.into_iter().all(|column| is_constant_column(column, plan))
}

fn is_constant_column(column: &Column, plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Filter(filter) => {
            // One conjunct that makes the column constant is enough.
            let mut conditions = split_conjunction(&filter.predicate).into_iter();
            conditions.any(|condition| holds_constant(condition, column, &filter.input))
                || is_constant_column(column, &filter.input)
        }
        LogicalPlan::Projection(projection) => position(column, &projection.schema)
            .and_then(|i| projection.expr.get(i))
            .is_some_and(|expr| is_constant(expr, &projection.input)),
        LogicalPlan::SubqueryAlias(alias) => position(column, &alias.schema)
            .is_some_and(|i| is_constant_column(&Column::from(alias.input.schema().qualified_field(i)), &alias.input)),
        LogicalPlan::Join(join) => {
            // `a.x = b.y` makes `x` constant if `y` is constant, and vice versa.
            let is_held = |left: &Expr, right: &Expr| {
                is_column(left, column) && is_constant(right, plan_of(right, &join.left, &join.right))
                    || is_column(right, column) && is_constant(left, plan_of(left, &join.left, &join.right))
            };
            let filter = join.filter.as_ref();
            [&join.left, &join.right].into_iter().any(|side| is_constant_column(column, side))
                || join.on.iter().any(|(left, right)| is_held(left, right))
                || filter.is_some_and(|filter| {
                    split_conjunction(filter).into_iter().any(|condition| holds_constant(condition, column, &join.left))
                })
        }
        // All inputs must be constant, and their literals must be equal. Inputs that are not
        // literals are assumed to be equal.
        LogicalPlan::Union(union) => position(column, &union.schema).is_some_and(|i| {
            let of = |input: &LogicalPlan| Column::from(input.schema().qualified_field(i));
            let literals: Vec<Expr> = union.inputs.iter().filter_map(|input| literal(input, i)).collect();
            let differ = literals.windows(2).any(|pair| pair[0] != pair[1]);
            !differ && union.inputs.iter().all(|input| is_constant_column(&of(input), input))
        }),
        // These nodes do not change the values of columns.
        LogicalPlan::Sort(_) | LogicalPlan::Limit(_) | LogicalPlan::Distinct(_) | LogicalPlan::Window(_) => {
            plan.inputs().into_iter().any(|input| is_constant_column(column, input))
        }
        LogicalPlan::Aggregate(aggregate) => aggregate
            .group_expr
            .iter()
            .any(|key| key.schema_name().to_string() == column.name && is_constant(key, &aggregate.input)),
        _ => false,
    }
}

/// Returns the literal at `position` in the columns of a plan.
fn literal(plan: &LogicalPlan, position: usize) -> Option<Expr> {
    let LogicalPlan::Projection(projection) = plan else { return None };
    let expr = projection.expr.get(position)?.clone().unalias();
    matches!(expr, Expr::Literal(..)).then_some(expr)
}

fn position(column: &Column, schema: &DFSchema) -> Option<usize> {
    schema.maybe_index_of_column(column)
}

fn plan_of<'a>(expr: &Expr, left: &'a LogicalPlan, right: &'a LogicalPlan) -> &'a LogicalPlan {
    let is_left = expr.column_refs().into_iter().all(|column| left.schema().has_column(column));
    if is_left { left } else { right }
}

/// Whether `condition` allows only one value of `column`, as `column = x` does for a constant `x`.
fn holds_constant(condition: &Expr, column: &Column, input: &LogicalPlan) -> bool {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq | Operator::IsNotDistinctFrom, right }) => {
            is_column(left, column) && is_constant(right, input) || is_column(right, column) && is_constant(left, input)
        }
        // Each of these conditions is true for only one value of the column.
        Expr::IsNull(value) | Expr::IsTrue(value) | Expr::IsFalse(value) => is_column(value, column),
        Expr::InList(list) => list.list.len() == 1 && !list.negated && is_column(&list.expr, column),
        Expr::Column(condition) => condition == column,
        Expr::Not(value) => is_column(value, column),
        _ => false,
    }
}

/// Whether `expr` is the column, possibly cast for the comparison.
fn is_column(expr: &Expr, column: &Column) -> bool {
    match expr {
        Expr::Column(other) => other == column,
        Expr::Cast(cast) => is_column(&cast.expr, column),
        _ => false,
    }
}

//! SQL rules of every session, where DataFusion's answer differs from that of PostgreSQL, Spark and
//! DuckDB.
//!
//! ```text
//! SQL ─ depth, refused ─► syntax tree ─ refused_syntax ─► plan
//! plan ─ type coercion ─ refused_plan ─ not_in ─ subquery_value ─ in_list ─ arithmetic ─ local_time ─► optimizer
//! optimizer ─ aggregate_filter ─► physical plan ─ filter_pushdown ─► bytes
//!
//! functions: to_timestamp, sum, avg
//! ```
//!
//! Each rule has its own file. A rule either replaces a function under its own name, or rewrites
//! the analyzed plan into calls of functions that are registered here. Both reach workers: an
//! encoded plan names its functions, and every process registers the same ones in `session::build`.
//! `docs/sql.md` lists the effects that users can see.

use std::sync::Arc;

use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Tokenizer;

/// Checked `+ - * /`: they report an overflow, and round decimals.
mod arithmetic;
/// Exact `sum` and `avg`: they return the right result or fail.
mod aggregates;
/// Quotients of decimals.
mod decimal;
/// `NOT IN` over a subquery that may return null.
mod not_in;
/// `IN` over a list that names columns.
mod in_list;
/// `to_timestamp` and its variants over columns.
mod to_timestamp;
/// Local times that occur twice or never in a time zone.
mod local_time;
/// Intervals added in a zone with clock changes.
mod zoned_interval;
/// Values of subqueries that may be null, or that have a value without rows.
mod subquery_value;
/// Keeps certain filters above an aggregate.
mod aggregate_filter;
/// Stops filters from being pushed past columns that share a name.
mod filter_pushdown;
/// Timestamps that tables can store.
mod storable;
/// Limits the depth of a query.
mod depth;
/// Refuses keyword pairs and numbers that give wrong answers.
mod refused;
/// Refuses clauses that DataFusion ignores.
mod refused_syntax;
/// Refuses common table expressions with random values that are used twice.
mod refused_cte;
/// Refuses plans that give wrong answers.
mod refused_plan;
/// Refuses subqueries that give wrong answers.
mod refused_subquery;
/// Refuses grouping sets that give wrong answers.
mod refused_grouping;
/// Refuses expressions that give wrong answers.
mod refused_value;

pub(crate) use aggregate_filter::logical_rules;
pub(crate) use depth::PARSER_RECURSION_LIMIT;
pub use depth::PLANNER_STACK_BYTES;
pub(crate) use filter_pushdown::physical_rules;
pub use storable::{function as storable_moment, holds_moments};

/// Checks the text of a query before it is parsed.
///
/// # Errors
/// A configuration error for a query that is too deep, or that has syntax which DataFusion answers
/// wrongly.
pub fn check_text(sql: &str) -> crate::error::Result<()> {
    // The parser reports a text that has no valid tokens.
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize() else { return Ok(()) };
    depth::check(&tokens)?;
    refused::check(&tokens)?;
    // DataFusion parses in the same way later, and reports what is wrong.
    let mut parser = Parser::new(&GenericDialect {}).with_recursion_limit(PARSER_RECURSION_LIMIT).with_tokens(tokens);
    let Ok(statements) = parser.parse_statements() else { return Ok(()) };
    refused_syntax::check(&statements)
}

/// Registers the functions and the rules of this folder.
///
/// # Errors
/// The session lacks DataFusion's own functions.
pub(crate) fn extend(session: &SessionContext) -> Result<()> {
    to_timestamp::register(session)?;
    aggregates::register(session)?;
    session.register_udf(arithmetic::function());
    // Rules run in this order. Refusals come first, because they judge the plan as it was written.
    session.add_analyzer_rule(Arc::new(refused_plan::RefusedPlanRule));
    session.add_analyzer_rule(Arc::new(not_in::NotInRule));
    session.register_udf(subquery_value::function());
    session.add_analyzer_rule(Arc::new(subquery_value::SubqueryValueRule));
    session.register_udf(storable::function());
    session.add_analyzer_rule(Arc::new(in_list::InListRule));
    session.add_analyzer_rule(Arc::new(arithmetic::ArithmeticRule));
    session.register_udf(local_time::function());
    session.add_analyzer_rule(Arc::new(local_time::LocalTimeRule));
    session.register_udf(zoned_interval::function());
    session.add_analyzer_rule(Arc::new(zoned_interval::ZonedIntervalRule));
    Ok(())
}

/// Rewrites each expression of `plan` and of its subqueries. `rewrite` receives the columns that
/// the expression can refer to. The columns of the plan keep their names.
fn rewrite_expressions(
    plan: LogicalPlan,
    rewrite: impl FnMut(Expr, &DFSchema) -> Result<Transformed<Expr>>,
) -> Result<LogicalPlan> {
    rewrite_where(plan, |_| true, rewrite)
}

/// Rewrites as [`rewrite_expressions`] does, but only the nodes that `is_meant` chooses.
fn rewrite_where(
    plan: LogicalPlan,
    is_meant: impl Fn(&LogicalPlan) -> bool,
    mut rewrite: impl FnMut(Expr, &DFSchema) -> Result<Transformed<Expr>>,
) -> Result<LogicalPlan> {
    let rewritten = plan.transform_up_with_subqueries(|plan| {
        if !is_meant(&plan) {
            return Ok(Transformed::no(plan));
        }
        let schema = merge_schema(&plan.inputs());
        let names = NamePreserver::new(&plan);
        let plan = plan.map_expressions(|expr| {
            // A rewritten expression would name its column differently, and references from above
            // would break.
            let name = names.save(&expr);
            let rewritten = rewrite(expr, &schema)?;
            Ok(if rewritten.transformed { rewritten.update_data(|expr| name.restore(expr)) } else { rewritten })
        })?;
        // A rewrite may change the type or nullability of a column.
        if plan.transformed { plan.map_data(LogicalPlan::recompute_schema) } else { Ok(plan) }
    });
    rewritten.data()
}

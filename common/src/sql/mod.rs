//! SQL rules of every session. They change or refuse queries for which DataFusion's results differ
//! from those of PostgreSQL, Spark and DuckDB.
//!
//! ```text
//! SQL ─ depth, refused ─► syntax tree ─ refused_syntax ─► plan
//! plan ─ type coercion ─ refused_plan ─ not_in ─ subquery_value ─ in_list ─ map_member ─ arithmetic ─ local_time ─► optimizer
//! optimizer ─ aggregate_filter ─► physical plan ─ filter_pushdown ─► bytes
//!
//! functions: to_timestamp, sum, avg
//! ```
//!
//! Each rule has its own file. A rule either replaces a function under its own name, or rewrites
//! the analyzed plan into calls of functions that are registered here. Both also work on workers:
//! an encoded plan contains the names of its functions, and every process registers the same
//! functions in `session::build`. `docs/sql.md` lists the effects that users can see.

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Tokenizer;

/// Rewrites expressions of a plan.
mod rewrite;
/// Reads maps inside other values.
mod map_member;
/// Checked `+ - * /`: they report an overflow, and round decimals.
mod arithmetic;
/// Exact `sum` and `avg`: they return the right result or fail.
mod aggregates;
/// Divides decimals with rounding.
mod decimal;
/// Corrects `NOT IN` over a subquery that may return null.
mod not_in;
/// Corrects `IN` over a list that names columns.
mod in_list;
/// Corrects `to_timestamp` and its variants for columns.
mod to_timestamp;
/// Resolves local times that occur twice or never in a time zone.
mod local_time;
/// Adds intervals to timestamps in a zone with clock changes.
mod zoned_interval;
/// Corrects the value of a subquery that returns no row, or that aggregates no rows.
mod subquery_value;
/// Keeps certain filters above an aggregate.
mod aggregate_filter;
/// Stops filters from being pushed past columns that share a name.
mod filter_pushdown;
/// Checks that tables can store the timestamps of their models.
mod storable;
/// Limits the depth of a query.
mod depth;
/// The error of a refused query.
mod refusal;
/// Refuses keyword pairs and numbers that give wrong results.
mod refused;
/// Refuses clauses that DataFusion ignores.
mod refused_syntax;
/// Refuses common table expressions with random values that are used twice.
mod refused_cte;
/// Refuses plans that give wrong results.
mod refused_plan;
/// Refuses subqueries that give wrong results.
mod refused_subquery;
/// Refuses grouping sets that give wrong results.
mod refused_grouping;
/// Refuses expressions that give wrong results.
mod refused_value;

pub(crate) use aggregate_filter::logical_rules;
pub(crate) use depth::PARSER_RECURSION_LIMIT;
pub use depth::PLANNER_STACK_BYTES;
pub(crate) use filter_pushdown::physical_rules;
pub use storable::{function as storable_moment, holds_moments};

/// Checks the text of a query before it is parsed.
///
/// # Errors
/// A configuration error for a query that is too deep, or that has syntax for which DataFusion
/// returns wrong results.
pub fn check_text(sql: &str) -> crate::error::Result<()> {
    // The parser reports a text that has no valid tokens.
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize() else { return Ok(()) };
    depth::check(&tokens)?;
    refused::check(&tokens)?;
    // Ignore parse errors. DataFusion parses the text again later and reports them.
    let mut parser = Parser::new(&GenericDialect {}).with_recursion_limit(PARSER_RECURSION_LIMIT).with_tokens(tokens);
    let Ok(statements) = parser.parse_statements() else { return Ok(()) };
    refused_syntax::check(&statements)
}

/// Registers the functions and the rules of this folder.
///
/// # Errors
/// An error, if the session does not have DataFusion's own functions.
pub(crate) fn extend(session: &SessionContext) -> Result<()> {
    to_timestamp::register(session)?;
    aggregates::register(session)?;
    session.register_udf(arithmetic::function());
    // Rules run in this order. Refusals come first, because they check the plan before it is
    // rewritten.
    session.add_analyzer_rule(Arc::new(refused_plan::RefusedPlanRule));
    session.add_analyzer_rule(Arc::new(not_in::NotInRule));
    session.register_udf(subquery_value::function());
    session.add_analyzer_rule(Arc::new(subquery_value::SubqueryValueRule));
    session.register_udf(storable::function());
    session.add_analyzer_rule(Arc::new(in_list::InListRule));
    session.add_analyzer_rule(Arc::new(map_member::MapMemberRule));
    session.add_analyzer_rule(Arc::new(arithmetic::ArithmeticRule));
    session.register_udf(local_time::function());
    session.add_analyzer_rule(Arc::new(local_time::LocalTimeRule));
    session.register_udf(zoned_interval::function());
    session.add_analyzer_rule(Arc::new(zoned_interval::ZonedIntervalRule));
    Ok(())
}

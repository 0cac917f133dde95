//! SQL rules of every session, where DataFusion's answer differs from the one of PostgreSQL, Spark and DuckDB.
//!
//! ```text
//! SQL ─ depth, refused ─► syntax tree ─ refused_syntax ─► plan
//! plan ─ type coercion ─ refused_plan ─ not_in ─ subquery_value ─ in_list ─ arithmetic ─ local_time ─► optimizer
//! optimizer ─ aggregate_filter ─► physical plan ─ filter_pushdown ─► bytes
//!
//! functions: to_timestamp, sum, avg
//! ```
//!
//! One file per rule. A rule either replaces a function under its own name, or rewrites the analyzed plan into calls of
//! functions that are registered here. Both survive the way to a worker: a plan's bytes name its functions, and every
//! process registers the same ones in `session::build`. `docs/sql.md` lists what users can see of this.

use std::sync::Arc;

use datafusion::error::Result;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Tokenizer;

/// Rewrites expressions of a plan.
mod rewrite;
/// `+ - * /` that report an overflow and round decimals.
mod arithmetic;
/// `sum` and `avg` that are exact, or fail.
mod aggregates;
/// Quotients of decimals.
mod decimal;
/// `NOT IN` over a subquery that may return null.
mod not_in;
/// `IN` over a list with expressions of columns.
mod in_list;
/// `to_timestamp` and its variants over columns.
mod to_timestamp;
/// Local times that a zone has twice, or not at all.
mod local_time;
/// Intervals in a zone with clock changes.
mod zoned_interval;
/// Values of subqueries that may be null, or that have a value without rows.
mod subquery_value;
/// Filters that stay above an aggregate.
mod aggregate_filter;
/// Filters that are not pushed past columns of one name.
mod filter_pushdown;
/// Moments that tables can hold.
mod storable;
/// A limit on the depth of a query.
mod depth;
/// The error of a refused query.
mod refusal;
/// Pairs of words and numbers that are answered wrongly.
mod refused;
/// Clauses that the engine ignores.
mod refused_syntax;
/// Random values with a name.
mod refused_cte;
/// Plans that are answered wrongly.
mod refused_plan;
/// Subqueries that are answered wrongly.
mod refused_subquery;
/// Grouping sets that are answered wrongly.
mod refused_grouping;
/// Expressions that are answered wrongly.
mod refused_value;

pub(crate) use aggregate_filter::logical_rules;
pub(crate) use depth::PARSER_RECURSION_LIMIT;
pub use depth::PLANNER_STACK_BYTES;
pub(crate) use filter_pushdown::physical_rules;
pub use storable::{function as storable_moment, holds_moments};

/// Refuses a query for its text, before it is parsed.
///
/// # Errors
/// Configuration, for a query that is too deep, and for syntax that the engine answers wrongly.
pub fn check_text(sql: &str) -> crate::error::Result<()> {
    // The parser reports text that cannot be split into tokens.
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize() else { return Ok(()) };
    depth::check(&tokens)?;
    refused::check(&tokens)?;
    // The engine parses in the same way, and reports what is wrong.
    let mut parser = Parser::new(&GenericDialect {}).with_recursion_limit(PARSER_RECURSION_LIMIT).with_tokens(tokens);
    let Ok(statements) = parser.parse_statements() else { return Ok(()) };
    refused_syntax::check(&statements)
}

/// Registers the functions and the rules of this folder.
///
/// # Errors
/// A session without DataFusion's own functions.
pub(crate) fn extend(session: &SessionContext) -> Result<()> {
    to_timestamp::register(session)?;
    aggregates::register(session)?;
    session.register_udf(arithmetic::function());
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

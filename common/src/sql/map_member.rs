//! Reads a value of a map inside another value, such as `v['a']['k']`, with `map_extract`.
//!
//! DataFusion 55 joins nested reads into one `get_field` with several keys and pushes it into the
//! scan of a Parquet file. The scan then fails if one of the keys belongs to a map, because it treats
//! all of them as members of structs.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::functions_nested::expr_fn::{array_element, map_extract};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, lit};
use datafusion::optimizer::AnalyzerRule;

use super::rewrite::rewrite_expressions;

/// Replaces reads of maps inside other values.
#[derive(Debug)]
pub(super) struct MapMemberRule;

impl AnalyzerRule for MapMemberRule {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        rewrite_expressions(plan, |expr, schema| {
            expr.transform_up(|expr| match expr {
                Expr::ScalarFunction(call) if reads_inner_map(&call, schema) => extracted(call),
                other => Ok(Transformed::no(other)),
            })
        })
    }

    fn name(&self) -> &'static str {
        "map_member"
    }
}

/// Whether a call reads a value of a map that is not a column itself.
fn reads_inner_map(call: &ScalarFunction, schema: &DFSchema) -> bool {
    match (call.func.name(), call.args.as_slice()) {
        ("get_field", [map, _]) => {
            !matches!(map, Expr::Column(_)) && matches!(map.get_type(schema), Ok(DataType::Map(..)))
        }
        _ => false,
    }
}

/// Returns the only element of the list of values that `map_extract` finds, or null.
fn extracted(call: ScalarFunction) -> Result<Transformed<Expr>> {
    let ScalarFunction { func, args } = call;
    match <[Expr; 2]>::try_from(args) {
        Ok([map, key]) => Ok(Transformed::yes(array_element(map_extract(map, key), lit(1_i64)))),
        Err(args) => Ok(Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args }))),
    }
}

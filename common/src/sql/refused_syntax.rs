//! Refuses clauses that DataFusion parses but ignores. The check runs before the query is planned.
//!
//! sqlparser reads the syntax of many databases, and DataFusion's planner drops the parts of the
//! syntax tree that it does not know (`..` in its patterns). Dropping `TABLESAMPLE` or `WITH
//! ROLLUP` gives a wrong result without an error, so all such clauses are refused here. The list
//! follows the fields of `Query`, `Select`, `TableFactor`, `WindowSpec` and `Function`, in the
//! order of sqlparser's `ast` module.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::LazyLock;

use datafusion::functions::all_default_functions;
use datafusion::functions_nested::all_default_nested_functions;
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArgumentClause, FunctionArguments, GroupByExpr, GroupByWithModifier, Join, NamedWindowExpr,
    OrderBy, OrderByKind, Query, Select, SelectItem, Statement, TableAlias, TableFactor, Value, Visit, Visitor,
    WindowType,
};

use super::refused_cte;
use crate::error::{Error, Result};

/// Hint for `GROUP BY … WITH ROLLUP` and the like.
const GROUPING: &str = "write `GROUP BY ROLLUP(a, b)`, `CUBE(a, b)` or `GROUPING SETS ((a, b), (a), ())`";
/// Hint for a window that extends another one.
const WINDOW: &str = "write the whole window out: `OVER (PARTITION BY … ORDER BY …)`";
/// Hint for a clause that has no equivalent in DataFusion.
const LEAVE_OUT: &str = "leave the clause out; it would have no effect";

/// Names of functions that are neither aggregate nor window functions.
static SCALAR_FUNCTIONS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let functions = all_default_functions().into_iter().chain(all_default_nested_functions());
    functions
        .flat_map(|function| {
            let aliases = function.aliases().to_vec();
            std::iter::once(function.name().to_owned()).chain(aliases)
        })
        .collect()
});

/// Refuses a query that uses an ignored clause.
///
/// # Errors
/// A configuration error that says what to write instead.
pub(super) fn check(statements: &Vec<Statement>) -> Result<()> {
    match statements.visit(&mut RefusedSyntax) {
        ControlFlow::Break(error) => Err(*error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// Visitor that stops at the first refused clause.
struct RefusedSyntax;

type Flow = ControlFlow<Box<Error>>;

impl Visitor for RefusedSyntax {
    type Break = Box<Error>;

    fn pre_visit_query(&mut self, query: &Query) -> Flow {
        refuse_if(!query.locks.is_empty(), "`FOR UPDATE` or `FOR SHARE`", LEAVE_OUT)?;
        refuse_if(query.for_clause.is_some(), "`FOR XML`, `FOR JSON` or `FOR BROWSE`", "use --json or --jsonlines")?;
        refuse_if(query.settings.is_some(), "`SETTINGS`", LEAVE_OUT)?;
        refuse_if(query.format_clause.is_some(), "`FORMAT`", "use --json, --jsonlines, --csv or --markdown")?;
        if let Some(OrderBy { kind: OrderByKind::Expressions(keys), .. }) = &query.order_by {
            refuse_if(keys.iter().any(|key| key.with_fill.is_some()), "`WITH FILL`", "join with `generate_series`")?;
        }
        match query.with.as_ref().and_then(|with| refused_cte::volatile_and_repeated(with, query)) {
            Some(name) => refuse(
                &format!("the common table expression `{name}`, which has random values and is used more than once,"),
                "compute the random values once, in a model of their own",
            ),
            None => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> Flow {
        refuse_if(select.select_modifiers.is_some(), "`STRAIGHT_JOIN`, `SQL_CALC_FOUND_ROWS` or the like", LEAVE_OUT)?;
        refuse_if(select.exclude.is_some(), "`EXCLUDE` after the select list", "write `SELECT * EXCLUDE (a, b)`")?;
        refuse_if(select.prewhere.is_some(), "`PREWHERE`", "use `WHERE`")?;
        refuse_if(!select.connect_by.is_empty(), "`CONNECT BY`", "use `WITH RECURSIVE`")?;
        refuse_if(select.value_table_mode.is_some(), "`SELECT AS STRUCT` or `AS VALUE`", "use `named_struct(…)`")?;
        for item in &select.projection {
            if let SelectItem::Wildcard(options) | SelectItem::QualifiedWildcard(_, options) = item {
                refuse_if(options.opt_ilike.is_some(), "`* ILIKE`", "name the columns, or use `* EXCLUDE (…)`")?;
            }
        }
        for table in &select.from {
            table.joins.iter().try_for_each(join)?;
        }
        for window in &select.named_window {
            let is_derived = match &window.1 {
                NamedWindowExpr::NamedWindow(_) => true,
                NamedWindowExpr::WindowSpec(spec) => spec.window_name.is_some(),
            };
            refuse_if(is_derived, "a window that is based on another one", WINDOW)?;
        }
        group_by(&select.group_by)
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> Flow {
        match factor {
            // No `..` here, so that this does not compile with a new field of sqlparser until the
            // field is considered.
            TableFactor::Table {
                name: _,
                alias,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_hints,
            } => {
                let has_settings = args.as_ref().is_some_and(|args| args.settings.is_some());
                refuse_if(has_settings, "`SETTINGS`", LEAVE_OUT)?;
                refuse_if(!with_hints.is_empty(), "`WITH (…)` after a table", LEAVE_OUT)?;
                refuse_if(version.is_some(), "a version of a table in SQL", "use `query --version`")?;
                ordinality(*with_ordinality)?;
                refuse_if(!partitions.is_empty(), "`PARTITION (…)` after a table", "use `WHERE` on its columns")?;
                refuse_if(json_path.is_some(), "a path after a table's name", "use `unnest(…)`")?;
                sampled(sample.is_some())?;
                refuse_if(!index_hints.is_empty(), "`USE INDEX` or the like", LEAVE_OUT)?;
                aliased(alias.as_ref())
            }
            TableFactor::Derived { alias, sample, .. } => {
                sampled(sample.is_some())?;
                aliased(alias.as_ref())
            }
            TableFactor::Function { with_ordinality, alias, .. } => {
                ordinality(*with_ordinality)?;
                aliased(alias.as_ref())
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                table_with_joins.joins.iter().try_for_each(join)?;
                aliased(alias.as_ref())
            }
            TableFactor::UNNEST { alias, .. } => aliased(alias.as_ref()),
            // DataFusion refuses the other variants itself.
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> Flow {
        match expr {
            Expr::Function(call) => function(call),
            Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } => {
                // `ANY` and `ALL` over a subquery are supported.
                let is_list = !matches!(right.as_ref(), Expr::Subquery(_));
                refuse_if(is_list, "`ANY` or `ALL` over a list", "use `array_has(list, x)`, or `x IN (a, b)`")
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

fn refuse(what: &str, instead: &str) -> Flow {
    ControlFlow::Break(Box::new(Error::configuration(format!("{what} is not supported")).hint(instead)))
}

fn refuse_if(is_used: bool, what: &str, instead: &str) -> Flow {
    if is_used { refuse(what, instead) } else { ControlFlow::Continue(()) }
}

fn join(join: &Join) -> Flow {
    refuse_if(join.global, "`GLOBAL JOIN`", "leave out `GLOBAL`")
}

fn sampled(is_sampled: bool) -> Flow {
    refuse_if(is_sampled, "`TABLESAMPLE` or `SAMPLE`", "use `WHERE random() < 0.1` for a tenth of the rows")
}

fn ordinality(has_ordinality: bool) -> Flow {
    refuse_if(has_ordinality, "`WITH ORDINALITY`", "use `row_number() OVER ()`, or `generate_series` over the length")
}

fn aliased(alias: Option<&TableAlias>) -> Flow {
    let Some(alias) = alias else { return ControlFlow::Continue(()) };
    // The parser reads `FINAL` in ClickHouse's `FROM t FINAL` as an alias.
    let is_final =
        !alias.explicit && alias.name.quote_style.is_none() && alias.name.value.eq_ignore_ascii_case("final");
    refuse_if(is_final, "`FINAL` after a table", "leave it out; an alias of this name is written `AS final`")?;
    refuse_if(alias.at.is_some(), "`AT` after a table", "use `unnest(…)`")?;
    let has_types = alias.columns.iter().any(|column| column.data_type.is_some());
    refuse_if(has_types, "a type in a list of column names", "cast the columns: `CAST(a AS INT)`")
}

fn group_by(group_by: &GroupByExpr) -> Flow {
    let (keys, modifiers) = match group_by {
        GroupByExpr::All(modifiers) => (&[][..], modifiers),
        GroupByExpr::Expressions(keys, modifiers) => (keys.as_slice(), modifiers),
    };
    if let Some(modifier) = modifiers.first() {
        let written = match modifier {
            GroupByWithModifier::Rollup => "WITH ROLLUP",
            GroupByWithModifier::Cube => "WITH CUBE",
            GroupByWithModifier::Totals => "WITH TOTALS",
            GroupByWithModifier::GroupingSets(_) => "GROUPING SETS (…)",
        };
        return refuse(&format!("`GROUP BY … {written}`"), GROUPING);
    }
    for key in keys {
        if let Expr::GroupingSets(sets) | Expr::Cube(sets) | Expr::Rollup(sets) = key {
            // DataFusion does not resolve a number in grouping sets to the column at that position.
            let is_number = |key: &Expr| matches!(key, Expr::Value(value) if matches!(value.value, Value::Number(..)));
            refuse_if(sets.iter().flatten().any(is_number), "a column's number in grouping sets", "name the column")?;
        }
    }
    ControlFlow::Continue(())
}

fn function(call: &Function) -> Flow {
    refuse_if(call.parameters != FunctionArguments::None, "a second list of arguments", "use one list")?;
    if let Some(WindowType::WindowSpec(window)) = &call.over {
        refuse_if(window.window_name.is_some(), "a window that is based on another one", WINDOW)?;
    }
    let name = call.name.to_string().to_lowercase();
    // An aggregate or window function may have these clauses. The planner reports an unknown
    // function.
    if !SCALAR_FUNCTIONS.contains(&name) {
        return ControlFlow::Continue(());
    }
    let list = if let FunctionArguments::List(list) = &call.args { Some(list) } else { None };
    let clauses = list.map_or(&[][..], |list| list.clauses.as_slice());
    let has = |wanted: fn(&FunctionArgumentClause) -> bool| clauses.iter().any(wanted);
    let ignores_nulls = has(|clause| matches!(clause, FunctionArgumentClause::IgnoreOrRespectNulls(_)));
    for (clause, is_used) in [
        ("FILTER", call.filter.is_some()),
        ("OVER", call.over.is_some()),
        ("DISTINCT", list.is_some_and(|list| list.duplicate_treatment.is_some())),
        ("ORDER BY", has(|clause| matches!(clause, FunctionArgumentClause::OrderBy(_)))),
        ("WITHIN GROUP", !call.within_group.is_empty()),
        ("IGNORE NULLS` or `RESPECT NULLS", call.null_treatment.is_some() || ignores_nulls),
    ] {
        let what = format!("`{clause}` in a call of `{name}`, which is no aggregate,");
        refuse_if(is_used, &what, "leave it out, or use an aggregate function")?;
    }
    ControlFlow::Continue(())
}

#[cfg(test)]
mod tests {
    use super::super::check_text;

    #[test]
    fn clauses_that_the_engine_ignores_are_refused() {
        for sql in [
            "SELECT * FROM t FOR UPDATE",
            "SELECT * FROM t FOR SHARE NOWAIT",
            "SELECT * FROM t FOR JSON AUTO",
            "SELECT * FROM t SETTINGS max_threads = 1",
            "SELECT * FROM t FORMAT CSV",
            "SELECT a FROM t ORDER BY a WITH FILL FROM 1 TO 9",
            "SELECT * FROM t PREWHERE a = 1",
            "SELECT a FROM t START WITH a = 1 CONNECT BY PRIOR a = b",
            "SELECT * ILIKE '%a%' FROM t",
            "SELECT t.* ILIKE '%a%' FROM t",
            "SELECT * FROM t GLOBAL JOIN u ON t.a = u.a",
            "SELECT a FROM t TABLESAMPLE BERNOULLI (10)",
            "SELECT a FROM t SAMPLE 0.1",
            "SELECT a FROM (SELECT a FROM t) TABLESAMPLE (10 ROWS)",
            "SELECT a FROM t FINAL",
            "SELECT a FROM t PARTITION (p0)",
            "SELECT a FROM t WITH (NOLOCK)",
            "SELECT a FROM f(1) WITH ORDINALITY",
            "SELECT a FROM (SELECT 1) AS t(a INT)",
            "SELECT a, count(*) FROM t GROUP BY a WITH ROLLUP",
            "SELECT a, count(*) FROM t GROUP BY a WITH CUBE",
            "SELECT a, count(*) FROM t GROUP BY a WITH TOTALS",
            "SELECT a, b, count(*) FROM t GROUP BY a, b GROUPING SETS ((a), (b))",
            "SELECT a, b, count(*) FROM t GROUP BY GROUPING SETS ((1), (a, 2))",
            "SELECT a, b, count(*) FROM t GROUP BY ROLLUP(1, 2)",
            "SELECT a, b, count(*) FROM t GROUP BY CUBE(1, b)",
            "SELECT sum(a) OVER (w ORDER BY b) FROM t WINDOW w AS (PARTITION BY c)",
            "SELECT sum(a) OVER (missing ORDER BY b) FROM t",
            "SELECT sum(a) OVER w2 FROM t WINDOW w AS (PARTITION BY c), w2 AS (w ORDER BY b)",
            "SELECT sum(a) OVER v FROM t WINDOW w AS (PARTITION BY c), v AS w",
            "SELECT abs(a) FILTER (WHERE a > 1) FROM t",
            "SELECT upper(DISTINCT a) FROM t",
            "SELECT length(a) OVER () FROM t",
            "SELECT array_sort(a ORDER BY b) FROM t",
            "SELECT abs(a) IGNORE NULLS FROM t",
            "SELECT quantile(0.5)(a) FROM t",
            "SELECT 3 = ANY(ARRAY[1, NULL])",
            "SELECT 3 <> ALL(list) FROM t",
            "SELECT a FROM (SELECT b FROM u TABLESAMPLE (10)) AS s WHERE a IN (SELECT 1)",
            "WITH c AS (SELECT random() AS r) SELECT a.r = b.r FROM c AS a, c AS b",
            "WITH c AS (SELECT uuid() AS r), d AS (SELECT * FROM c) SELECT * FROM d UNION ALL SELECT * FROM d",
        ] {
            let error = check_text(sql).err();
            let is_refused = error.is_some_and(|e| e.to_string().contains("is not supported") && e.hint.is_some());
            assert!(is_refused, "{sql}");
        }
    }

    #[test]
    fn clauses_that_the_engine_knows_are_not_refused() {
        for sql in [
            "SELECT * EXCLUDE (a) FROM t",
            "SELECT * EXCEPT (a) FROM t",
            "SELECT * REPLACE (1 AS a) FROM t AS final",
            "SELECT DISTINCT ON (a) a, b FROM t ORDER BY a, b LIMIT 1, 2",
            "SELECT a, count(*) FROM t GROUP BY ROLLUP(a, b), GROUPING SETS ((a), ())",
            "SELECT a, count(*) FROM t GROUP BY 1 ORDER BY 2",
            "SELECT count(*) FROM t GROUP BY ALL",
            "SELECT sum(a) OVER w FROM t WINDOW w AS (PARTITION BY c ORDER BY b)",
            "SELECT sum(DISTINCT a) FILTER (WHERE a > 1), array_agg(a ORDER BY b), first_value(a) IGNORE NULLS FROM t",
            "SELECT row_number() OVER (), lag(a) IGNORE NULLS OVER (ORDER BY b) FROM t",
            "SELECT a = ANY(SELECT 1), a > ALL(SELECT 2) FROM t",
            "SELECT a FROM t, LATERAL (SELECT t.a) AS l CROSS JOIN UNNEST([1, 2]) AS u(x)",
            "SELECT random(), uuid() FROM t",
            "WITH c AS (SELECT random() AS r) SELECT * FROM c",
            "WITH c AS (SELECT 1 AS r) SELECT * FROM c AS a, c AS b WHERE random() < 1",
            "WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM r WHERE i < 4) SELECT sum(i) FROM r",
            "not SQL",
        ] {
            assert!(check_text(sql).is_ok(), "{sql}: {:?}", check_text(sql));
        }
    }
}

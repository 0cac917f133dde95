//! Finds common table expressions that have random values and are used more than once in a query.
//!
//! DataFusion 55 plans a common table expression again for each use of its name. If the expression
//! calls `random()` or `uuid()`, each use gets different values, whereas PostgreSQL, Spark and
//! DuckDB compute the values once.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::LazyLock;

use datafusion::functions::all_default_functions;
use datafusion::logical_expr::Volatility;
use datafusion::sql::sqlparser::ast::{Expr, ObjectName, Query, Visit, Visitor, With};

/// Names of functions that return a different value at each call.
static VOLATILE_FUNCTIONS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let functions = all_default_functions().into_iter();
    let volatile = functions.filter(|function| function.signature().volatility == Volatility::Volatile);
    volatile
        .flat_map(|function| {
            let aliases = function.aliases().to_vec();
            std::iter::once(function.name().to_owned()).chain(aliases)
        })
        .collect()
});

/// Returns the name of the first common table expression in `with` that has random values and is
/// used more than once in `query`.
pub(super) fn volatile_and_repeated(with: &With, query: &Query) -> Option<String> {
    let mut volatile: HashSet<String> = HashSet::new();
    for table in &with.cte_tables {
        let name = table.alias.name.value.to_lowercase();
        let mut used = Used { relations: vec![], has_volatile_function: false };
        // The visitor never breaks, so `else` is unreachable.
        let ControlFlow::Continue(()) = table.query.visit(&mut used) else { continue };
        // A common table expression that reads a volatile one is volatile too. One pass is enough,
        // because each one is defined before its first use.
        let is_volatile = used.has_volatile_function || used.relations.iter().any(|name| volatile.contains(name));
        if is_volatile {
            volatile.insert(name);
        }
    }
    if volatile.is_empty() {
        return None;
    }
    let mut used = Used { relations: vec![], has_volatile_function: false };
    let ControlFlow::Continue(()) = query.visit(&mut used) else { return None };
    let uses = |name: &String| used.relations.iter().filter(|relation| *relation == name).count();
    with.cte_tables.iter().map(|table| table.alias.name.value.to_lowercase()).find(|name| {
        // A recursive table expression refers to itself, which is not a second use.
        volatile.contains(name) && uses(name) > 1 && !with.recursive
    })
}

/// Names of the tables that a query reads, and whether the query has random values.
struct Used {
    relations: Vec<String>,
    has_volatile_function: bool,
}

impl Visitor for Used {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        // SQL names are not case-sensitive unless quoted. Ignoring the case of quoted names can
        // only refuse too much.
        self.relations.push(relation.to_string().to_lowercase());
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr {
            self.has_volatile_function |= VOLATILE_FUNCTIONS.contains(&function.name.to_string().to_lowercase());
        }
        ControlFlow::Continue(())
    }
}

//! Functions, operators and clauses of SQL: every example of `docs/functions.md`.

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;

use crate::support::{Done, Lake, repository};

/// Number of queries that run at the same time.
const THREADS: usize = 4;

/// Example of the page: an expression or a `SELECT`, with its result.
struct Example {
    sql: String,
    result: Value,
}

impl Example {
    fn is_select(&self) -> bool {
        self.sql.starts_with("SELECT ") || self.sql.starts_with("WITH ")
    }

    /// Returns a query that runs this example alone. `table` is a `WITH` clause that defines `t`.
    fn query(&self, table: &str) -> String {
        if self.sql.starts_with("SELECT ") {
            format!("{table} {}", self.sql)
        } else if self.is_select() {
            self.sql.clone()
        } else {
            format!("SELECT {} AS c0", self.sql)
        }
    }
}

/// Returns the definition of the table `t` as a `WITH` clause, and the examples of all sections.
fn page() -> (String, Vec<Example>) {
    let page = fs::read_to_string(repository().join("docs/functions.md")).unwrap();
    let table = page.split("```sql\n").nth(1).unwrap().split("```").next().unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let examples = rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches(['|', ' ']).split(" | ").collect();
        let [.., sql, result] = cells.as_slice() else { panic!("{row}") };
        // A `|` in a table of Markdown is escaped.
        let [sql, result] = [sql, result].map(|cell| cell.trim_matches('`').replace("\\|", "|"));
        Example { sql, result: serde_json::from_str(&result).unwrap_or_else(|e| panic!("{row}: {e}")) }
    });
    (table.to_owned(), examples.collect())
}

/// Returns a lake with the tables of the sample project, which some examples read.
fn sample() -> Lake {
    let lake = Lake::over_data();
    lake.ok(&["run"]);
    lake
}

fn run(lake: &Lake, sql: &str) -> Done {
    lake.run_with(&["query", sql, "--json"], &[])
}

/// Runs each example as a query of its own. Returns a line for each one with another result.
fn faults(lake: &Lake, table: &str, examples: &[&Example]) -> Vec<String> {
    let faults = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                while let Some(example) = examples.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let done = run(lake, &example.query(table));
                    let rows = serde_json::from_str::<Value>(&done.stdout).unwrap_or_default();
                    let result = if example.is_select() { &rows } else { &rows[0]["c0"] };
                    if done.code != Some(0) || *result != example.result {
                        faults.lock().unwrap().push(format!("`{}`: {result} {}", example.sql, done.stderr));
                    }
                }
            });
        }
    });
    faults.into_inner().unwrap()
}

#[test]
fn documented_expressions_have_the_documented_values() {
    let lake = sample();
    let (table, examples) = page();
    let examples: Vec<&Example> = examples.iter().filter(|example| !example.is_select()).collect();
    assert!(examples.len() > 200, "{} examples", examples.len());
    let columns: Vec<String> =
        examples.iter().enumerate().map(|(i, example)| format!("{} AS c{i}", example.sql)).collect();
    let done = run(&lake, &format!("SELECT {}", columns.join(", ")));
    let rows = serde_json::from_str::<Value>(&done.stdout).unwrap_or_default();
    let differing = (0..).zip(examples).filter(|(i, example)| rows[0][format!("c{i}")] != example.result);
    let differing: Vec<&Example> = differing.map(|(_, example)| example).collect();
    if !differing.is_empty() {
        // If one expression fails, the query returns no row. Run each alone, to name those that
        // fail.
        let faults = faults(&lake, &table, &differing);
        panic!("docs/functions.md has other values: {}\n  {}", done.stderr, faults.join("\n  "));
    }
}

#[test]
fn documented_queries_return_the_documented_rows() {
    let lake = sample();
    let (table, examples) = page();
    let examples: Vec<&Example> = examples.iter().filter(|example| example.is_select()).collect();
    assert!(examples.len() > 75, "{} examples", examples.len());
    let faults = faults(&lake, &table, &examples);
    assert!(faults.is_empty(), "docs/functions.md has other rows:\n  {}", faults.join("\n  "));
}

#[test]
fn functions_with_a_lambda_cannot_be_called() {
    // If this works after an upgrade, the page should describe these functions.
    for call in ["array_filter([1], v -> v > 0)", "any_match([1], (v) -> v > 0)"] {
        let error = sample().fails(&["query", &format!("SELECT {call}")], 2);
        assert!(error.contains("No field named v"), "{error}");
    }
}

//! JSON functions: every example of `docs/sql.md`, and models that use them.

use serde_json::{Value, json};

use crate::sql::rows;
use crate::support::Lake;

/// Returns the expressions of the section about JSON, each with its result, and the text `x`.
fn examples() -> (String, Vec<(String, Value)>) {
    let page = include_str!("../../../docs/sql.md");
    let (_, section) = page.split_once("\n## 5. JSON\n").unwrap();
    let text = section.split("`x` is the text `").nth(1).unwrap().split('`').next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let examples = rows.map(|row| {
        let mut cells = row.split('`');
        let (expression, result) = (cells.nth(1).unwrap(), cells.nth(1).unwrap());
        // A `|` in a table of Markdown is escaped.
        (expression.replace("\\|", "|"), serde_json::from_str(result).unwrap_or_else(|_| panic!("{result}")))
    });
    (text.to_owned(), examples.collect())
}

#[test]
fn the_documented_examples_are_what_the_functions_return() {
    let lake = rows();
    let (x, examples) = examples();
    assert!(examples.len() > 15, "{} examples", examples.len());
    let columns: Vec<String> =
        examples.iter().enumerate().map(|(i, (expression, _))| format!("{expression} AS c{i}")).collect();
    let found = lake.query(&format!("SELECT {} FROM (VALUES ('{x}')) AS t (x)", columns.join(", ")));
    for (i, (expression, result)) in examples.iter().enumerate() {
        assert_eq!(&found[0][&format!("c{i}")], result, "{expression}");
    }
}

#[test]
fn the_documented_models_make_rows_of_arrays_and_objects() {
    let page = include_str!("../../../docs/sql.md");
    let (_, section) = page.split_once("\n### Rows from JSON\n").unwrap();
    let body = section.split('`').find(|code| code.starts_with("{\"items\"")).unwrap();
    let models: Vec<&str> = section.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let [items, members] = models.as_slice() else { panic!("{} models", models.len()) };
    let config = "[lake]\nurl = \"lake\"\n[sources.orders]\nurl = \"in\"\nfields = { id = \"long\", body = \"json\" }\n\
                  [tables.items]\n[tables.members]\n";
    let records = format!("{{\"id\":1,\"body\":{body}}}\n{{\"id\":2,\"body\":{{\"items\":[]}}}}\n{{\"id\":3}}\n");
    let lake = Lake::of(&[
        ("lake.toml", config),
        ("models/items.sql", items),
        ("models/members.sql", members),
        ("in/a.json", &records),
    ]);
    lake.ok(&["run"]);
    assert_eq!(
        lake.query("SELECT * FROM items ORDER BY sku"),
        [json!({"id": 1, "sku": 1}), json!({"id": 1, "sku": 2})]
    );
    assert_eq!(
        lake.query("SELECT * FROM members ORDER BY sku"),
        [json!({"id": 1, "sku": "1", "price": 9.5}), json!({"id": 1, "sku": "2", "price": 20.0})]
    );
}

#[test]
fn a_model_unrolls_json_and_the_error_for_a_json_value_says_what_to_do() {
    let config = "[lake]\nurl = \"lake\"\n[sources.s]\nurl = \"in\"\nfields = { body = \"json\" }\n[tables.t]\nsql = \"t.sql\"\n";
    let unrolled = "SELECT json_get_int(item, 'id') AS id, item ->> 'n' AS n
        FROM (SELECT unnest(json_get_array(body, 'items')) AS item FROM staging.s)";
    let lake = Lake::of(&[
        ("lake.toml", config),
        ("t.sql", unrolled),
        ("in/a.json", r#"{"body":{"items":[{"id":1,"n":"x"},{"id":2}]}}"#),
    ]);
    lake.ok(&["run"]);
    assert_eq!(lake.query("SELECT * FROM t ORDER BY id"), [json!({"id": 1, "n": "x"}), json!({"id": 2, "n": null})]);

    lake.write("t.sql", b"SELECT body -> 'items' AS items FROM staging.s");
    let error = lake.fails(&["run"], 2);
    assert!(error.contains("column `items`") && error.contains("->>"), "{error}");

    for format in ["--json", "--csv", "--markdown"] {
        let error = lake.fails(&["query", format, "SELECT '{}' -> 'a' AS a"], 2);
        assert!(error.contains("column `a` is a JSON value of any type"), "{format}: {error}");
    }
}

//! `ui`: the pages' files, the JSON behind them, and who may read them.

use serde_json::{Value, json};

use crate::support::Lake;
use crate::support::cluster::free_port;
use crate::support::http::{Answer, request};
use crate::support::process::Process;

/// A server of pages.
struct Pages {
    port: u16,
    _server: Process,
}

impl Pages {
    fn of(lake: &Lake, options: &[&str]) -> Self {
        let port = free_port();
        let listen = format!("127.0.0.1:{port}");
        let arguments = [&["ui", "--listen", listen.as_str()], options].concat();
        let server = Process::start(lake.command(&arguments));
        let is_up = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        for _ in 0..3000 {
            if is_up() {
                return Self { port, _server: server };
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("the server never listened: {}", server.end().stderr)
    }

    fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        request(self.port, method, path, &format!("Host: localhost:{}\r\n{headers}", self.port), body)
    }

    #[track_caller]
    fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path, "", "");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap_or_else(|e| panic!("{path}: {e}: {}", answer.body))
    }

    fn query(&self, body: &Value) -> Answer {
        self.ask("POST", "/api/v1/query", "Content-Type: application/json\r\n", &body.to_string())
    }
}

/// A lake with two versions, a rejected record and a check.
fn lake() -> Lake {
    let lake = Lake::of(&[
        (
            "lake.toml",
            "[lake]\nurl = \"lake\"\n[sources.events]\nurl = \"in\"\nmax_quarantine_share = 0.5\n[sources.events.fields]\n\
             id = \"long\"\nname = \"string\"\nat = \"timestamp\"\n[tables.names]\nsql = \"names.sql\"\nkey = \"id\"\n\
             checks = [{ not_null = \"name\" }]\n[tables.counts]\nsql = \"counts.sql\"\n",
        ),
        ("names.sql", "SELECT id, upper(name) AS name, at FROM staging.events"),
        ("counts.sql", "SELECT name, count(*) AS events FROM names GROUP BY name"),
        (
            "in/1.json",
            "{\"id\": 1, \"name\": \"a\", \"at\": \"2026-01-01T00:00:00Z\"}\n{\"id\": \"<b>\", \"extra\": 1}\n{\"id\": 2, \"name\": \"b\"}\n",
        ),
    ]);
    lake.ok(&["run"]);
    lake.write("in/2.json", b"{\"id\": 3, \"name\": \"b\"}\n");
    lake.ok(&["run"]);
    lake
}

#[test]
fn the_pages_tell_what_the_lake_has() {
    let lake = lake();
    let pages = Pages::of(&lake, &[]);
    assert_eq!(pages.get("/api/v1/lake")["version"], 2);

    let runs = pages.get("/api/v1/runs");
    let runs = runs["runs"].as_array().unwrap();
    let counts: Vec<_> =
        runs.iter().map(|run| (run["version"].clone(), run["staged"].clone(), run["quarantined"].clone())).collect();
    assert_eq!(counts, [(json!(2), json!(1), json!(0)), (json!(1), json!(2), json!(1))]);
    let first = pages.get(&format!("/api/v1/runs/{}", runs[1]["run"].as_str().unwrap()));
    assert_eq!(first["sources"][0]["undeclared"], json!({}), "a rejected record has no undeclared fields");
    assert_eq!(
        first["tables"][1],
        json!({"name": "counts", "rows": 2, "files": 1, "bytes": first["tables"][1]["bytes"], "is_changed": true})
    );

    let steps: Vec<_> = first["steps"].as_array().unwrap().iter().map(|step| (&step["name"], &step["rows"])).collect();
    let expected = ["discover", "ingest events", "build names", "build counts", "check"].map(|name| json!(name));
    assert_eq!(steps.iter().map(|(name, _)| (*name).clone()).collect::<Vec<_>>(), expected);
    assert_eq!(steps[1].1, 3);

    let tables = pages.get("/api/v1/tables?version=1");
    let rows: Vec<_> =
        tables["tables"].as_array().unwrap().iter().map(|table| (&table["name"], &table["rows"])).collect();
    assert_eq!(rows, [(&json!("names"), &json!(2)), (&json!("counts"), &json!(2))]);
    let table = pages.get("/api/v1/tables/names");
    assert_eq!(
        (&table["rows"], &table["key"], &table["checks"]),
        (&json!(3), &json!(["id"]), &json!(["name is not null"]))
    );
    assert_eq!(table["versions"].as_array().unwrap().len(), 2);
    let names: Vec<_> = table["columns"].as_array().unwrap().iter().map(|column| &column["name"]).collect();
    assert_eq!(names, ["id", "name", "at"]);
    let rows = pages.get("/api/v1/tables/counts/rows?limit=1");
    assert_eq!((rows["rows"].as_array().unwrap().len(), &rows["is_cut"]), (1, &json!(true)));

    let column = pages.get("/api/v1/tables/names/columns/name");
    assert_eq!((&column["nulls"], &column["distinct"]), (&json!(0), &json!(2)));
    assert_eq!(column["top"], json!([{"value": "B", "count": 2}, {"value": "A", "count": 1}]));
    assert_eq!(pages.get("/api/v1/tables/names/columns/at")["nulls"], 2);

    let rejected = pages.get("/api/v1/quarantine?reason=wrong_type&text=%3Cb%3E");
    assert_eq!((&rejected["total"], &rejected["records"][0]["line"]), (&json!(1), &json!(2)));
    assert_eq!(rejected["groups"]["field"], json!([{"value": "id", "count": 1}]));
    assert_eq!(rejected["shares"][0]["rejected"], 0, "the limit holds for one run");
    let first = pages.get("/api/v1/quarantine?version=1");
    assert_eq!((&first["shares"][0]["rejected"], &first["shares"][0]["limit"]), (&json!(1), &json!(0.5)));
    assert_eq!(pages.get("/api/v1/quarantine?source=none")["total"], 0);
    let csv = pages.ask("GET", "/api/v1/quarantine.csv", "", "");
    assert!(csv.headers.contains("attachment") && csv.body.starts_with("source,object,"), "{csv:?}");

    let sources = pages.get("/api/v1/sources");
    assert_eq!(
        (&sources["sources"][0]["objects"], &sources["sources"][0]["fields"][0]["type"]),
        (&json!(2), &json!("bigint"))
    );
    let objects = pages.get("/api/v1/sources/events/objects?text=2.json");
    assert_eq!((&objects["total"], &objects["objects"][0]["commit"]), (&json!(1), &json!(2)));

    let diff = pages.get("/api/v1/diff?from=1&to=2");
    assert_eq!((&diff["tables"][1]["change"], &diff["tables"][1]["rows_after"]), (&json!("changed"), &json!(3)));

    let settings = pages.get("/api/v1/settings");
    let settings = settings["settings"].as_array().unwrap();
    let url = settings.iter().find(|setting| setting["name"] == "lake.url").unwrap();
    assert_eq!((&url["value"], &url["origin"], &url["line"]), (&json!("\"lake\""), &json!("file"), &json!(2)));
}

#[test]
fn columns_are_followed_through_the_models() {
    let lake = lake();
    let pages = Pages::of(&lake, &[]);
    let lineage = pages.get("/api/v1/lineage");
    let has = |list: &str, expected: Value| {
        let found = lineage[list].as_array().unwrap();
        assert!(found.contains(&expected), "{expected} in {found:?}");
    };
    has("edges", json!({"from": "staging.events", "to": "table.names"}));
    has("edges", json!({"from": "table.names", "to": "table.counts"}));
    has("edges", json!({"from": "table.names", "to": "check.names.0"}));
    has(
        "column_edges",
        json!({"from": "staging.events", "from_column": "name", "to": "table.names", "to_column": "name", "is_direct": false}),
    );
    has(
        "column_edges",
        json!({"from": "table.names", "from_column": "name", "to": "table.counts", "to_column": "name", "is_direct": true}),
    );
    let names = lineage["nodes"].as_array().unwrap().iter().find(|node| node["id"] == "table.names").unwrap();
    assert_eq!(names["last_run"], "rebuilt");
}

#[test]
fn queries_only_read_and_are_limited() {
    let lake = lake();
    let pages = Pages::of(&lake, &[]);
    let answer = pages.query(&json!({"sql": "SELECT id, 9007199254740993 AS big FROM names ORDER BY id", "limit": 2}));
    let result: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(
        (&result["rows"], &result["is_cut"]),
        (&json!([[1, "9007199254740993"], [2, "9007199254740993"]]), &json!(true))
    );
    let old = pages.query(&json!({"sql": "SELECT count(*) FROM names", "version": 1}));
    assert_eq!(serde_json::from_str::<Value>(&old.body).unwrap()["rows"], json!([[2]]));
    for sql in ["DROP TABLE names", "INSERT INTO names VALUES (1)", "SELECT nothing FROM names", "SELEC", ""] {
        let answer = pages.query(&json!({ "sql": sql }));
        let error: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(answer.status, 400, "{sql}: {}", answer.body);
        assert!(error["error"]["message"].is_string(), "{sql}");
    }
    let answer = pages.ask("POST", "/api/v1/query", "", "{");
    assert!(answer.status == 400 && answer.body.contains("\"hint\""), "{answer:?}");
    // A page of another site may link to pages, and not to data.
    let cross_site = |path: &str| pages.ask("GET", path, "Sec-Fetch-Site: cross-site\r\n", "").status;
    assert_eq!((cross_site("/"), cross_site("/api/v1/query.csv?sql=SELECT+1")), (200, 403));
    assert_eq!(pages.get("/api/v1/quarantine?offset=18446744073709551615")["records"], json!([]));
    for (path, status) in [
        ("/api/v1/tables/nothing", 404),
        ("/api/v1/tables/names?version=9", 400),
        ("/api/v1/tables?version=x", 400),
        ("/api/v1/none", 404),
        ("/js/none.js", 404),
    ] {
        assert_eq!(pages.ask("GET", path, "", "").status, status, "{path}");
    }
}

#[test]
fn other_sites_and_strangers_read_nothing() {
    let lake = lake();
    let pages = Pages::of(&lake, &[]);
    let status = |headers: &str| request(pages.port, "GET", "/api/v1/lake", headers, "").status;
    assert_eq!(status("Host: evil.example\r\n"), 403);
    assert_eq!(pages.ask("GET", "/api/v1/lake", "Origin: http://evil.example\r\n", "").status, 403);
    let index = pages.ask("GET", "/tables/names", "", "");
    assert!(index.body.starts_with("<!doctype html>") && index.headers.contains("frame-ancestors 'none'"), "{index:?}");
    assert!(index.headers.contains("x-content-type-options: nosniff"));

    lake.write("token", b"0123456789abcdef0123\n");
    let token = lake.path("token");
    let guarded = Pages::of(&lake, &["--token-file", token.to_str().unwrap()]);
    assert_eq!(guarded.ask("GET", "/api/v1/lake", "", "").status, 401);
    assert_eq!(guarded.ask("GET", "/metrics", "", "").status, 401);
    assert_eq!(guarded.ask("GET", "/readyz", "", "").status, 200);
    assert_eq!(guarded.ask("GET", "/api/v1/lake", "Authorization: Bearer 0123456789abcdef0123\r\n", "").status, 200);
    let signed_in = guarded.ask("GET", "/?token=0123456789abcdef0123", "", "");
    assert!(signed_in.status == 303 && signed_in.headers.contains("httponly; samesite=lax"), "{signed_in:?}");
    let error = lake.fails(&["ui", "--listen", "0.0.0.0:0"], 2);
    assert!(error.contains("can be reached from other machines") && error.contains("--token-file"), "{error}");
}

#[test]
fn a_lake_without_a_version_has_pages_too() {
    let lake = Lake::of(&[
        (
            "lake.toml",
            "[lake]\nurl = \"lake\"\n[sources.s]\nurl = \"in\"\n[sources.s.fields]\nid = \"long\"\n[tables.t]\nsql = \"t.sql\"\n",
        ),
        ("t.sql", "SELECT id FROM staging.s"),
    ]);
    let pages = Pages::of(&lake, &[]);
    assert_eq!(pages.get("/api/v1/lake")["version"], Value::Null);
    assert_eq!(pages.get("/api/v1/runs")["runs"], json!([]));
    let answer = pages.ask("GET", "/api/v1/tables", "", "");
    assert!(answer.status == 400 && answer.body.contains("there is nothing in the lake"), "{answer:?}");
    assert_eq!(pages.ask("GET", "/readyz", "", "").status, 503);
    // The pages find the first version without a restart.
    lake.write("in/1.json", b"{\"id\": 1}\n");
    lake.ok(&["run"]);
    assert_eq!(pages.get("/api/v1/lake")["version"], 1);
    let metrics = pages.ask("GET", "/metrics", "", "").body;
    for line in [
        "lakewright_lake_version 1",
        "lakewright_table_rows{table=\"t\"} 1",
        "# TYPE lakewright_source_records_total counter",
    ] {
        assert!(metrics.lines().any(|written| written == line), "{line}\n{metrics}");
    }
}

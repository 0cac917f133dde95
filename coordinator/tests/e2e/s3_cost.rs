//! Estimates of a run's requests to S3, compared with the requests that it makes.

use serde_json::Value;

use crate::support::cluster::{Worker, free_port};
use crate::support::s3::TestBucket;
use crate::support::{Lake, repository};

/// Returns the dollars in the last line of the table in `text`.
fn dollars(text: &str) -> Vec<f64> {
    let line =
        text.lines().find(|line| line.starts_with("dollars ")).unwrap_or_else(|| panic!("no dollars in: {text}"));
    line.split_whitespace().skip(1).map(|amount| amount.parse().expect("an amount")).collect()
}

fn assert_close(expected: f64, made: f64, text: &str) {
    assert!(made > 0.0 && (expected / made - 1.0).abs() <= 0.1, "{expected} expected, {made} made: {text}");
}

/// Returns the numbers of requests of one class in a summary: the expected and the actual one.
fn requests(summary: &Value, class: &str) -> (u64, u64) {
    let cost = &summary["cost"];
    let count = |requests: &Value| requests[class].as_u64().unwrap_or_else(|| panic!("no `{class}` in {summary}"));
    (count(&cost["expected"]["requests"]), count(&cost["made"]))
}

#[test]
fn a_new_partitioned_table_is_named_with_the_cost_of_each_further_file() {
    let place = TestBucket::own();
    let lake = Lake::of(&[
        (
            "lake.toml",
            "[lake]\nurl = \"lake\"\n[sources.s]\nurl = \"in\"\n[sources.s.fields]\nid = \"long\"\np = \"long\"\n\
             [tables.t]\nsql = \"t.sql\"\nkey = [\"id\"]\npartition_by = [\"p\"]\n\
             checks = [{ not_null = \"id\" }, { range = { min = 0 }, column = \"id\" }, { unique = [\"id\", \"p\"] }]\n",
        ),
        ("t.sql", "SELECT id, p FROM staging.s"),
        ("in/a.json", &(0..156).map(|i| format!("{{\"id\": {i}, \"p\": {}}}\n", i % 78)).collect::<String>()),
    ])
    .on_s3(&place);
    let checked = lake.ok(&["check"]).stdout;
    let summary: Value = serde_json::from_str(&lake.ok(&["run", "--json"]).stdout).expect("a JSON object");
    let assumed = &summary["cost"]["expected"]["assumed"][0];
    let number = |key: &str| assumed[key].as_u64().unwrap_or_else(|| panic!("no `{key}` in {summary}"));
    let (assumed_files, gets, puts) = (number("files"), number("gets_per_file"), number("puts_per_file"));
    let line = format!(
        "assumes {assumed_files} files for the new table `t`; each further file adds {gets} GET and {puts} PUT"
    );
    assert!(checked.contains(&line), "`{line}` is not in {checked}");
    let further = summary["tables"][0]["files"].as_u64().expect("a number of files") - assumed_files;
    assert_eq!(further, 78 - 12);
    for (class, per_file) in [("gets", gets), ("puts", puts)] {
        let (expected, made) = requests(&summary, class);
        let corrected = expected + further * per_file;
        assert!(corrected.abs_diff(made) * 20 <= made, "{class}: {corrected} expected, {made} made: {summary}");
    }
    // The next run knows how many files the table has.
    place.put("in/b.json", b"{\"id\": 1000, \"p\": 1}\n");
    let summary: Value = serde_json::from_str(&lake.ok(&["run", "--json"]).stdout).expect("a JSON object");
    assert_eq!(summary["cost"]["expected"]["assumed"], serde_json::json!([]));
    for class in ["gets", "puts"] {
        let (expected, made) = requests(&summary, class);
        assert!(expected.abs_diff(made) * 10 <= made, "{class}: {expected} expected, {made} made: {summary}");
    }
}

#[test]
fn the_estimate_contains_what_workers_need_to_register() {
    let place = TestBucket::own();
    let port = free_port();
    let lake = Lake::over(&repository().join("data/song_data"), &repository().join("data/log_data"))
        .on_s3(&place)
        .on_cluster(port, 2);
    let environment = lake.environment();
    let _workers = ["one", "two"].map(|name| Worker::start_with(port, name, &["--memory", "512MB"], &environment));
    let summary: Value = serde_json::from_str(&lake.ok(&["run", "--json"]).stdout).expect("a JSON object");
    assert_eq!(summary["cost"]["expected"]["excludes_exchanges"], true);
    let ((gets, gets_made), (puts, puts_made)) = (requests(&summary, "gets"), requests(&summary, "puts"));
    let exchanged = summary["exchange"]["requests"].as_u64().expect("a number of requests");
    let (expected, made) = (gets + puts + exchanged, gets_made + puts_made);
    assert!(expected.abs_diff(made) * 10 <= made, "{expected} expected, {made} made: {summary}");
}

#[test]
fn the_estimate_of_check_is_close_to_the_cost_of_the_run() {
    let place = TestBucket::own();
    let lake = Lake::over(&repository().join("data/song_data"), &repository().join("data/log_data")).on_s3(&place);
    for run in 1..=4 {
        if run > 1 {
            for i in 0..run * 20 {
                let song = format!(
                    "{{\"song_id\": \"SO{run}-{i}\", \"artist_id\": \"AR{i}\", \"title\": \"t\", \"year\": {}}}",
                    1990 + i % 7
                );
                place.put(&format!("data/song_data/more-{run}-{i}.json"), song.as_bytes());
            }
        }
        let checked = lake.ok(&["check"]).stdout;
        let done = lake.ok(&["run"]).stderr;
        let [expected, made] = dollars(&done)[..] else { panic!("two amounts side by side: {done}") };
        assert_close(expected, made, &done);
        assert_close(dollars(&checked)[0], made, &format!("{checked}\n{done}"));
    }
    // Prices come from the configuration, and the arithmetic is printed.
    place.put("data/song_data/last.json", br#"{"song_id": "SOLAST", "artist_id": "AR1", "title": "t"}"#);
    let dear = [
        ("LAKEWRIGHT__PRICES__GET", "100"),
        ("LAKEWRIGHT__PRICES__PUT", "0"),
        ("LAKEWRIGHT__PRICES__TRANSFER", "1000"),
    ];
    let checked = lake.run_with(&["check"], &dear).stdout;
    assert!(checked.contains(" x 100 / 1000 = ") && checked.contains(" x 1000 / GB = "), "{checked}");
    assert!(dollars(&checked)[0] > 1.0, "{checked}");

    // Folders cost nothing.
    let folders = Lake::over(&repository().join("data/song_data"), &repository().join("data/log_data"));
    assert!(!folders.ok(&["check"]).stdout.contains("dollars"));
}

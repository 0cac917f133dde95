//! Tests of `load`: the resolved configuration of a file and variables, and the printed faults.

use std::path::Path;
use std::time::Duration;

use super::resolved::{
    Check, Config, FieldType, JsonFormat, OnArchived, OnChange, OnDamaged, RecordFormat, Rule, TimestampFormat,
};
use super::settings::{Kind, ROOT, Setting, TABLES_OF_THE_FILE};
use super::{Purpose, load, nearest};

mod documentation;
mod environment;
mod faults;
mod fuzz;

/// A folder with `lake.toml` and a model for every table that the tests name.
struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    fn new(toml: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("models")).unwrap();
        std::fs::create_dir(folder.path().join("checks")).unwrap();
        for file in ["songs", "artists", "users", "songplays", "time", "../checks/no_play_before_the_service"] {
            std::fs::write(folder.path().join(format!("models/{file}.sql")), "SELECT 1").unwrap();
        }
        std::fs::write(folder.path().join("models/empty.sql"), " \n").unwrap();
        std::fs::write(folder.path().join("lake.toml"), toml).unwrap();
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn load(&self, variables: &[(&str, &str)]) -> crate::error::Result<Config> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        load(&self.path().join("lake.toml"), Purpose::Run, variables)
    }

    /// Returns the lines of the errors as they are printed, without the folder and without the
    /// first `error: `.
    fn faults(&self, variables: &[(&str, &str)]) -> Vec<String> {
        let Err(error) = self.load(variables) else { return Vec::new() };
        let folder = format!("{}/", self.path().display());
        let mut lines = Vec::new();
        for failure in error.each() {
            let prefix = if lines.is_empty() { "" } else { "error: " };
            lines.push(format!("{prefix}{}", failure.text().replace(&folder, "")));
            lines.extend(failure.hint.iter().map(|hint| format!("hint: {hint}")));
        }
        lines
    }
}

fn load_text(toml: &str) -> Config {
    Project::new(toml).load(&[]).unwrap_or_else(|e| panic!("{e}"))
}

/// Asserts the printed lines for each snippet, which is placed below a valid `[lake]` of two lines.
#[track_caller]
fn assert_faults(cases: &[(&str, &[&str])]) {
    for (snippet, expected) in cases {
        let toml = format!("[lake]\nurl = 'lake'\n{snippet}");
        assert_eq!(Project::new(&toml).faults(&[]), *expected, "\n{toml}");
    }
}

/// Asserts the printed lines for a source with the snippet as its only field, in line 6.
#[track_caller]
fn assert_field_faults(cases: &[(&str, &[&str])]) {
    for (field, expected) in cases {
        let toml = format!("[lake]\nurl = 'lake'\n[sources.s]\nurl = 'data'\n[sources.s.fields]\n{field}\n");
        assert_eq!(Project::new(&toml).faults(&[]), *expected, "\n{toml}");
    }
}

/// Asserts the printed lines for a table with the check of the snippet, in line 4.
#[track_caller]
fn assert_check_faults(cases: &[(&str, &[&str])]) {
    for (check, expected) in cases {
        let toml = format!("[lake]\nurl = 'lake'\n[tables.users]\nchecks = [{check}]\n");
        assert_eq!(Project::new(&toml).faults(&[]), *expected, "\n{toml}");
    }
}

#[test]
fn the_smallest_file_gets_every_default() {
    let config = load_text("[lake]\nurl = 'lake'\n[sources.s]\nurl = 'data'\nfields.a = 'string'\n[tables.songs]\n");
    let limits = &config.limits;
    assert!(limits.memory_bytes > 0 && limits.threads > 0 && limits.scratch.is_none());
    assert_eq!(
        (limits.max_record_bytes, limits.split_bytes, limits.target_file_bytes),
        (16 << 20, 128 << 20, 256 << 20)
    );
    assert_eq!((limits.concurrent_reads, limits.max_open_files, limits.max_decompression_ratio), (128, 64, 200));
    assert!(config.cluster.is_none());
    let source = &config.sources[0];
    assert_eq!((&source.format, source.on_change), (&RecordFormat::Json(JsonFormat::Lines), OnChange::Error));
    assert_eq!((source.on_damaged, source.on_archived), (OnDamaged::Error, OnArchived::Error));
    assert!(!source.follow_links);
    assert!((source.max_quarantine_share - 0.01).abs() < f64::EPSILON);
    assert_eq!(source.fields[0].keys(), ["a"]);
    assert!(config.tables[0].key.is_empty() && config.tables[0].checks.is_empty());
    assert_eq!(config.tables[0].sql, "SELECT 1");
}

#[test]
fn the_configuration_has_every_setting_in_the_order_of_the_file() {
    let project = Project::new(
        r#"
        [tables.users]
        [tables.songs]
        sql = "models/artists.sql"
        key = "song_id"
        partition_by = ["year"]
        checks = [
            { not_null = "title" },
            { unique = ["a", "b"], warn = true },
            { references = "users.user_id", column = "user_id" },
            { accepted_values = ["free", 3, true], column = "level" },
            { range = { min = 0.5 }, column = "duration" },
            { sql = "models/time.sql" },
        ]
        [sources.z]
        url = "../raw//z/./"
        format = "json"
        records = "items"
        on_change = "ignore"
        on_damaged = "keep"
        on_archived = "skip"
        follow_links = true
        max_quarantine_share = 1
        [sources.z.fields]
        z = "timestamp"
        b = { type = "timestamp(s)", from = "user.at", required = true }
        a = { type = "decimal(10, 2)", from = ["dotted.key", "x"] }
        [sources.songs]
        url = "s3://bucket/raw/songs"
        fields = { x = "struct<b: list<long>, a: json>" }
        [lake]
        url = "file:///tmp/a%20b/../lake"
        [limits]
        memory = "1.5GB"
        max_record_bytes = 0x400
        scratch = "spill"
        threads = 3
        split_bytes = "16MiB"
        [cluster]
        listen = "[::1]:0"
        min_workers = 2
        worker_timeout = "1h 30m"
        "#,
    );
    let config = project.load(&[]).unwrap();
    assert_eq!(config.lake.as_str(), "file:///tmp/lake/");
    assert_eq!(config.tables.iter().map(|table| table.name.as_str()).collect::<Vec<_>>(), ["users", "songs"]);
    assert_eq!(config.sources.iter().map(|source| source.name.as_str()).collect::<Vec<_>>(), ["z", "songs"]);

    let songs = &config.tables[1];
    assert_eq!(songs.sql_file, project.path().join("models/artists.sql"));
    assert_eq!((songs.key.join(","), songs.partition_by.join(",")), ("song_id".to_owned(), "year".to_owned()));
    let column = |name: &str| name.to_owned();
    let expected = [
        (Rule::NotNull { column: column("title") }, false),
        (Rule::Unique { columns: vec![column("a"), column("b")] }, true),
        (
            Rule::References { column: column("user_id"), to_table: column("users"), to_column: column("user_id") },
            false,
        ),
        (
            Rule::AcceptedValues { column: column("level"), values: vec!["free".into(), "3".into(), "true".into()] },
            false,
        ),
        (Rule::Range { column: column("duration"), min: Some(0.5), max: None }, false),
        (Rule::Sql { file: project.path().join("models/time.sql"), sql: "SELECT 1".into() }, false),
    ];
    assert_eq!(songs.checks, expected.map(|(rule, warn)| Check { rule, warn }));

    let z = &config.sources[0];
    let above = project.path().parent().unwrap().display();
    assert_eq!(z.url.as_str(), format!("file://{above}/raw/z/"));
    assert_eq!(
        (&z.format, z.on_change),
        (&RecordFormat::Json(JsonFormat::Document { records: Some("items".into()) }), OnChange::Ignore)
    );
    assert_eq!((z.on_damaged, z.on_archived, z.follow_links), (OnDamaged::Keep, OnArchived::Skip, true));
    let fields: Vec<_> = z.fields.iter().map(|f| (f.name.as_str(), f.keys().join("/"), f.required)).collect();
    let expected = [("z", "z", false), ("b", "user/at", true), ("a", "dotted.key/x", false)];
    assert_eq!(fields, expected.map(|(name, from, required)| (name, from.to_owned(), required)));
    assert_eq!(z.fields[0].field_type, FieldType::Timestamp(vec![TimestampFormat::Rfc3339]));
    assert_eq!(z.fields[2].field_type, FieldType::Decimal { precision: 10, scale: 2 });
    assert_eq!(config.sources[1].url.as_str(), "s3://bucket/raw/songs/");

    let limits = &config.limits;
    assert_eq!((limits.memory_bytes, limits.max_record_bytes, limits.split_bytes), (1_500_000_000, 1024, 16 << 20));
    assert_eq!((limits.threads, limits.scratch.as_deref()), (3, Some(project.path().join("spill").as_path())));
    let cluster = config.cluster.unwrap();
    assert_eq!((cluster.listen.as_str(), cluster.min_workers), ("[::1]:0", 2));
    assert_eq!(cluster.worker_timeout, Duration::from_mins(90));
}

#[test]
fn all_faults_are_reported_at_once_in_the_order_of_the_file() {
    let project = Project::new(
        "[lake]\nuri = 'lake'\n[limits]\nmemroy = 1\n[sources.events]\nurl = 'data'\n[sources.events.fields]\n\
         ts = 'timestmp'\n[tables.songz]\n",
    );
    assert_eq!(
        project.faults(&[("LAKEWRIGHT__LIMITS__THREADS", "0")]),
        [
            "`[lake]`: `url` is missing (lake.toml, line 1)",
            "hint: add `url = \"lake\"`",
            "error: `[lake]`: unknown key `uri` (lake.toml, line 2)",
            "hint: did you mean `url`?",
            "error: `[limits]`: unknown key `memroy` (lake.toml, line 4)",
            "hint: did you mean `memory`?",
            "error: source `events`: field `ts` has unknown type `timestmp` (lake.toml, line 8)",
            "hint: did you mean `timestamp`?",
            "error: table `songz`: SQL file `models/songz.sql` does not exist (lake.toml, line 9)",
            "hint: did you mean `songs.sql`?",
            "error: `[limits]`: `threads` must be at least 1, not 0 \
             (environment variable `LAKEWRIGHT__LIMITS__THREADS`)",
        ],
    );
}

#[test]
fn text_that_is_not_toml_is_reported_with_its_lines() {
    let faults = Project::new("[lake]\nurl = lake\n\n[limits]\nthreads == 2\n").faults(&[]);
    let lines: Vec<_> = faults.iter().filter(|line| line.contains("is not TOML")).collect();
    assert!(lines.iter().any(|line| line.ends_with("(lake.toml, line 2)")), "{faults:#?}");
    assert!(lines.iter().any(|line| line.ends_with("(lake.toml, line 5)")), "{faults:#?}");
}

#[test]
fn duplicates_are_reported_once() {
    assert_faults(&[
        (
            "[tables.songs]\nkey = 'a'\n[tables.songs]\nkey = 'b'\n",
            &["`[tables.songs]` appears twice (lake.toml, line 5)", "hint: the first is in line 3; rename one of them"],
        ),
        ("[limits]\nthreads = 1\nthreads = 2\n", &["`[limits]`: `threads` is set twice (lake.toml, line 5)"]),
        (
            "[tables.Songs]\nsql = 'models/songs.sql'\n[tables.songs]\n",
            &["the names of table `Songs` and table `songs` differ only in case (lake.toml, line 5)"],
        ),
    ]);
}

#[test]
fn a_missing_file_is_a_fault_of_the_configuration() {
    let error = load(Path::new("/nowhere/lake.toml"), Purpose::Run, std::iter::empty()).unwrap_err();
    assert!(error.to_string().starts_with("cannot read the configuration `/nowhere/lake.toml`: "), "{error}");
    assert_eq!(error.hint.as_deref(), Some("`--config FILE` names another file"));
}

#[test]
fn the_nearest_name_is_a_few_typos_away() {
    let known = ["memory", "threads", "max_record_bytes", "ts"];
    let cases = [
        ("memroy", Some("memory")),
        ("Memory", Some("memory")),
        ("max-record-bytes", Some("max_record_bytes")),
        ("tz", Some("ts")),
        ("x", None),
        ("partitions", None),
    ];
    for (name, expected) in cases {
        assert_eq!(nearest(name, known.into_iter()), expected, "{name}");
    }
}

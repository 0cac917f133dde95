//! `load` from the outside: what a file and variables come to, and the faults of each, as a user reads them.

use std::path::Path;
use std::time::Duration;

use super::resolved::{Check, Config, FieldType, Format, OnChange, Rule, TimestampFormat};
use super::settings::{Kind, ROOT, Setting, TABLES_OF_THE_FILE};
use super::{load, nearest};

const DOCUMENTATION: &str = include_str!("../../../docs/configuration.md");
const SAMPLE: &str = include_str!("../../../lake.toml");

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
        load(&self.path().join("lake.toml"), variables)
    }

    /// The lines of the error, without the folder.
    fn faults(&self, variables: &[(&str, &str)]) -> Vec<String> {
        let Err(error) = self.load(variables) else { return Vec::new() };
        let folder = format!("{}/", self.path().display());
        error.to_string().replace(&folder, "").lines().map(str::to_owned).collect()
    }
}

fn load_text(toml: &str) -> Config {
    Project::new(toml).load(&[]).unwrap_or_else(|e| panic!("{e}"))
}

/// Asserts the lines of the error of each snippet; a snippet stands below a valid `[lake]` of two lines.
#[track_caller]
fn assert_faults(cases: &[(&str, &[&str])]) {
    for (snippet, expected) in cases {
        let toml = format!("[lake]\nurl = 'lake'\n{snippet}");
        assert_eq!(Project::new(&toml).faults(&[]), *expected, "\n{toml}");
    }
}

/// Asserts the lines of the error of a source whose only field is the snippet, in line 6.
#[track_caller]
fn assert_field_faults(cases: &[(&str, &[&str])]) {
    for (field, expected) in cases {
        let toml = format!("[lake]\nurl = 'lake'\n[sources.s]\nurl = 'data'\n[sources.s.fields]\n{field}\n");
        assert_eq!(Project::new(&toml).faults(&[]), *expected, "\n{toml}");
    }
}

/// Asserts the lines of the error of a table with the check of the snippet, in line 4.
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
    assert_eq!((&source.format, source.on_change), (&Format::Ndjson, OnChange::Error));
    assert!((source.max_quarantine_share - 0.01).abs() < f64::EPSILON);
    assert_eq!(source.fields[0].from, ["a"]);
    assert!(config.tables[0].key.is_empty() && config.tables[0].checks.is_empty());
    assert_eq!(config.tables[0].sql, "SELECT 1");
}

#[test]
fn everything_that_is_written_arrives_in_the_order_of_the_file() {
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
    assert_eq!((&z.format, z.on_change), (&Format::Json { records: Some("items".into()) }, OnChange::Ignore));
    let fields: Vec<_> = z.fields.iter().map(|f| (f.name.as_str(), f.from.join("/"), f.required)).collect();
    let expected = [("z", "z", false), ("b", "user/at", true), ("a", "dotted.key/x", false)];
    assert_eq!(fields, expected.map(|(name, from, required)| (name, from.to_owned(), required)));
    assert_eq!(z.fields[0].field_type, FieldType::Timestamp(TimestampFormat::Rfc3339));
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
fn all_faults_are_told_at_once_in_the_order_of_the_file() {
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
            "error: table `songz`: there is no SQL file `models/songz.sql` (lake.toml, line 9)",
            "hint: did you mean `songs.sql`?",
            "error: `[limits]`: `threads` must be at least 1, not 0 \
             (environment variable `LAKEWRIGHT__LIMITS__THREADS`)",
        ],
    );
}

#[test]
fn text_that_is_not_toml_is_told_with_its_lines() {
    let faults = Project::new("[lake]\nurl = lake\n\n[limits]\nthreads == 2\n").faults(&[]);
    let lines: Vec<_> = faults.iter().filter(|line| line.contains("is not TOML")).collect();
    assert!(lines.iter().any(|line| line.ends_with("(lake.toml, line 2)")), "{faults:#?}");
    assert!(lines.iter().any(|line| line.ends_with("(lake.toml, line 5)")), "{faults:#?}");
}

#[test]
fn what_is_there_twice_is_told_once() {
    assert_faults(&[
        (
            "[tables.songs]\nkey = 'a'\n[tables.songs]\nkey = 'b'\n",
            &[
                "`[tables.songs]` is there twice (lake.toml, line 5)",
                "hint: the first is in line 3; give one of them another name",
            ],
        ),
        ("[limits]\nthreads = 1\nthreads = 2\n", &["`[limits]`: `threads` is set twice (lake.toml, line 5)"]),
        (
            "[tables.Songs]\nsql = 'models/songs.sql'\n[tables.songs]\n",
            &["the names of table `Songs` and table `songs` differ only in case (lake.toml, line 5)"],
        ),
    ]);
}

#[test]
fn faults_of_the_parts() {
    assert_faults(&[
        ("[limit]\n", &["unknown key `limit` (lake.toml, line 3)", "hint: did you mean `limits`?"]),
        ("limits = 3\n", &["`[lake]`: unknown key `limits` (lake.toml, line 3)"]),
        (
            "memory = 3\n",
            &["`[lake]`: unknown key `memory` (lake.toml, line 3)", "hint: `memory` belongs in `[limits]`"],
        ),
        ("[[sources]]\n", &["`sources` must be a table, not a list (lake.toml, line 3)"]),
        (
            "[limits]\nmemory = 'much'\nscratch = 1\nsplit_bytes = 1.5\nmax_open_files = '64'\nconcurrent_reads = -1\n",
            &[
                "`[limits]`: `memory` is `much`, which is not a size (lake.toml, line 4)",
                "hint: write bytes, or a size such as \"512MB\", \"16MiB\" or \"1.5GB\"",
                "error: `[limits]`: `scratch` must be text, not a whole number (lake.toml, line 5)",
                "error: `[limits]`: `split_bytes` must be a size, not a number with a fraction (lake.toml, line 6)",
                "error: `[limits]`: `max_open_files` must be a whole number, not a text (lake.toml, line 7)",
                "error: `[limits]`: `concurrent_reads` must be at least 1, not -1 (lake.toml, line 8)",
            ],
        ),
        (
            "[limits]\nmax_record_bytes = 0\nmemory = '0MB'\n",
            &[
                "`[limits]`: `max_record_bytes` must be at least 1, not 0 (lake.toml, line 4)",
                "error: `[limits]`: `memory` must be at least 1, not 0 (lake.toml, line 5)",
            ],
        ),
        (
            "[cluster]\nlisten = 'localhost'\nworker_timeout = '5 minuets'\nmin_workers = true\n",
            &[
                "`[cluster]`: `listen` is `localhost`, which is not an address and a port (lake.toml, line 4)",
                "hint: write them like `0.0.0.0:50051`",
                "error: `[cluster]`: `worker_timeout` is `5 minuets`, which is not a duration (lake.toml, line 5)",
                "hint: write a number and a unit, such as \"30s\", \"5m\" or \"1h 30m\"",
                "error: `[cluster]`: `min_workers` must be a whole number, not a boolean (lake.toml, line 6)",
            ],
        ),
        (
            "[cluster]\nworker_timeout = '0s'\n",
            &["`[cluster]`: `worker_timeout` must be longer than nothing (lake.toml, line 4)"],
        ),
    ]);
    assert_eq!(
        Project::new("").faults(&[]),
        ["`[lake]` is missing (lake.toml)", "hint: add `[lake]` and below it `url = \"lake\"`"],
    );
}

#[test]
fn secrets_are_refused_and_never_repeated() {
    let hint =
        "hint: secrets belong in the environment (`AWS_SECRET_ACCESS_KEY`) or in an AWS profile, never in this file";
    assert_faults(&[
        (
            "aws_secret_access_key = 'hunter2'\n",
            &["`[lake]`: `aws_secret_access_key` looks like a secret (lake.toml, line 3)", hint],
        ),
        ("session-token = 'hunter2'\n", &["`[lake]`: `session-token` looks like a secret (lake.toml, line 3)", hint]),
        ("[Passwords]\n", &["`Passwords` looks like a secret (lake.toml, line 3)", hint]),
        (
            "[sources.s]\nurl = 's3://id:hunter2@bucket/x'\nfields.access_token = 'string'\n",
            &["source `s`: `url` holds credentials (lake.toml, line 4)", hint],
        ),
    ]);
}

#[test]
fn faults_of_sources() {
    assert_faults(&[
        (
            "[sources.s]\n",
            &[
                "source `s`: `url` is missing (lake.toml, line 3)",
                "hint: add `url = \"data/s\"`",
                "error: source `s`: `fields` is missing (lake.toml, line 3)",
                "hint: add `[sources.s.fields]` and a line for every column",
            ],
        ),
        ("[sources.s]\nurl = 'd'\n[sources.s.fields]\n", &["source `s`: `fields` is empty (lake.toml, line 5)"]),
        ("[sources]\ns = 'd'\n", &["source `s` must be a table, not a text (lake.toml, line 4)"]),
        (
            "[sources.s]\nurl = 'd'\nfields.a = 'long'\nformat = 'njson'\non_change = 'fail'\nmax_quarantine_share = 5\nrecord = 1\n",
            &[
                "source `s`: `format` must be \"ndjson\" or \"json\", not `njson` (lake.toml, line 6)",
                "hint: did you mean `ndjson`?",
                "error: source `s`: `on_change` must be \"error\" or \"ignore\", not `fail` (lake.toml, line 7)",
                "error: source `s`: `max_quarantine_share` is 5, which is not from 0 to 1 (lake.toml, line 8)",
                "hint: 5 % is written `0.05`",
                "error: source `s`: unknown key `record` (lake.toml, line 9)",
                "hint: did you mean `records`?",
            ],
        ),
        (
            "[sources.s]\nurl = 'd'\nfields.a = 'long'\nrecords = 'items'\nmax_quarantine_share = -0.5\n",
            &[
                "source `s`: `records` needs `format = \"json\"` (lake.toml, line 6)",
                "error: source `s`: `max_quarantine_share` is -0.5, which is not from 0 to 1 (lake.toml, line 7)",
            ],
        ),
        (
            "[sources.my-events]\nurl = 'd'\nfields.a = 'long'\n[sources._hidden]\nurl = 'd'\nfields.a = 'long'\n",
            &[
                "`my-events` cannot be the name of a source (lake.toml, line 3)",
                "hint: a name is a letter, then letters, digits and `_`",
                "error: `_hidden` cannot be the name of a source (lake.toml, line 6)",
                "hint: a name is a letter, then letters, digits and `_`",
            ],
        ),
        (
            "[sources.s]\nurl = 'lake/raw'\nfields.a = 'long'\n[sources.t]\nurl = '.'\nfields.a = 'long'\n",
            &[
                "source `s`: `url` lies inside the lake (lake.toml, line 4)",
                "error: source `t`: the lake lies inside `url` and would be read as input (lake.toml, line 7)",
            ],
        ),
    ]);
}

#[test]
fn faults_of_urls() {
    let cases: &[(&str, &[&str])] = &[
        ("", &["is empty"]),
        (
            "gs://bucket/x",
            &[
                "is `gs://bucket/x`, and `gs` is not a storage that is known",
                "hint: write a path, `file:///…` or `s3://bucket/prefix`",
            ],
        ),
        (
            "s3a://bucket/x",
            &["is `s3a://bucket/x`, and `s3a` is not a storage that is known", "hint: did you mean `s3`?"],
        ),
        ("s3:///x", &["is `s3:///x`, which names no bucket", "hint: write `s3://bucket/prefix`"]),
        (
            "s3://bucket/x?y",
            &[
                "is `s3://bucket/x?y`, which goes on after the path with `?` or `#`",
                "hint: write `%3F` and `%23` where they are part of the path",
            ],
        ),
        (
            "file://data/x",
            &[
                "is `file://data/x`, which names another machine",
                "hint: write a path, or `file:///` and an absolute path",
            ],
        ),
    ];
    for (url, expected) in cases {
        let faults = Project::new(&format!("[lake]\nurl = '{url}'\n")).faults(&[]);
        let mut expected: Vec<_> = expected.iter().map(|&line| line.to_owned()).collect();
        expected[0] = format!("`[lake]`: `url` {} (lake.toml, line 2)", expected[0]);
        assert_eq!(faults, expected);
    }
}

#[test]
fn faults_of_fields() {
    let types = "hint: the types are string, long, double, boolean, timestamp, date, decimal, json, list, struct";
    assert_field_faults(&[
        (
            "a = 'integer'",
            &["source `s`: field `a` has unknown type `integer` (lake.toml, line 6)", "hint: did you mean `long`?"],
        ),
        ("a = 'geography'", &["source `s`: field `a` has unknown type `geography` (lake.toml, line 6)", types]),
        ("a = 3", &["source `s`: field `a` must be a type or a table, not a whole number (lake.toml, line 6)"]),
        (
            "a = { typ = 'long' }",
            &[
                "source `s`: field `a`: unknown key `typ` (lake.toml, line 6)",
                "hint: did you mean `type`?",
                "error: source `s`: field `a`: `type` is missing (lake.toml, line 6)",
                "hint: add `type = \"string\"`",
            ],
        ),
        (
            "a = { type = 'long', required = 'yes', from = 'a..b' }",
            &[
                "source `s`: field `a`: `from` has an empty key (lake.toml, line 6)",
                "error: source `s`: field `a`: `required` must be a boolean, not a text (lake.toml, line 6)",
            ],
        ),
        ("a = { type = 'long', from = [] }", &["source `s`: field `a`: `from` has an empty key (lake.toml, line 6)"]),
        (
            "a = { type = 'long', from = 3 }",
            &["source `s`: field `a`: `from` must be text or list of texts, not a whole number (lake.toml, line 6)"],
        ),
        (
            "a = 'long'\nA = 'long'",
            &["source `s`: the names of field `a` and field `A` differ only in case (lake.toml, line 7)"],
        ),
        (
            "'user id' = 'long'",
            &[
                "source `s`: `user id` cannot be the name of a field (lake.toml, line 6)",
                "hint: a name is a letter, then letters, digits and `_`",
            ],
        ),
        (
            "a = 'long'\nb = { type = 'long', from = 'a' }",
            &["source `s`: fields `a` and `b` both read `a` (lake.toml, line 7)"],
        ),
        (
            "a = { type = 'long', from = 'user.id' }\nuser = 'json'",
            &["source `s`: field `a` reads `user.id`, which lies inside `user` of field `user` (lake.toml, line 7)"],
        ),
        // One after the other in the text, but not one inside the other.
        ("a = { type = 'long', from = 'user.id' }\nb = { type = 'long', from = 'user.id2' }\nuser_id = 'long'", &[]),
    ]);
}

#[test]
fn faults_of_tables() {
    let name_hint = "hint: a name is a letter, then letters, digits and `_`";
    assert_faults(&[
        ("[tables.system]\nsql = 'models/songs.sql'\n", &["table `system` has a reserved name (lake.toml, line 3)"]),
        (
            "[tables.songs]\nsql = 'nowhere/x.sql'\nprimary_key = 'a'\n",
            &[
                "table `songs`: there is no SQL file `nowhere/x.sql` (lake.toml, line 4)",
                "error: table `songs`: unknown key `primary_key` (lake.toml, line 5)",
            ],
        ),
        (
            "[tables.songs]\nsql = 'models/empty.sql'\n",
            &["table `songs`: the SQL file `models/empty.sql` is empty (lake.toml, line 4)"],
        ),
        (
            "[tables.songs]\nsql = 5\nkey = ['a', 1, 'A']\npartition_by = ['_x', 'y', 'y']\nchecks = 'none'\n",
            &[
                "table `songs`: `sql` must be text, not a whole number (lake.toml, line 4)",
                "error: table `songs`: `key` must be text or list of texts, not a whole number (lake.toml, line 5)",
                "error: table `songs`: `key`: the names of column `a` and column `A` differ only in case (lake.toml, line 5)",
                "error: table `songs`: `partition_by`: `_x` cannot be the name of a column (lake.toml, line 6)",
                name_hint,
                "error: table `songs`: `partition_by`: column `y` is there twice (lake.toml, line 6)",
                "error: table `songs`: `checks` must be a list of tables, not a text (lake.toml, line 7)",
            ],
        ),
    ]);
}

#[test]
fn faults_of_checks() {
    let rules = "`not_null`, `unique`, `references`, `accepted_values`, `range`, `sql`";
    let no_rule = format!("table `users`: check 1: it has no rule: one of {rules} (lake.toml, line 4)");
    assert_check_faults(&[
        ("{ warn = true }", &[no_rule.as_str()]),
        (
            "{ not_null = 'a', sql = 'x' }",
            &["table `users`: check 1: it has more than one rule: `not_null`, `sql` (lake.toml, line 4)"],
        ),
        (
            "{ not_nul = 'a' }",
            &[
                "table `users`: check 1: unknown key `not_nul` (lake.toml, line 4)",
                "hint: did you mean `not_null`?",
                &format!("error: {no_rule}"),
            ],
        ),
        (
            "{ not_null = 'a b' }",
            &["table `users`: check 1: `not_null` is `a b`, which cannot be the name of a column (lake.toml, line 4)"],
        ),
        (
            "{ not_null = 'a', column = 'a' }",
            &["table `users`: check 1: `column` does not go with `not_null` (lake.toml, line 4)"],
        ),
        ("{ unique = [] }", &["table `users`: check 1: `unique` names no column (lake.toml, line 4)"]),
        ("{ unique = 'a' }, 5", &["table `users`: check 2 must be a table, not a whole number (lake.toml, line 4)"]),
        (
            "{ references = 'songs', column = 'a' }",
            &[
                "table `users`: check 1: `references` is `songs`, which is not a table and its column (lake.toml, line 4)",
                "hint: write it like `users.user_id`",
            ],
        ),
        (
            "{ references = 'user.id', column = 'a' }",
            &[
                "table `users`: a check references `user`, which is not a table (lake.toml, line 4)",
                "hint: did you mean `users`?",
            ],
        ),
        (
            "{ references = 'users.id' }",
            &["table `users`: check 1: `column` is missing (lake.toml, line 4)", "hint: add `column = \"…\"`"],
        ),
        (
            "{ accepted_values = [], column = 'a' }",
            &["table `users`: check 1: `accepted_values` is empty (lake.toml, line 4)"],
        ),
        (
            "{ accepted_values = 'a', column = 'a' }",
            &["table `users`: check 1: `accepted_values` must be a list of values, not a text (lake.toml, line 4)"],
        ),
        (
            "{ range = { min = 3, max = 2 }, column = 'a' }",
            &["table `users`: check 1: `range`: `min` 3 is above `max` 2 (lake.toml, line 4)"],
        ),
        (
            "{ range = {}, column = 'a' }",
            &["table `users`: check 1: `range`: `min`, `max` or both are missing (lake.toml, line 4)"],
        ),
        (
            "{ range = { min = nan }, column = 'a' }",
            &["table `users`: check 1: `range`: `min` must be a number, not `nan` (lake.toml, line 4)"],
        ),
        (
            "{ sql = 'models/nothing.sql' }",
            &["table `users`: check 1: there is no SQL file `models/nothing.sql` (lake.toml, line 4)"],
        ),
    ]);
}

/// Two sources, two tables, and nothing else set.
const SMALL: &str = "[lake]\nurl = 'lake'\n[tables.songs]\n[sources.events]\nurl = 'data'\n[sources.events.fields]\n\
    ts = 'timestamp'\nuser_id = { type = 'string', from = 'userId' }\n[sources.my__events]\nurl = 'other'\nfields.a = 'long'\n";

#[test]
fn the_environment_replaces_any_setting() {
    let project = Project::new(SMALL);
    let config = project
        .load(&[
            ("HOME", "/root"),
            ("LAKEWRIGHT_OTHER__LIMITS__THREADS", "x"),
            ("LAKEWRIGHT__LAKE__URL", "2024"),
            ("LAKEWRIGHT__LIMITS__MAX_RECORD_BYTES", "1MiB"),
            ("lakewright__limits__threads", "7"),
            ("LAKEWRIGHT__LIMITS__MEMORY", "\"2GB\""),
            ("LAKEWRIGHT__SOURCES__EVENTS__MAX_QUARANTINE_SHARE", "0.5"),
            ("LAKEWRIGHT__SOURCES__EVENTS__FIELDS__TS__REQUIRED", "true"),
            ("LAKEWRIGHT__SOURCES__EVENTS__FIELDS__USER_ID", "{ type = 'long', from = ['u'] }"),
            ("LAKEWRIGHT__SOURCES__MY__EVENTS__FIELDS__A", "timestamp(ms)"),
            ("LAKEWRIGHT__TABLES__SONGS__KEY", "['a', 'b']"),
            ("LAKEWRIGHT__TABLES__SONGS__PARTITION_BY", "year"),
            ("LAKEWRIGHT__TABLES__SONGS__CHECKS", "[{ not_null = 'a' }]"),
            ("LAKEWRIGHT__CLUSTER", "{ min_workers = 3 }"),
            ("LAKEWRIGHT__CLUSTER__LISTEN", "localhost:1"),
        ])
        .unwrap_or_else(|e| panic!("{e}"));
    assert!(config.lake.as_str().ends_with("/2024/"));
    let limits = &config.limits;
    assert_eq!((limits.max_record_bytes, limits.threads, limits.memory_bytes), (1 << 20, 7, 2_000_000_000));
    let events = &config.sources[0];
    assert!((events.max_quarantine_share - 0.5).abs() < f64::EPSILON);
    assert!(events.fields[0].required);
    assert_eq!(events.fields[0].field_type, FieldType::Timestamp(TimestampFormat::Rfc3339));
    assert_eq!((&events.fields[1].field_type, events.fields[1].from.join(".")), (&FieldType::Long, "u".to_owned()));
    assert_eq!(config.sources[1].fields[0].field_type, FieldType::Timestamp(TimestampFormat::EpochMilliseconds));
    let songs = &config.tables[0];
    assert_eq!(
        (songs.key.join(","), songs.partition_by.join(","), songs.checks.len()),
        ("a,b".into(), "year".into(), 1)
    );
    let cluster = config.cluster.unwrap();
    assert_eq!((cluster.listen.as_str(), cluster.min_workers), ("localhost:1", 3));
}

#[test]
fn faults_of_the_environment_name_the_variable() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("LAKEWRIGHT__LIMITS__MEMROY", "1", &["`[limits]`: unknown key `memroy`", "did you mean `memory`?"]),
        ("LAKEWRIGHT__LIMITS__MEMORY__MAX", "1", &["`[limits]`: unknown key `memory__max`"]),
        ("LAKEWRIGHT__LIMIT__MEMORY", "1", &["unknown key `limit`", "did you mean `limits`?"]),
        ("LAKEWRIGHT____X", "1", &["unknown key `__x`"]),
        (
            "LAKEWRIGHT__TABLES__SONGS__CHECKS__0",
            "1",
            &["table `songs`: unknown key `checks__0`", "did you mean `checks`?"],
        ),
        ("LAKEWRIGHT__LIMITS__THREADS", "many", &["`[limits]`: `threads` must be a whole number, not a text"]),
        ("LAKEWRIGHT__LIMITS", "many", &["`[limits]` must be a table, not a text"]),
        ("LAKEWRIGHT__SOURCES__EVNTS__URL", "x", &["no source is named `evnts`", "did you mean `events`?"]),
        (
            "LAKEWRIGHT__SOURCES__EVENTS__FIELDS__TZ__TYPE",
            "x",
            &["source `events`: no field is named `tz`", "did you mean `ts`?"],
        ),
        (
            "LAKEWRIGHT__SOURCES__EVENTS__FIELDS__TS",
            "timestmp",
            &["source `events`: field `ts` has unknown type `timestmp`", "did you mean `timestamp`?"],
        ),
        ("LAKEWRIGHT__SOURCES__EVENTS__URL", "lake", &["source `events`: `url` lies inside the lake"]),
    ];
    for (variable, value, expected) in cases {
        let mut lines = vec![format!("{} (environment variable `{variable}`)", expected[0])];
        lines.extend(expected.iter().skip(1).map(|hint| format!("hint: {hint}")));
        assert_eq!(Project::new(SMALL).faults(&[(variable, value)]), lines);
    }
}

#[test]
fn a_missing_file_is_a_fault_of_the_configuration() {
    let error = load(Path::new("/nowhere/lake.toml"), std::iter::empty()).unwrap_err();
    assert!(error.to_string().starts_with("cannot read the configuration `/nowhere/lake.toml`: "), "{error}");
    assert_eq!(error.hint.as_deref(), Some("`--config FILE` names another file"));
}

#[test]
fn the_nearest_name_is_a_few_slips_away() {
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

#[test]
fn the_documentation_lists_every_setting_with_its_type_and_default() {
    let row = |setting: &Setting| format!("| `{}` | {} | {} |", setting.key, setting.kind.describe(), setting.default);
    let documented: Vec<String> = DOCUMENTATION
        .lines()
        .filter(|line| line.starts_with("| `") && line.matches('|').count() == 5)
        .map(|line| line.splitn(5, '|').take(4).collect::<Vec<_>>().join("|") + "|")
        .collect();
    let known: Vec<String> = TABLES_OF_THE_FILE.iter().flat_map(|(_, settings)| settings.iter().map(row)).collect();
    assert_eq!(documented, known);
    for (head, _) in TABLES_OF_THE_FILE {
        assert!(DOCUMENTATION.contains(&format!("# `{head}`\n")), "{head}");
    }
}

/// Both with what is set in it and with what is only shown.
#[test]
fn the_sample_at_the_root_loads_and_shows_every_setting() {
    let config = load_text(SAMPLE);
    let names: Vec<_> = config.tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["songs", "artists", "users", "songplays", "time"]);

    // `#key = …` shows a setting, `# Words` is prose.
    let shown = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') || rest.starts_with("    ") => rest.to_owned(),
        _ => line.to_owned(),
    };
    let everything = SAMPLE.lines().map(shown).collect::<Vec<_>>().join("\n");
    let config = load_text(&everything);
    assert!(config.cluster.is_some() && config.tables[3].checks.len() == 6);
    assert_eq!(config.sources[0].format, Format::Json { records: Some("items".into()) });
    assert_shown(ROOT, &everything);
}

fn assert_shown(settings: &[Setting], text: &str) {
    for Setting { key, kind, .. } in settings {
        let is_shown = match kind {
            Kind::Section(_) | Kind::Named(_) | Kind::Fields(_) => {
                text.contains(&format!("[{key}"))
                    || text.contains(&format!(".{key}]"))
                    || text.contains(&format!("{key} = {{"))
            }
            _ => text.contains(&format!("{key} = ")),
        };
        assert!(is_shown, "`{key}` is not shown");
        assert_shown(kind.below(), text);
    }
}

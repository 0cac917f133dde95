//! Messages for faults in each part of `lake.toml`.

use super::*;

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
            "[limits]\nmax_record_bytes = 0\nmemory = '0MB'\nthreads = 2000\n",
            &[
                "`[limits]`: `max_record_bytes` must be at least 1, not 0 (lake.toml, line 4)",
                "error: `[limits]`: `memory` must be at least 1, not 0 (lake.toml, line 5)",
                "error: `[limits]`: `threads` must be at most 1024, not 2000 (lake.toml, line 6)",
            ],
        ),
        (
            "[cluster]\nlisten = 'localhost'\nworker_timeout = '5 minuets'\nmin_workers = true\n",
            &[
                "`[cluster]`: `listen` is `localhost`, which is not an address and a port (lake.toml, line 4)",
                "hint: write it like `0.0.0.0:50051`",
                "error: `[cluster]`: `worker_timeout` is `5 minuets`, which is not a duration (lake.toml, line 5)",
                "hint: write a number and a unit, such as \"30s\", \"5m\" or \"1h 30m\"",
                "error: `[cluster]`: `min_workers` must be a whole number, not a boolean (lake.toml, line 6)",
            ],
        ),
        (
            "[cluster]\ninsecure = true\nworker_timeout = '0s'\n",
            &["`[cluster]`: `worker_timeout` must be longer than 0 (lake.toml, line 5)"],
        ),
        (
            "[cluster]\nmin_workers = 2\n",
            &[
                "`[cluster]`: `0.0.0.0:50051` can be reached from other machines, and no setting restricts who may connect (lake.toml, line 3)",
                "hint: set `ca`, `cert` and `key`, or `insecure = true` on a network of your own",
            ],
        ),
        (
            "[cluster]\nlisten = '[::1]:1'\nca = 'ca.pem'\nheartbeat = '2s'\n",
            &[
                "`[cluster]`: `ca`, `cert` and `key` go together, and one is missing (lake.toml, line 5)",
                "error: `[cluster]`: `lost_after` must be at least three times as long as `heartbeat` (lake.toml, line 6)",
            ],
        ),
    ]);
    assert_eq!(
        Project::new("").faults(&[]),
        ["`[lake]` is missing (lake.toml)", "hint: add `[lake]` and below it `url = \"lake\"`"],
    );
}

#[test]
fn rules_for_connections_are_not_checked_to_read_the_lake() {
    let project = Project::new("[lake]\nurl = 'lake'\n[cluster]\nmin_workers = 2\n");
    assert!(load(&project.path().join("lake.toml"), Purpose::Look, std::iter::empty()).is_ok());
    assert_eq!(project.faults(&[]).len(), 2);
}

#[test]
fn secrets_are_rejected_and_never_repeated() {
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
            &["source `s`: `url` contains credentials (lake.toml, line 4)", hint],
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
                "source `s`: `url` is inside the lake (lake.toml, line 4)",
                "error: source `t`: the lake is inside `url` and would be read as input (lake.toml, line 7)",
                "hint: keep them apart, or exclude the lake's folder with `exclude`",
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
                "is `gs://bucket/x`, but storage `gs` is not supported",
                "hint: write a path, `file:///…` or `s3://bucket/prefix`",
            ],
        ),
        ("s3a://bucket/x", &["is `s3a://bucket/x`, but storage `s3a` is not supported", "hint: did you mean `s3`?"]),
        (
            "s3:/bucket/x",
            &[
                "is `s3:/bucket/x`, which lacks a slash of a URL",
                "hint: write `s3://bucket/prefix` or `file:///folder`",
            ],
        ),
        (
            "s3://bucket/a/../b",
            &[
                "is `s3://bucket/a/../b`, but a bucket has no folders `.` and `..`",
                "hint: write the prefix as it is in the bucket",
            ],
        ),
        ("s3:///x", &["is `s3:///x`, which names no bucket", "hint: write `s3://bucket/prefix`"]),
        (
            "s3://bucket/x?y",
            &[
                "is `s3://bucket/x`, which has a `?` or `#` after its path",
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
    let types = "hint: the types are string, long, double, boolean, timestamp, date, time, decimal, binary, json, list, map, struct";
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
        (
            "a = { type = 'long', from = [] }\nb = 'long'",
            &[
                "source `s`: field `b` reads a key, but field `a` reads the whole record, because its `from` is empty \
                 (lake.toml, line 7)",
                "hint: read the record either as a whole, or by its keys or positions",
            ],
        ),
        (
            "a = { type = 'long', from = 0 }\nb = { type = 'json', from = [] }",
            &[
                "source `s`: field `b` reads the whole record, because its `from` is empty, but field `a` reads a \
                 position of records that are arrays (lake.toml, line 7)",
                "hint: write a position, such as `from = 0` for the first item",
            ],
        ),
        (
            "a = { type = 'long', from = [] }\nb = { type = 'json', from = [] }",
            &["source `s`: fields `a` and `b` both read the whole record (lake.toml, line 7)"],
        ),
        (
            "a = { type = 'long', from = [] }\nb = { type = 'json', from_metadata = 'rest' }",
            &["source `s`: field `b` is always null, because field `a` reads the whole record (lake.toml, line 7)"],
        ),
        (
            "a = { type = 'long', from = 0 }\nb = 'long'",
            &[
                "source `s`: field `b` reads a key, but field `a` reads a position of records that are arrays \
                 (lake.toml, line 7)",
                "hint: write a position, such as `from = 0` for the first item",
            ],
        ),
        (
            "a = { type = 'long', from = true }",
            &[
                "source `s`: field `a`: `from` must be text, position, or list of keys, not a boolean (lake.toml, line 6)",
            ],
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
            &["source `s`: field `a` reads `user.id`, which is inside `user` of field `user` (lake.toml, line 7)"],
        ),
        // The text `user.id` starts `user.id2`, but neither value is inside the other.
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
                "table `songs`: SQL file `nowhere/x.sql` does not exist (lake.toml, line 4)",
                "error: table `songs`: unknown key `primary_key` (lake.toml, line 5)",
            ],
        ),
        (
            "[tables.songs]\nsql = 'models/empty.sql'\n",
            &["table `songs`: the SQL file `models/empty.sql` is empty (lake.toml, line 4)"],
        ),
        (
            "[tables.songs]\nsql = '/dev/null'\n",
            &["table `songs`: `/dev/null` is a pipe or a device, not an SQL file (lake.toml, line 4)"],
        ),
        (
            "[tables.songs]\nsql = 5\nkey = ['a', 1, 'A']\npartition_by = ['_x', 'y', 'y']\nchecks = 'none'\n",
            &[
                "table `songs`: `sql` must be text, not a whole number (lake.toml, line 4)",
                "error: table `songs`: `key` must be text or list of texts, not a whole number (lake.toml, line 5)",
                "error: table `songs`: `key`: the names of column `a` and column `A` differ only in case (lake.toml, line 5)",
                "error: table `songs`: `partition_by`: `_x` cannot be the name of a column (lake.toml, line 6)",
                name_hint,
                "error: table `songs`: `partition_by`: column `y` appears twice (lake.toml, line 6)",
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
            &["table `users`: check 1: `column` cannot be combined with `not_null` (lake.toml, line 4)"],
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
            &["table `users`: check 1: SQL file `models/nothing.sql` does not exist (lake.toml, line 4)"],
        ),
    ]);
}

#[test]
fn faults_of_fields_and_of_their_settings() {
    let field = |declaration: &str| {
        format!("[sources.s]\nurl = 'in'\npath_pattern = '(?<day>.)'\n[sources.s.fields]\nf = {declaration}\n")
    };
    for (declaration, expected) in [
        (
            "{ type = 'string', from = 'a', from_path = 'day' }",
            &["source `s`: field `f`: set only one of `from` and `from_path`"][..],
        ),
        (
            "{ type = 'string', from_path = 'year' }",
            &["source `s`: field `f`: `path_pattern` has no group `year`", "hint: name a group with `(?<year>…)`"],
        ),
        (
            "{ type = 'json', from_path = 'day' }",
            &["source `s`: field `f`: a part of a path can have every type but json, list, map and struct"],
        ),
        (
            "{ type = 'long', from_metadata = 'kee' }",
            &["source `s`: field `f`: `from_metadata` is `kee`, which is not a property", "hint: did you mean `key`?"],
        ),
        (
            "{ type = 'string', from_metadata = 'size' }",
            &["source `s`: field `f`: this property needs the type `long`"],
        ),
        (
            "{ type = 'string', from_metadata = 'rest' }",
            &["source `s`: field `f`: this property needs the type `json`"],
        ),
        (
            "{ type = 'json', from = [], aliases = 'a' }",
            &["source `s`: field `f`: `aliases` has no effect on a whole record"],
        ),
        ("{ type = 'string', aliases = 'a..b' }", &["source `s`: field `f`: `aliases` has an empty key"]),
        ("{ type = 'string', aliases = ['f'] }", &["source `s`: field `f` reads `f` twice"]),
        (
            "{ type = 'string', aliases = 'a', from_path = 'day' }",
            &["source `s`: field `f`: `aliases` has no effect on `from_path`"],
        ),
        (
            "{ type = 'string', from_document = 'a' }",
            &["source `s`: field `f`: `from_document` needs the setting `records` of the source"],
        ),
        (
            "{ type = 'string', from = -1 }",
            &["source `s`: field `f`: in `from`, only the first key can be a position, which is at least 0"],
        ),
        (
            "{ type = 'string', from = ['a', 0] }",
            &["source `s`: field `f`: in `from`, only the first key can be a position, which is at least 0"],
        ),
        (
            "{ type = 'string', thousands_separator = ',' }",
            &[
                "source `s`: field `f`: `thousands_separator` needs the type `long`, `double` or `decimal`, or a type with one inside",
            ],
        ),
        (
            "{ type = 'long', thousands_separator = '5' }",
            &[
                "source `s`: field `f`: `thousands_separator` must be one character other than a digit, `+`, `-`, `e` and `E`, not `5`",
            ],
        ),
        (
            "{ type = 'long', thousands_separator = '.' }",
            &["source `s`: field `f`: `thousands_separator` and `decimal_separator` are both `.`"],
        ),
        (
            "{ type = 'string', from = 0, aliases = 'a' }",
            &["source `s`: field `f`: `aliases` has no effect on a position"],
        ),
        ("{ type = 'long', wrap = true }", &["source `s`: field `f`: `wrap` needs a type with a list"]),
        (
            "{ type = 'long', zone = 'UTC' }",
            &[
                "source `s`: field `f`: `zone` needs a timestamp without an offset",
                "hint: write `timestamp(auto)`, or a format of `strftime` in quotes",
            ],
        ),
        (
            "{ type = 'timestamp(auto)', zone = 'Mars' }",
            &[
                "source `s`: field `f`: `zone` is `Mars`, which is not a time zone",
                "hint: write a name of the IANA database, such as \"America/New_York\"",
            ],
        ),
        (
            "{ type = 'string', from_metadata = 'key', wrap = true }",
            &["source `s`: field `f`: `wrap` has no effect on `from_metadata`"],
        ),
        (
            "{ type = 'long', on_invalid = 'nul' }",
            &[
                "source `s`: field `f`: `on_invalid` must be \"quarantine\" or \"null\", not `nul`",
                "hint: did you mean `null`?",
            ],
        ),
    ] {
        let project = Project::new(&format!("[lake]\nurl = 'lake'\n{}", field(declaration)));
        let found: Vec<String> =
            project.faults(&[]).iter().map(|line| line.replace(" (lake.toml, line 7)", "")).collect();
        assert_eq!(found, expected, "{declaration}");
    }
    for (setting, expected) in [
        (
            "encoding = 'utf-9'",
            &[
                "source `s`: `encoding` is `utf-9`, which is not a known encoding",
                "hint: write \"auto\" or a label of the WHATWG, such as \"latin1\" or \"shift_jis\"",
            ][..],
        ),
        ("path_pattern = '('", &["source `s`: `path_pattern` is not a regular expression: unclosed group"]),
        (
            "format = 'json'\nrecords = 'a[0]'",
            &[
                "source `s`: `records` has `[0]` where `.` or `[]` is expected",
                "hint: write a path of keys, such as `log.entries` or `pages[].items`; `*` stands for every key",
            ],
        ),
    ] {
        let project = Project::new(&format!(
            "[lake]\nurl = 'lake'\n[sources.s]\nurl = 'in'\nfields = {{ a = 'long' }}\n{setting}\n"
        ));
        let found: Vec<String> = project
            .faults(&[])
            .iter()
            .map(|line| line.split(" (lake.toml").next().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(found, expected, "{setting}");
    }
}

//! Settings that come from variables of the environment.

use super::*;

/// A file with two sources and two tables that sets nothing else.
const SMALL: &str = "[lake]\nurl = 'lake'\n[tables.songs]\n[sources.events]\nurl = 'data'\n[sources.events.fields]\n\
    ts = 'timestamp'\nuser_id = { type = 'string', from = 'userId' }\n[sources.my__events]\nurl = 'other'\nfields.a = 'long'\n";

#[test]
fn the_environment_overrides_any_setting() {
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
            ("LAKEWRIGHT__SOURCES__EVENTS__INCLUDE", "[a-z]*.json"),
            ("LAKEWRIGHT__SOURCES__EVENTS__EXCLUDE", "2018"),
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
    assert_eq!(
        (events.objects.include.join(","), events.objects.exclude.join(",")),
        ("[a-z]*.json".into(), "2018".into())
    );
    assert!(events.fields[0].required);
    assert_eq!(events.fields[0].field_type, FieldType::Timestamp(vec![TimestampFormat::Rfc3339]));
    assert_eq!((&events.fields[1].field_type, events.fields[1].keys().join(".")), (&FieldType::Long, "u".to_owned()));
    assert_eq!(config.sources[1].fields[0].field_type, FieldType::Timestamp(vec![TimestampFormat::EpochMilliseconds]));
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
        ("LAKEWRIGHT__SOURCES__EVENTS__URL", "lake", &["source `events`: `url` is inside the lake"]),
    ];
    for (variable, value, expected) in cases {
        let mut lines = vec![format!("{} (environment variable `{variable}`)", expected[0])];
        lines.extend(expected.iter().skip(1).map(|hint| format!("hint: {hint}")));
        assert_eq!(Project::new(SMALL).faults(&[(variable, value)]), lines);
    }
}

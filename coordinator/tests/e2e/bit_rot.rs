//! Tests of bits that change on storage: `check --deep` names the file, and no other command gives
//! a wrong answer.
//!
//! `LAKEWRIGHT_SEED` selects the bits, and `LAKEWRIGHT_FLIPS` their number per kind of file.

use std::fs;
use std::path::PathBuf;

use lakewright_s3_server::{Fault, Harm};

use crate::support::cluster::{Worker, free_port};
use crate::support::s3::TestBucket;
use crate::support::{Done, Lake, copy_folder, files_below};

const CONFIG: &str = r#"
[lake]
url = "lake"

[sources.events]
url = "in"
max_quarantine_share = 0.9

[sources.events.fields]
id = { type = "long", required = true }
name = "string"
day = "date"

[tables.days]
sql = "days.sql"
key = ["day"]

[tables.events]
sql = "events.sql"
key = ["id"]
partition_by = ["year"]
"#;

/// Queries that read every column of every row, and the system tables.
const QUERIES: &[&str] = &[
    "SELECT * FROM events ORDER BY id",
    "SELECT count(*), sum(id), max(name), min(day) FROM events WHERE name > 'name 3'",
    "SELECT * FROM days ORDER BY day",
    "SELECT * FROM system.ledger ORDER BY file_name",
    "SELECT * FROM system.quarantine ORDER BY object, byte_offset",
];

/// Creates a lake with two versions, each with rows of two partitions and a rejected record.
fn lake() -> Lake {
    let lake = Lake::of(&[
        ("lake.toml", CONFIG),
        ("days.sql", "SELECT day, count(*) AS events FROM staging.events WHERE day IS NOT NULL GROUP BY day"),
        ("events.sql", "SELECT id, name, day, CAST(2000 + id % 2 AS INT) AS year FROM staging.events"),
    ]);
    for run in 0..2 {
        let mut text = String::new();
        for id in run * 300..(run + 1) * 300 {
            let (name, day) = (id * 31 % 97, id % 28 + 1);
            text.push_str(&format!("{{\"id\": {id}, \"name\": \"name {name}\", \"day\": \"2024-02-{day:02}\"}}\n"));
        }
        text.push_str("{\"id\": \"no number\"}\n");
        lake.write(&format!("in/{run}.json"), text.as_bytes());
        lake.ok(&["run"]);
    }
    lake
}

/// Sequence of numbers that depends only on the seed.
struct Random {
    seed: u64,
    state: u64,
}

impl Random {
    fn new() -> Self {
        let seed = std::env::var("LAKEWRIGHT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
        Self { seed, state: seed }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.state >> 33).unwrap() % bound
    }
}

fn flips(default: usize) -> usize {
    std::env::var("LAKEWRIGHT_FLIPS").ok().and_then(|flips| flips.parse().ok()).unwrap_or(default)
}

/// Returns the files of the newest version below a folder of the lake.
fn files(lake: &Lake, folder: &str, extension: &str) -> Vec<PathBuf> {
    let newest = fs::read_to_string(lake.path(&format!("lake/_lake/manifest/{:020}.json", lake.version()))).unwrap();
    let all = files_below(&lake.path(&format!("lake/{folder}"))).into_iter();
    let is_named = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        extension != "parquet" || newest.contains(name)
    };
    let files: Vec<_> = all.filter(|path| path.extension().is_some_and(|e| e == extension)).filter(is_named).collect();
    assert!(!files.is_empty(), "{folder}");
    files
}

/// Changes one bit of a file; restores the file when dropped.
struct Flipped {
    path: PathBuf,
    content: Vec<u8>,
    name: String,
}

impl Flipped {
    fn new(files: &[PathBuf], random: &mut Random) -> Self {
        let path = files[random.below(files.len())].clone();
        let content = fs::read(&path).unwrap();
        let bit = random.below(content.len() * 8);
        let mut changed = content.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, changed).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        Self { name: format!("bit {bit} of `{name}` (LAKEWRIGHT_SEED={})", random.seed), path, content }
    }

    fn file(&self) -> &str {
        self.path.file_name().unwrap().to_str().unwrap()
    }
}

impl Drop for Flipped {
    fn drop(&mut self) {
        let _ = fs::write(&self.path, &self.content);
    }
}

fn answers(lake: &Lake) -> Vec<Done> {
    QUERIES.iter().map(|sql| lake.run_with(&["query", sql, "--csv"], &[])).collect()
}

/// For each kind of file of a version: `check --deep` fails and names the file. A query answers as
/// before, or fails with a storage error that names the file.
#[test]
fn a_changed_bit_in_any_file_is_named_and_no_answer_changes() {
    let lake = lake();
    let expected: Vec<String> = answers(&lake).into_iter().map(|done| done.stdout).collect();
    let whole = lake.ok(&["check", "--deep"]).stdout;
    assert!(whole.contains("0 of them damaged or missing"), "{whole}");
    let mut random = Random::new();
    let kinds = [
        ("tables", "events", "parquet", 16),
        ("tables", "days", "parquet", 8),
        ("staging", "_lake/staging", "parquet", 8),
        ("quarantine", "_lake/quarantine", "parquet", 8),
        ("ledger", "_lake/ledger", "parquet", 8),
        ("Delta logs", "events/_delta_log", "json", 8),
    ];
    for (kind, folder, extension, count) in kinds {
        let files = files(&lake, folder, extension);
        for _ in 0..flips(count) {
            let flipped = Flipped::new(&files, &mut random);
            let done = lake.run_with(&["check", "--deep"], &[]);
            assert_eq!(done.code, Some(3), "{kind}, {}: {}{}", flipped.name, done.stdout, done.stderr);
            assert!(done.stdout.contains(flipped.file()), "{kind}, {}: {}", flipped.name, done.stdout);
            assert!(done.stdout.contains("to restore: "), "{}", done.stdout);
            for ((sql, done), expected) in QUERIES.iter().zip(answers(&lake)).zip(&expected) {
                match done.code {
                    Some(0) => assert_eq!(&done.stdout, expected, "{kind}, {}: {sql}", flipped.name),
                    Some(3) => {
                        assert!(done.stderr.contains(flipped.file()), "{kind}, {}: {}", flipped.name, done.stderr)
                    }
                    other => panic!("{kind}, {}: {sql} ended with {other:?}: {}", flipped.name, done.stderr),
                }
            }
        }
    }
    let manifests = files(&lake, "_lake/manifest", "json");
    for _ in 0..flips(8) {
        let flipped = Flipped::new(&manifests[1..], &mut random);
        for arguments in [&["check", "--deep"] as &[&str], &["query", QUERIES[0]], &["run"]] {
            let error = lake.fails(arguments, 3);
            assert!(error.contains(flipped.file()), "{}: {error}", flipped.name);
        }
    }
    let documents = [lake.path("lake/_lake/consistent/2.json"), lake.path("lake/_lake/consistent/latest")];
    for document in documents {
        let _flipped = Flipped::new(std::slice::from_ref(&document), &mut random);
        let done = lake.run_with(&["check", "--deep"], &[]);
        assert_eq!(done.code, Some(3), "{}", done.stdout);
        assert!(done.stdout.contains(document.file_name().unwrap().to_str().unwrap()), "{}", done.stdout);
    }
    lake.ok(&["check", "--deep"]);
}

/// With a changed bit in a staging file, a table is built correctly or not at all.
#[test]
fn no_table_is_built_from_a_damaged_file() {
    let lake = lake();
    lake.ok(&["run", "--rebuild", "days", "--rebuild", "events"]);
    let expected = lake.checksums();
    let untouched = lake.path("untouched");
    copy_folder(&lake.path("lake"), &untouched);
    let mut random = Random::new();
    for folder in ["_lake/staging", "_lake/ledger"] {
        let files = files(&lake, folder, "parquet");
        for _ in 0..flips(8) {
            let flipped = Flipped::new(&files, &mut random);
            let done = lake.run_with(&["run", "--rebuild", "days", "--rebuild", "events"], &[]);
            match done.code {
                Some(0) => assert_eq!(lake.checksums(), expected, "{}", flipped.name),
                Some(3) => assert!(done.stderr.contains(flipped.file()), "{}: {}", flipped.name, done.stderr),
                other => panic!("{} ended with {other:?}: {}", flipped.name, done.stderr),
            }
            drop(flipped);
            fs::remove_dir_all(lake.path("lake")).unwrap();
            copy_folder(&untouched, &lake.path("lake"));
        }
    }
}

/// Workers verify digests too, and the coordinator names the file.
#[test]
fn no_worker_builds_a_table_from_a_damaged_file() {
    let port = free_port();
    let lake = lake().on_cluster(port, 1);
    let _worker = Worker::start(port, "only");
    lake.write("in/2.json", b"{\"id\": 600, \"name\": \"name 1\", \"day\": \"2024-02-01\"}\n");
    let flipped = Flipped::new(&files(&lake, "_lake/staging", "parquet"), &mut Random::new());
    let done = lake.start(&[]).end();
    assert_eq!(done.code, Some(3), "{}: {}", flipped.name, done.stderr);
    assert!(done.stderr.contains(&format!("{}` is damaged", flipped.file())), "{}: {}", flipped.name, done.stderr);
    drop(flipped);
    assert_eq!(lake.start(&[]).end().code, Some(0));
    assert_eq!(lake.number("SELECT count(*) FROM events"), 601);
}

/// Files are truncated, partly overwritten, emptied or deleted.
#[test]
fn damage_of_any_size_is_named_and_a_table_is_built_again() {
    let lake = lake();
    let expected = lake.checksums();
    let table = files(&lake, "events", "parquet").remove(0);
    let content = fs::read(&table).unwrap();
    let name = table.file_name().unwrap().to_str().unwrap();
    let middle = content.len() / 2;
    let mut zeroed = content.clone();
    zeroed[middle..middle + 512].fill(0);
    let damages: [(&str, Option<Vec<u8>>); 6] = [
        ("cut in the middle", Some(content[..middle].to_vec())),
        ("cut at its end", Some(content[..content.len() - 1].to_vec())),
        ("with a byte more", Some([&content[..], b"x"].concat())),
        ("with a sector of zeros", Some(zeroed)),
        ("empty", Some(vec![])),
        ("gone", None),
    ];
    for (damage, left) in damages {
        match left {
            Some(left) => fs::write(&table, left).unwrap(),
            None => fs::remove_file(&table).unwrap(),
        }
        let done = lake.run_with(&["check", "--deep"], &[]);
        assert_eq!(done.code, Some(3), "{damage}: {}", done.stdout);
        assert!(
            done.stdout.contains(name) && done.stdout.contains("run --rebuild events"),
            "{damage}: {}",
            done.stdout
        );
        let error = lake.fails(&["query", QUERIES[0]], 3);
        assert!(error.contains(name), "{damage}: {error}");
    }
    // The previous version does not need the file.
    lake.ok(&["check", "--deep", "--version", "1"]);
    lake.ok(&["run", "--rebuild", "events"]);
    assert_eq!(lake.checksums(), expected);
    lake.ok(&["check", "--deep"]);
}

/// An older release wrote no digests. Its lakes are still read, and `check --deep` says what it
/// could not compare.
#[test]
fn a_lake_without_digests_is_read_and_said_to_be_so() {
    let lake = lake();
    let path = lake.path("lake/_lake/manifest/00000000000000000002.json");
    let mut manifest: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    without_digests(&mut manifest);
    fs::write(&path, manifest.to_string()).unwrap();
    let done = lake.ok(&["check", "--deep"]);
    assert!(done.stdout.contains("only their sizes were compared"), "{}", done.stdout);
    assert_eq!(lake.number("SELECT count(*) FROM events"), 600);
    lake.write("in/3.json", b"{\"id\": 1000}\n");
    lake.ok(&["run"]);
    assert_eq!(lake.number("SELECT count(*) FROM events"), 601);
}

fn without_digests(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(members) => {
            members.remove("digest");
            members.values_mut().for_each(without_digests);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(without_digests),
        _ => {}
    }
}

/// Uploads carry a checksum: the server refuses an upload that was changed on its way. A response
/// that was changed on its way is read again.
#[test]
fn what_changes_on_its_way_to_or_from_s3_is_noticed() {
    let place = TestBucket::own();
    let lake = Lake::of(&[
        ("lake.toml", "[lake]\nurl = \"lake\"\n[sources.s]\nurl = \"in\"\n[sources.s.fields]\nid = \"long\"\n[tables.t]\nsql = \"t.sql\"\nkey = \"id\"\n"),
        ("t.sql", "SELECT id FROM staging.s"),
        ("in/a.json", "{\"id\": 1}\n{\"id\": 2}\n"),
    ])
    .on_s3(&place);
    let server = place.server();
    for path in ["/_lake/staging/", "/lake/t/", "/_lake/ledger/", "/_lake/manifest/"] {
        server.plan(Fault::new("PUT", path, Harm::FlipUpload));
        lake.fails(&["run"], 3);
        server.heal();
    }
    let _ = server.take_requests();
    lake.ok(&["run"]);
    let puts: Vec<_> = server.take_requests().into_iter().filter(|request| request.method == "PUT").collect();
    let unchecked = puts.iter().filter(|put| !put.headers.contains_key("x-amz-checksum-sha256"));
    assert_eq!(unchecked.map(|put| &put.path).collect::<Vec<_>>(), Vec::<&String>::new());
    server.plan(Fault::new("GET", ".parquet", Harm::Flip).times(1));
    assert_eq!(lake.number("SELECT count(*) FROM t WHERE id > 0"), 2);
    server.heal();
    server.plan(Fault::new("GET", ".parquet", Harm::Flip));
    let error = lake.fails(&["query", "SELECT id FROM t"], 3);
    assert!(error.contains(".parquet` is damaged"), "{error}");
    let deep = lake.run_with(&["check", "--deep"], &[]);
    assert_eq!(deep.code, Some(3), "{}", deep.stdout);
    assert!(deep.stdout.contains("s3://bucket/lake/t/"), "{}", deep.stdout);
    server.heal();
    lake.ok(&["check", "--deep"]);
}

/// Four tasks each read 128 objects at once although the shell allows 256 open files. If the system
/// does not allow more, the error says which limit to raise.
#[test]
fn a_low_limit_of_open_files_is_raised_or_named() {
    let lake = lake();
    for i in 0..1500 {
        lake.write(&format!("in/many/{i}.json"), format!("{{\"id\": {}}}\n", 10_000 + i).as_bytes());
    }
    let limited = |limit: &str| {
        let script = format!("{limit} && exec \"$0\" \"$@\"");
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_coordinator"), "--config"]).arg(lake.path("lake.toml"));
        command.arg("run").env("LAKEWRIGHT__LIMITS__THREADS", "4").env_remove("RUST_LOG");
        Done::of(&command.output().expect("a shell"))
    };
    // With two files more, the run can succeed, depending on how its threads are scheduled.
    let done = limited("ulimit -Sn 18 && ulimit -Hn 18");
    assert_eq!(done.code, Some(3), "{}", done.stderr);
    assert!(done.stderr.contains("ulimit -n") && done.stderr.contains("concurrent_reads"), "{}", done.stderr);
    let done = limited("ulimit -Sn 256");
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(lake.number("SELECT count(*) FROM events"), 2100);
}

#[test]
fn check_deep_needs_neither_sources_nor_models() {
    let lake = lake();
    fs::remove_dir_all(lake.path("in")).unwrap();
    let done = lake.ok(&["check", "--deep"]);
    assert!(done.stdout.contains("version 2 of the lake"), "{}", done.stdout);
    let error = lake.fails(&["check", "--deep", "--version", "9"], 2);
    assert!(error.contains("no version 9"), "{error}");
}

/// An older version can be queried even if the newest manifest cannot be read.
#[test]
fn an_older_version_is_read_where_the_newest_manifest_is_damaged() {
    let lake = lake();
    let newest = lake.path("lake/_lake/manifest/00000000000000000002.json");
    let whole = fs::read(&newest).unwrap();
    for (name, bytes) in [("empty", vec![]), ("cut", whole[..whole.len() / 2].to_vec()), ("flipped", flipped(&whole))] {
        fs::write(&newest, bytes).unwrap();
        let error = lake.fails(&["query", "SELECT count(*) FROM events"], 3);
        assert!(error.contains("version 1 has all its files"), "{name}: {error}");
        assert!(error.contains("`coordinator check --deep --version 1`"), "{name}: {error}");
        for arguments in [
            &["query", "--version", "1", "SELECT count(*) AS n FROM events", "--csv"][..],
            &["tables", "--version", "1"],
            &["check", "--deep", "--version", "1"],
        ] {
            let done = lake.ok(arguments);
            assert!(arguments[0] != "query" || done.stdout == "n\n300\n", "{name}: {}", done.stdout);
        }
    }
}

fn flipped(bytes: &[u8]) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    flipped[bytes.len() / 2] ^= 1;
    flipped
}

//! Tests of the files on storage after faults, which read manifests, Delta logs and Parquet footers
//! without code of Lakewright.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use parquet::file::reader::{FileReader, SerializedFileReader};
use serde_json::Value;

use crate::crash::add_news;
use crate::support::cluster::{Worker, free_port};
use crate::support::{Lake, files_below};

/// Numbers of rows and bytes of each file that a manifest or a log names, by path.
type Files = BTreeMap<String, (u64, u64)>;

fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("`{}`: {e}", path.display()));
    // The first line is the document. A later format may add more lines.
    serde_json::from_str(text.lines().next().unwrap_or_default())
        .unwrap_or_else(|e| panic!("`{}`: {e}", path.display()))
}

/// Returns the manifests by version.
fn manifests(lake: &Lake) -> BTreeMap<u64, Value> {
    let documents = files_below(&lake.path("lake/_lake/manifest"));
    documents.iter().map(|path| (path.file_stem().unwrap().to_str().unwrap().parse().unwrap(), json(path))).collect()
}

fn add_files(files: &mut Files, list: &Value, rows: &str) {
    for file in list.as_array().expect("a list of files") {
        let numbers = (file[rows].as_u64().expect("a number"), file["bytes"].as_u64().expect("a number"));
        let path = file["path"].as_str().expect("a path").to_owned();
        assert_eq!(files.insert(path.clone(), numbers), None, "`{path}` is named twice");
    }
}

/// Returns all Parquet files that a manifest names.
fn named(manifest: &Value) -> Files {
    let mut files = Files::new();
    for source in manifest["sources"].as_object().expect("sources").values() {
        add_files(&mut files, &source["staging"], "rows");
        add_files(&mut files, &source["quarantine"], "rows");
        add_files(&mut files, &source["ledger"], "objects");
    }
    for table in manifest["tables"].as_array().expect("tables") {
        add_files(&mut files, &table["files"], "rows");
    }
    files
}

fn assert_exists(lake: &Lake, files: &Files) {
    for (path, (rows, bytes)) in files {
        let file = fs::File::open(lake.path("lake").join(path)).unwrap_or_else(|e| panic!("`{path}`: {e}"));
        assert_eq!(file.metadata().unwrap().len(), *bytes, "bytes of `{path}`");
        let found = SerializedFileReader::new(file).unwrap().metadata().file_metadata().num_rows();
        assert_eq!(u64::try_from(found).unwrap(), *rows, "rows of `{path}`");
    }
}

/// A worker dies with a finished attempt that it never reported. Its files exist, but no manifest
/// names them.
#[test]
fn every_file_that_a_manifest_names_exists_and_none_is_of_a_lost_attempt() {
    for point in ["attempt.before_report", "table.before_report"] {
        let port = free_port();
        let lake = Lake::over_data().on_cluster(port, 1);
        let mut dying = Worker::failing_at(port, "dying", point);
        let run = lake.start(&[("LAKEWRIGHT__LIMITS__SPLIT_BYTES", "200KB")]);
        assert_eq!(dying.end(), None, "{}", dying.log());
        // Files of reported attempts are not lost, so the only lost file is the one that was
        // written last.
        let mut written: Vec<_> = files_below(&lake.path("lake"));
        written.retain(|path| path.extension().is_some_and(|extension| extension == "parquet"));
        written.sort_by_key(|path| fs::metadata(path).unwrap().modified().unwrap());
        let lost = written.pop().expect("an attempt had written a file");
        let _living = Worker::start(port, "living");
        let done = run.end();
        assert_eq!(done.code, Some(0), "{}", done.stderr);

        let manifest = &manifests(&lake)[&1];
        let files = named(manifest);
        assert_exists(&lake, &files);
        let lost = lost.strip_prefix(lake.path("lake")).unwrap().to_str().unwrap().to_owned();
        assert!(!files.contains_key(&lost), "`{lost}` of a lost attempt is named");
        // Every record is in exactly one staging file.
        let rows = |source: &str| -> u64 {
            let staging = manifest["sources"][source]["staging"].as_array().unwrap();
            staging.iter().map(|file| file["rows"].as_u64().unwrap()).sum()
        };
        assert_eq!((rows("events"), rows("songs")), (2500, 120));
        lake.verify();
    }
}

/// After kills at three steps of the commit and runs that repaired them, every entry of every log
/// contains what its manifest names.
#[test]
fn a_delta_log_replays_to_what_each_manifest_names() {
    let lake = Lake::over_data();
    let kill = |point| {
        let killed = lake.run_with(&["run"], &[("LAKEWRIGHT_FAILPOINT", point)]);
        assert_eq!(killed.code, None, "`{point}` was not reached: {}", killed.stderr);
    };
    kill("commit.after_manifest");
    add_news(&lake);
    // This fail point is reached while the run repairs what the previous run left.
    kill("delta.after_log");
    kill("commit.after_manifest");
    lake.edit("models/users.sql", "SELECT user_id, first_name", "SELECT user_id, upper(first_name) AS first_name");
    kill("consistent.before_latest");
    lake.ok(&["run"]);
    assert_eq!(lake.version(), 3);
    let manifests = manifests(&lake);
    let newest = manifests.last_key_value().expect("a manifest").1;
    for table in newest["tables"].as_array().unwrap() {
        let name = table["name"].as_str().unwrap();
        let mut live = Files::new();
        let mut last = 0;
        let mut entries = files_below(&lake.path("lake").join(name).join("_delta_log"));
        entries.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        for (version, entry) in entries.iter().enumerate() {
            assert_eq!(entry.file_stem().unwrap().to_str().unwrap(), format!("{version:020}"), "table `{name}`");
            let number = replay(entry, &mut live);
            assert!(number > last, "table `{name}`: manifest {number} comes after {last}");
            last = number;
            assert_eq!(live, files_of(&manifests[&number], name), "table `{name}` at manifest {number}");
        }
        assert_eq!(Some(last), table["changed_in"].as_u64(), "the log of `{name}`");
    }
    let latest = json_of_many_lines(&lake.path("lake/_lake/consistent/latest"));
    assert_eq!(latest["manifest"].as_u64(), Some(lake.version()));
    lake.verify();
}

fn json_of_many_lines(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Applies one log entry to `live`. Returns the version of the manifest that the entry publishes.
fn replay(entry: &Path, live: &mut Files) -> u64 {
    let mut numbers = BTreeSet::new();
    for line in fs::read_to_string(entry).unwrap().lines() {
        let action: Value = serde_json::from_str(line).unwrap();
        if action["txn"]["appId"] == "lakewright" {
            numbers.insert(action["txn"]["version"].as_u64().unwrap());
        }
        // No folder of the songs has a character that a path in a log escapes.
        if let Some(path) = action["remove"]["path"].as_str() {
            assert!(live.remove(path).is_some(), "`{path}` is removed and was not there");
        }
        if let Some(path) = action["add"]["path"].as_str() {
            let statistics: Value = serde_json::from_str(action["add"]["stats"].as_str().unwrap()).unwrap();
            let numbers = (statistics["numRecords"].as_u64().unwrap(), action["add"]["size"].as_u64().unwrap());
            assert_eq!(live.insert(path.to_owned(), numbers), None, "`{path}` is added twice");
        }
    }
    assert_eq!(numbers.len(), 1, "`{}`", entry.display());
    numbers.pop_first().expect("a transaction")
}

/// Returns the files of a table in a manifest, with paths relative to the table.
fn files_of(manifest: &Value, table: &str) -> Files {
    let tables = manifest["tables"].as_array().unwrap();
    let table_state = tables.iter().find(|state| state["name"] == table).expect("the table is in the manifest");
    let mut files = Files::new();
    add_files(&mut files, &table_state["files"], "rows");
    let below = |path: String| path.strip_prefix(&format!("{table}/")).expect("a file of the table").to_owned();
    files.into_iter().map(|(path, numbers)| (below(path), numbers)).collect()
}

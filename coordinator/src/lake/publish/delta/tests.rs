//! Tests of logs that are rolled forward once, repeatedly, by many processes and after a crash. The
//! Delta library then reads each log, and the files are compared with the manifest.

use std::collections::BTreeMap;
use std::sync::Arc;

use deltalake_core::DeltaTable;
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::*;
use crate::lake::publish::{CHECKPOINT_INTERVAL, catch_up, consistent};
use crate::lake::{LakePath, fixture, manifest_store};

mod fuzz;

/// Rolls the logs forward, requires success, and returns their versions.
async fn rolled(lake: &Storage, manifest: &Manifest) -> BTreeMap<String, u64> {
    let rolled = roll_forward(lake, manifest).await;
    assert!(rolled.failures.is_empty(), "{:?}", rolled.failures);
    rolled.versions
}

/// Commits a manifest without rolling any log forward, like a process that dies right after its
/// commit.
async fn commit(lake: &Storage, manifest: &Manifest) {
    fixture::write_files(lake, manifest).await;
    assert_eq!(manifest_store::commit(lake, manifest).await.unwrap(), manifest_store::Commit::Committed);
}

/// Returns the files that a reader sees at a version, sorted: key in the lake and partition value.
async fn files_at(lake: &Storage, table: &str, version: Option<u64>) -> Vec<(String, Option<String>)> {
    let mut delta = DeltaTable::new(log_store::log_store(lake, table));
    match version {
        Some(version) => delta.load_version(version).await.unwrap(),
        None => delta.load().await.unwrap(),
    }
    let snapshot = delta.snapshot().unwrap();
    let log = delta.log_store();
    let views: Vec<_> = snapshot.snapshot().file_views(log.as_ref(), None).try_collect().await.unwrap();
    let mut files: Vec<_> = views
        .iter()
        .map(|view| {
            assert_eq!((view.size(), view.num_records()), (4, Some(10)));
            (format!("{table}/{}", view.path()), view.partition_values_map()["year"].clone())
        })
        .collect();
    files.sort();
    files
}

fn files_of(manifest: &Manifest, table: &str) -> Vec<(String, Option<String>)> {
    let files = &manifest.table(table).unwrap().files;
    let mut files: Vec<_> =
        files.iter().map(|file| (file.written.path.clone(), file.written.partition_values["year"].clone())).collect();
    files.sort();
    files
}

/// Returns the names of a log's entries and checkpoints.
async fn log_files(lake: &Storage, table: &str) -> Vec<String> {
    let folder = LakePath::DeltaLog(table).key();
    let objects: Vec<_> = lake.store.list(Some(&folder)).try_collect().await.unwrap();
    let mut names: Vec<_> = objects.iter().map(|object| object.location.filename().unwrap().to_owned()).collect();
    names.sort();
    names
}

fn versions(pairs: &[(&str, u64)]) -> BTreeMap<String, u64> {
    pairs.iter().map(|(table, version)| ((*table).to_owned(), *version)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_holds_what_the_manifest_names_however_often_it_is_rolled() {
    let (_folder, lake) = fixture::lake();
    let odd = ["year=x%3Dy/a", "year=a%2520b/b", "year=a%20b/c", "d"];
    let first = fixture::manifest(1, &[("songs", &odd), ("plays", &["year=1/p"])]);
    commit(&lake, &first).await;
    for _ in 0..2 {
        assert_eq!(rolled(&lake, &first).await, versions(&[("songs", 0), ("plays", 0)]));
    }
    let second = fixture::next(&first, &[("songs", &["year=x%3Dy/a", "year=2/e"])]);
    commit(&lake, &second).await;
    for _ in 0..2 {
        assert_eq!(rolled(&lake, &second).await, versions(&[("songs", 1), ("plays", 0)]));
    }
    for table in ["songs", "plays"] {
        assert_eq!(files_at(&lake, table, None).await, files_of(&second, table));
        assert_eq!(files_at(&lake, table, Some(0)).await, files_of(&first, table));
    }
    // A process with the older manifest finds nothing to do, and does not report version 1 of
    // `songs`, which belongs to the newer manifest.
    assert_eq!(rolled(&lake, &first).await, versions(&[("plays", 0)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn several_manifests_that_a_crash_left_become_one_version_each() {
    let (_folder, lake) = fixture::lake();
    let first = fixture::manifest(1, &[("songs", &["a"]), ("plays", &["p"])]);
    let second = fixture::next(&first, &[("songs", &["b"])]);
    let third = fixture::next(&second, &[("plays", &["q"])]);
    let fourth = fixture::next(&third, &[("songs", &["b", "c"])]);
    for manifest in [&first, &second, &third, &fourth] {
        commit(&lake, manifest).await;
    }
    // The process died after the first table of the first manifest.
    let mut history = History::new(&lake, Some(&first));
    roll_table(&mut history, &first, &first.tables[0], MAX_ATTEMPTS).await.unwrap();

    assert_eq!(rolled(&lake, &fourth).await, versions(&[("songs", 2), ("plays", 1)]));
    for (version, manifest) in [(0, &first), (1, &second), (2, &fourth)] {
        assert_eq!(files_at(&lake, "songs", Some(version)).await, files_of(manifest, "songs"));
    }
    for (version, manifest) in [(0, &first), (1, &third)] {
        assert_eq!(files_at(&lake, "plays", Some(version)).await, files_of(manifest, "plays"));
    }
}

/// Eight processes publish the same manifests, and still every change is one version.
#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_commit_each_manifest_once() {
    let (_folder, lake) = fixture::lake();
    let lake = Arc::new(lake);
    let mut latest = fixture::manifest(1, &[("songs", &["1"])]);
    commit(&lake, &latest).await;
    for number in 2..=6 {
        latest = fixture::next(&latest, &[("songs", &[&number.to_string()])]);
        commit(&lake, &latest).await;
    }
    let mut processes = Vec::new();
    for _ in 0..8 {
        let (lake, latest) = (Arc::clone(&lake), latest.clone());
        processes.push(tokio::spawn(async move { rolled(&lake, &latest).await }));
    }
    for process in processes {
        assert_eq!(process.await.unwrap(), versions(&[("songs", 5)]));
    }
    assert_eq!(log_files(&lake, "songs").await.len(), 6);
    assert_eq!(files_at(&lake, "songs", None).await, files_of(&latest, "songs"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_to_a_log_entry_does_not_repeat_it() {
    let store = fixture::ForgetfulStore::new(0, 0);
    let lake = fixture::lake_on(Arc::clone(&store) as _);
    let first = fixture::manifest(1, &[("songs", &["a"])]);
    commit(&lake, &first).await;
    store.lost_answers.store(1, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(rolled(&lake, &first).await, versions(&[("songs", 0)]));
    assert_eq!(log_files(&lake, "songs").await, ["00000000000000000000.json"]);
}

/// A table is removed from `lake.toml` and added again: the files that its log still has are
/// removed.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_comes_back_replaces_what_its_log_held() {
    let (_folder, lake) = fixture::lake();
    let first = fixture::manifest(1, &[("songs", &["a"])]);
    let mut second = fixture::next(&first, &[]);
    second.tables.clear();
    let third = fixture::next(&second, &[("songs", &["b"])]);
    commit(&lake, &first).await;
    rolled(&lake, &first).await;
    for manifest in [&second, &third] {
        commit(&lake, manifest).await;
    }
    assert_eq!(rolled(&lake, &third).await, versions(&[("songs", 1)]));
    assert_eq!(files_at(&lake, "songs", None).await, files_of(&third, "songs"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_has_a_checkpoint_every_fifty_versions_and_rolls_on_from_it() {
    let (_folder, lake) = fixture::lake();
    let mut latest = fixture::manifest(1, &[("songs", &["0"])]);
    commit(&lake, &latest).await;
    for number in 1..=CHECKPOINT_INTERVAL {
        latest = fixture::next(&latest, &[("songs", &[&number.to_string(), "year=x%3Dy/z"])]);
        commit(&lake, &latest).await;
    }
    assert_eq!(rolled(&lake, &latest).await, versions(&[("songs", 50)]));
    let names = log_files(&lake, "songs").await;
    assert!(names.contains(&"00000000000000000050.checkpoint.parquet".to_owned()), "{names:?}");
    assert!(names.contains(&"_last_checkpoint".to_owned()), "{names:?}");

    // Now only the checkpoint shows the last version of the log.
    for version in 0..CHECKPOINT_INTERVAL {
        lake.store.delete(&LakePath::DeltaCommit { table: "songs", version }.key()).await.unwrap();
    }
    assert_eq!(rolled(&lake, &latest).await, versions(&[("songs", 50)]));
    let next = fixture::next(&latest, &[("songs", &["year=x%3Dy/z"])]);
    commit(&lake, &next).await;
    assert_eq!(rolled(&lake, &next).await, versions(&[("songs", 51)]));
    assert_eq!(files_at(&lake, "songs", None).await, files_of(&next, "songs"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_another_program_is_left_alone() {
    let (_folder, lake) = fixture::lake();
    let entry = r#"{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}
{"metaData":{"id":"x","format":{"provider":"parquet","options":{}},"schemaString":"{\"type\":\"struct\",\"fields\":[]}","partitionColumns":[],"configuration":{}}}"#;
    lake.store.put(&LakePath::DeltaCommit { table: "songs", version: 0 }.key(), entry.into()).await.unwrap();
    let manifest = fixture::manifest(1, &[("songs", &["a"])]);
    commit(&lake, &manifest).await;
    let error = roll_forward(&lake, &manifest).await.failures.remove(0).error;
    assert!(error.message.contains("did not write"), "{error}");
    assert_eq!(log_files(&lake, "songs").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_that_belong_together_are_published_once_all_are_there() {
    let (folder, lake) = fixture::lake();
    assert_eq!(consistent::latest(&lake).await.unwrap(), None);
    let first = fixture::manifest(1, &[("songs", &["a"]), ("plays", &["p"])]);
    let second = fixture::next(&first, &[("plays", &["q"])]);
    for manifest in [&first, &second] {
        commit(&lake, manifest).await;
        for _ in 0..2 {
            catch_up(&lake, manifest).await.unwrap();
        }
    }
    let published = consistent::latest(&lake).await.unwrap().unwrap();
    assert_eq!(published.manifest, 2);
    assert_eq!((published.version("songs"), published.version("plays")), (Some(0), Some(1)));
    assert_eq!(published.tables["plays"].path, "plays");

    // A late process neither moves the pointer back nor publishes versions that it does not know.
    let versions = rolled(&lake, &first).await;
    consistent::publish(&lake, &first, &versions).await.unwrap();
    assert_eq!(consistent::latest(&lake).await.unwrap().unwrap(), published);
    assert_eq!(consistent::at(&lake, &second).await.unwrap().unwrap(), published);
    // A document of another manifest with the same version does not count.
    assert_eq!(consistent::at(&lake, &fixture::next(&first, &[])).await.unwrap(), None);
    let text = std::fs::read_to_string(folder.path().join("_lake/consistent/1.json")).unwrap();
    assert!(text.contains("\"version\": 0") && !text.contains("\"version\": 1"), "{text}");
    // A document of a manifest that does not exist is replaced.
    let of_nothing = r#"{"manifest": 99, "tables": {}}"#;
    lake.store.put(&LakePath::ConsistentLatest.key(), of_nothing.into()).await.unwrap();
    catch_up(&lake, &second).await.unwrap();
    assert_eq!(consistent::latest(&lake).await.unwrap().unwrap(), published);
    let names: Vec<Path> = vec![LakePath::Consistent(1).key(), LakePath::Consistent(2).key()];
    for name in names {
        lake.store.head(&name).await.unwrap();
    }
}

/// The kernel decodes the path of a folder's URL twice, and must still find the right folder.
#[tokio::test(flavor = "multi_thread")]
async fn a_lake_in_a_folder_with_a_percent_sign_has_logs_and_checkpoints() {
    let (_folder, lake) = fixture::lake_below("100% a%20b %2F ");
    let mut latest = fixture::manifest(1, &[("songs", &["0"])]);
    commit(&lake, &latest).await;
    for number in 1..=CHECKPOINT_INTERVAL {
        latest = fixture::next(&latest, &[("songs", &[&number.to_string(), "year=x%3Dy/z"])]);
        commit(&lake, &latest).await;
        assert_eq!(rolled(&lake, &latest).await, versions(&[("songs", number)]));
    }
    for version in 0..CHECKPOINT_INTERVAL {
        lake.store.delete(&LakePath::DeltaCommit { table: "songs", version }.key()).await.unwrap();
    }
    let next = fixture::next(&latest, &[("songs", &["year=x%3Dy/z"])]);
    commit(&lake, &next).await;
    assert_eq!(rolled(&lake, &next).await, versions(&[("songs", 51)]));
    assert_eq!(files_at(&lake, "songs", None).await, files_of(&next, "songs"));
}

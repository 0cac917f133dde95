//! Fuzz test that reads any bytes as a manifest and as an entry of a Delta log: they are accepted
//! or refused, without a panic.

use std::sync::Arc;

use lakewright_fuzz::Target;
use object_store::memory::InMemory;

use super::*;
use crate::lake::manifest;

const WORDS: &[&str] = &[
    "\"format\":1",
    "\"version\":1",
    "\"parent\":null",
    "\"sources\":{",
    "\"tables\":[",
    "\"files\":[",
    "\"path\":\"",
    "../",
    "%2F",
    "\"rows\":",
    "\"bytes\":",
    "\"type\":\"",
    "decimal(38,9)",
    "\"added_in\":",
    "{\"txn\":",
    "{\"add\":{",
    "{\"remove\":{",
    "{\"metaData\":{",
    "{\"protocol\":{",
    "\"minReaderVersion\":",
    "\"version\":",
    "\"lakewright\"",
    "schemaString",
    "\\\"",
    "null",
    "\n",
];

#[test]
fn any_bytes_are_a_manifest_or_are_refused() {
    let first = fixture::manifest(1, &[("songs", &["year=1/x", "year=a%2520b/y"]), ("users", &["z"])]);
    let second = fixture::next(&first, &[("songs", &["year=1/x"])]);
    let seeds = [&first, &second].map(|manifest| manifest.encode().unwrap()).to_vec();
    Target { name: "manifest", words: WORDS, seeds }.run(|input| {
        let _ = manifest::run_of(input);
        let decoded = [1, 2].map(|number| Manifest::decode(number, input));
        // Skip the first checks of `decode`, which hardly any changed input passes.
        let parsed = serde_json::from_slice::<Manifest>(input);
        let outcome = match (&decoded, &parsed) {
            ([Err(e), _], Err(parsed)) => format!("{e} {parsed}"),
            _ => "read".to_owned(),
        };
        for manifest in decoded.into_iter().flatten().chain(parsed) {
            let bytes = manifest.encode().unwrap();
            assert_eq!(Manifest::decode(manifest.version, &bytes).unwrap_or_else(|_| manifest.clone()), manifest);
            let _ = manifest.new_keys();
            for table in &manifest.tables {
                let _ = (table.columns.arrow_schema(), table.columns.delta_schema(), table.name.len());
                let before = Some(first.tables[0].clone());
                let change = actions::Change { before, ..actions::Change::new(&manifest, table.clone()) };
                let _ = actions::encode(&change, None);
            }
        }
        outcome
    });
}

#[test]
fn any_bytes_in_a_delta_log_are_read_or_refused() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let first = fixture::manifest(1, &[("songs", &["year=1/x", "year=a%2520b/y"])]);
    let second = fixture::next(&first, &[("songs", &["year=1/x"])]);
    // The log after the first manifest. The second one is not published yet.
    let lake = fixture::lake_on(Arc::new(InMemory::new()));
    let entry = runtime.block_on(async {
        commit(&lake, &first).await;
        rolled(&lake, &first).await;
        commit(&lake, &second).await;
        let key = LakePath::DeltaCommit { table: "songs", version: 0 }.key();
        lake.store.get(&key).await.unwrap().bytes().await.unwrap()
    });
    let target = Target { name: "delta_log", words: WORDS, seeds: vec![entry.to_vec()] };
    target.run(|input| {
        runtime.block_on(async {
            let lake = fixture::lake_on(Arc::new(InMemory::new()));
            commit(&lake, &first).await;
            commit(&lake, &second).await;
            let key = LakePath::DeltaCommit { table: "songs", version: 0 }.key();
            lake.store.put(&key, input.to_vec().into()).await.unwrap();
            let position = table_log::position(&lake, "songs").await;
            let failures = roll_forward(&lake, &second).await.failures;
            let outcome = match (position, failures.first()) {
                (Err(e), failure) => format!("{e} {failure:?}"),
                (Ok(position), Some(failure)) => format!("{} {}", position.is_some(), failure.error),
                (Ok(_), None) => "rolled forward".to_owned(),
            };
            // The kernel runs on threads of its own, where a panic becomes an error. A backtrace in
            // an error of the kernel names `std::panicking` without a panic.
            assert!(!outcome.contains("panicked"), "{outcome}");
            outcome
        })
    });
}

//! Property tests with any history of commits, roll-forwards, commits of another program, deleted
//! manifests and overwrites. A log is rolled forward if and only if it has the content that our
//! newest entry left. Afterwards it equals the newest manifest.

use std::collections::BTreeSet;

use object_store::ObjectStoreExt;
use proptest::prelude::*;
use serde_json::json;

use super::super::overwrite::overwrite;
use super::super::roll_forward;
use super::*;
use crate::lake::manifest::DataFile;
use crate::lake::{fixture, manifest_store};

/// An event in the history of a lake with one table.
#[derive(Debug, Clone)]
enum Step {
    /// A run commits these files, and dies before it publishes.
    Commit(Vec<u8>),
    Publish,
    /// Another program adds a file to the log.
    Add(u8),
    /// Another program removes a live file.
    Remove(prop::sample::Index),
    /// Another program commits nothing.
    Empty,
    /// The newest manifest is deleted.
    Forget,
    Overwrite,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => prop::collection::vec(0..6_u8, 1..4).prop_map(Step::Commit),
        3 => Just(Step::Publish),
        1 => (0..8_u8).prop_map(Step::Add),
        1 => any::<prop::sample::Index>().prop_map(Step::Remove),
        1 => Just(Step::Empty),
        1 => Just(Step::Forget),
        1 => Just(Step::Overwrite),
    ]
}

/// A lake, and the expected state of its log.
struct Model {
    lake: Storage,
    manifests: Vec<Manifest>,
    /// Manifest that our newest entry in the log names.
    rolled: Option<Manifest>,
    live: BTreeSet<String>,
}

fn files_of(manifest: &Manifest) -> BTreeSet<String> {
    let name = |file: &DataFile| file.written.path.trim_start_matches("songs/").to_owned();
    manifest.tables[0].files.iter().map(name).collect()
}

impl Model {
    /// Returns whether the log has the content that the manifests describe.
    fn is_in_order(&self) -> bool {
        self.rolled.as_ref().is_none_or(|rolled| {
            let is_known = self.manifests.iter().any(|manifest| manifest.run == rolled.run);
            is_known && files_of(rolled) == self.live
        })
    }

    async fn commit(&mut self, files: &[u8]) {
        let names: BTreeSet<String> = files.iter().map(|file| format!("f{file}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let tables = [("songs", names.as_slice())];
        let manifest = match self.manifests.last() {
            None => fixture::manifest(1, &tables),
            Some(last) => fixture::next(last, &tables),
        };
        fixture::write_files(&self.lake, &manifest).await;
        assert_eq!(manifest_store::commit(&self.lake, &manifest).await.unwrap(), manifest_store::Commit::Committed);
        self.manifests.push(manifest);
    }

    async fn publish(&mut self) {
        let Some(latest) = self.manifests.last() else { return };
        let rolled = roll_forward(&self.lake, latest).await;
        assert_eq!(rolled.failures.is_empty(), self.is_in_order(), "{:?}", rolled.failures);
        if rolled.failures.is_empty() {
            self.rolled = Some(latest.clone());
            self.live = files_of(latest);
        }
    }

    /// Commits `action` as another program, if a log exists.
    async fn commit_elsewhere(&mut self, action: Option<serde_json::Value>) {
        if self.rolled.is_none() {
            return;
        }
        let version = table_log::position(&self.lake, "songs").await.unwrap().unwrap().version + 1;
        let info = json!({ "commitInfo": { "operation": "WRITE", "engineInfo": "other" } });
        let text = action.map_or_else(|| info.to_string(), |action| format!("{info}\n{action}"));
        let outcome = table_log::put_version(&self.lake, "songs", version, text.into()).await.unwrap();
        assert_eq!(outcome, lakewright_common::storage::PutOutcome::Created);
    }

    async fn take(&mut self, step: &Step) {
        match step {
            Step::Commit(files) => self.commit(files).await,
            Step::Publish => self.publish().await,
            Step::Add(file) => {
                let name = format!("f{file}");
                let add = json!({ "add": { "path": name, "partitionValues": { "year": null }, "size": 4,
                    "modificationTime": 1, "dataChange": true } });
                self.commit_elsewhere(Some(add)).await;
                if self.rolled.is_some() {
                    self.live.insert(name);
                }
            }
            Step::Remove(index) if self.rolled.is_some() && !self.live.is_empty() => {
                let name = self.live.iter().nth(index.index(self.live.len())).unwrap().clone();
                let remove = json!({ "remove": { "path": name, "deletionTimestamp": 1, "dataChange": true } });
                self.commit_elsewhere(Some(remove)).await;
                self.live.remove(&name);
            }
            Step::Remove(_) => {}
            Step::Empty => self.commit_elsewhere(None).await,
            Step::Forget => {
                if self.manifests.len() > 1 {
                    let newest = self.manifests.pop().unwrap();
                    self.lake.store.delete(&LakePath::Manifest(newest.version).key()).await.unwrap();
                }
            }
            Step::Overwrite => {
                let Some(latest) = self.manifests.last().cloned() else { return };
                let (manifest, overwritten) = overwrite(&self.lake, "songs").await.unwrap();
                assert_eq!(manifest, latest);
                let wanted = files_of(&latest);
                if self.rolled.is_some() && overwritten.correction.is_none() {
                    // A log that is only behind is not changed.
                    assert_eq!(self.live, wanted);
                } else {
                    self.rolled = Some(latest);
                    self.live = wanted;
                }
            }
        }
        self.verify().await;
    }

    /// Compares the files that a Delta reader sees with the expected ones.
    async fn verify(&self) {
        let Some(position) = table_log::position(&self.lake, "songs").await.unwrap() else {
            assert!(self.rolled.is_none());
            return;
        };
        let live = table_log::live_files(&self.lake, "songs", position.version).await.unwrap();
        let live: BTreeSet<String> = live.into_iter().map(|file| file.path).collect();
        assert_eq!(live, self.live);
        assert_eq!(position.manifest, self.rolled.as_ref().map(|rolled| rolled.version));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_log_is_rolled_forward_if_and_only_if_it_holds_what_the_manifests_tell(
        steps in prop::collection::vec(step(), 1..14)
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let (_folder, lake) = fixture::lake();
            let mut model = Model { lake, manifests: vec![], rolled: None, live: BTreeSet::new() };
            for step in &steps {
                model.take(step).await;
            }
        });
    }
}

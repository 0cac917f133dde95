//! Tests of putting objects, and of syncing and opening folders.

use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;

use super::*;
use crate::error::Kind;

async fn lake() -> (tempfile::TempDir, Storage) {
    let folder = tempfile::Builder::new().prefix("my lake 100%").tempdir().unwrap();
    let storage =
        open_or_create(&Location::of(Url::from_directory_path(folder.path().join("new/lake")).unwrap())).await.unwrap();
    (folder, storage)
}

async fn get(storage: &Storage, key: &Path) -> Bytes {
    storage.store.get(key).await.unwrap().bytes().await.unwrap()
}

#[test]
fn an_object_of_a_bucket_is_named_by_its_key() {
    for (url, name) in [
        ("s3://analytics/my%20lake/", "s3://analytics/my lake/t/k=A%3DB/x"),
        ("s3://analytics/caf\u{e9}/50%25/", "s3://analytics/caf\u{e9}/50%/t/k=A%3DB/x"),
    ] {
        let storage = Storage::new(Arc::new(InMemory::new()), Location::of(Url::parse(url).unwrap()));
        assert_eq!(storage.name_of("t/k=A%3DB/x"), name);
    }
}

#[tokio::test]
async fn a_put_creates_what_is_not_there_and_leaves_what_is() {
    let (_folder, local) = lake().await;
    let memory = Storage::new(Arc::new(InMemory::new()), Location::of(Url::parse("memory:///").unwrap()));
    for storage in [local, memory] {
        for key in ["_lake/manifest/1.json", "t/year=a%2520b/x {1}#.json"] {
            let key = Path::parse(key).unwrap();
            assert_eq!(storage.put_if_absent(&key, "first".into()).await.unwrap(), PutOutcome::Created);
            assert_eq!(storage.put_if_absent(&key, "second".into()).await.unwrap(), PutOutcome::Exists);
            assert_eq!(get(&storage, &key).await, "first");
        }
        let listed: Vec<_> = storage.store.list(None).try_collect().await.unwrap();
        assert_eq!(listed.len(), 2, "no temporary file is left");
        storage.sync_files(&[Path::parse("_lake/manifest/1.json").unwrap()]).await.unwrap();
    }
}

#[tokio::test]
async fn nothing_is_left_of_a_put_but_its_object() {
    let (_folder, lake) = lake().await;
    let key = Path::parse("_lake/manifest/1.json").unwrap();
    for _ in 0..2 {
        let _ = lake.put_if_absent(&key, "x".into()).await.unwrap();
    }
    let files: Vec<_> = fs::read_dir(lake.local_root().unwrap().unwrap().join("_lake/manifest")).unwrap().collect();
    assert_eq!(files.len(), 1);
}

/// One of many concurrent puts of a key creates the object, with its complete text.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn one_of_many_puts_wins() {
    let (_folder, lake) = lake().await;
    for round in 0..10 {
        let key = Path::from(format!("_lake/manifest/{round}.json"));
        let puts = (0..16).map(|i| {
            let (lake, key) = (lake.clone(), key.clone());
            let text = format!("{i}-").repeat(1000);
            tokio::spawn(async move { (lake.put_if_absent(&key, text.clone().into()).await.unwrap(), text) })
        });
        let mut winners = Vec::new();
        for put in puts.collect::<Vec<_>>() {
            let (outcome, text) = put.await.unwrap();
            if outcome == PutOutcome::Created {
                winners.push(text);
            }
        }
        assert_eq!(winners.len(), 1);
        assert_eq!(get(&lake, &key).await, winners[0]);
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_cannot_be_synced() {
    let (_folder, lake) = lake().await;
    let error = lake.sync_files(&[Path::from("songs/gone.parquet")]).await.unwrap_err();
    assert_eq!(error.kind, Kind::Storage);
    assert!(error.to_string().contains("gone.parquet"), "{error}");
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_opened_only_if_asked_to_make_it() {
    let folder = tempfile::tempdir().unwrap();
    let url = Url::from_directory_path(folder.path().join("a/b c")).unwrap();
    let at = Location::of(url.clone());
    assert!(open_if_exists(&at).await.unwrap().is_none());
    let error = open(&at).await.unwrap_err();
    assert_eq!(error.kind, Kind::Storage);
    assert!(error.to_string().contains(url.as_str()), "{error}");
    open_or_create(&at).await.unwrap();
    assert_eq!(open(&at).await.unwrap().root, url);
    fs::write(folder.path().join("file"), "").unwrap();
    let file = Url::from_directory_path(folder.path().join("file")).unwrap();
    let error = open(&Location::of(file)).await.unwrap_err().to_string();
    assert!(error.contains("not a folder"), "{error}");
}

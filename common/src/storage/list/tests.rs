//! Tests of folders with links, hidden files and unusual names.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::sync::Arc;

use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use url::Url;

use super::*;
use crate::config::resolved::Location;
use crate::storage::open;

struct Folder(tempfile::TempDir);

impl Folder {
    fn with(files: &[&str]) -> Self {
        let folder = Self(tempfile::Builder::new().prefix("_hidden above [1] 100%").tempdir().unwrap());
        for file in files {
            folder.write(file.as_ref());
        }
        folder
    }

    fn write(&self, file: &FilePath) {
        let path = self.0.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file.as_os_str().as_encoded_bytes()).unwrap();
    }

    async fn storage(&self) -> Storage {
        open(&Location::of(Url::from_directory_path(self.0.path()).unwrap())).await.unwrap()
    }

    async fn keys(&self) -> Vec<String> {
        list_objects(&self.storage().await, &ObjectPatterns::default(), false)
            .await
            .unwrap()
            .objects
            .into_iter()
            .map(|object| object.key)
            .collect()
    }

    async fn error(&self) -> String {
        list_objects(&self.storage().await, &ObjectPatterns::default(), false).await.unwrap_err().to_string()
    }
}

#[tokio::test]
async fn all_files_are_listed_in_order_but_hidden_ones() {
    let visible = ["2018/11/a.json", "2018/11/b.json", "2018/z.json", "a.json.gz", "b"];
    let hidden =
        [".DS_Store", "2018/.ipynb_checkpoints/a.json", "_SUCCESS", "2018/_temporary/0/a.json", "2018/11/.a.json.swp"];
    let folder = Folder::with(&[visible.as_slice(), &hidden].concat());
    assert_eq!(folder.keys().await, visible);
    let store = InMemory::new();
    for file in [visible.as_slice(), &hidden].concat() {
        store.put(&Path::from(file), "x".into()).await.unwrap();
    }
    let storage = Storage::new(Arc::new(store), Location::of(Url::parse("memory:///").unwrap()));
    let keys: Vec<_> = list_objects(&storage, &ObjectPatterns::default(), false)
        .await
        .unwrap()
        .objects
        .into_iter()
        .map(|object| object.key)
        .collect();
    assert_eq!(keys, visible);
}

/// For any file name, the store reads the listed object under its key, with the listed size, ETag
/// and time.
#[tokio::test]
async fn odd_names_are_read_under_their_own_keys() {
    let names = [
        "100%.json",
        "a%2Fb.json",
        "a%20b.json",
        "a b.json",
        "a+b.json",
        "ü.json",
        "u\u{308}.json",
        "日本/誌.json",
        "a#b.json",
        "a#.json",
        "#1x",
        "a?b",
        "a\\b",
        "\"quoted\"",
        "{a}[b]^~|<>*`",
        "-",
        "~",
        "a..b",
        "...x/..".trim_end_matches("/.."),
        "a:b",
        "year=2018/a",
        "%",
        "%%41",
        " leading",
        "trailing ",
    ];
    let visible: Vec<_> = names.into_iter().filter(|name| !name.starts_with('.')).collect();
    let folder = Folder::with(&visible);
    let storage = folder.storage().await;
    let objects = list_objects(&storage, &ObjectPatterns::default(), false).await.unwrap().objects;
    let mut expected: Vec<_> = visible.iter().map(ToString::to_string).collect();
    expected.sort();
    assert_eq!(objects.iter().map(|object| object.key.clone()).collect::<Vec<_>>(), expected);
    for object in objects {
        let read = storage.store.get(&Path::parse(&object.key).unwrap()).await.unwrap();
        assert_eq!(read.meta.size, object.bytes);
        assert_eq!(read.meta.e_tag, object.etag, "{}", object.key);
        assert_eq!(read.meta.last_modified.timestamp_micros(), object.modified);
        assert_eq!(read.bytes().await.unwrap(), object.key.as_bytes());
    }
}

#[tokio::test]
async fn a_name_that_no_key_can_hold_is_an_error_that_names_it_and_the_rule() {
    const CONTROL: &str = "control characters";
    for (name, rule) in
        [("a\nb.json", CONTROL), ("a\tb", CONTROL), ("a\u{7f}b", CONTROL), ("b.parquet#12", "end in `#` and digits")]
    {
        let folder = Folder::with(&["fine.json", name]);
        let error = folder.error().await;
        assert!(error.contains(&format!("{name:?}").trim_matches('"')[1..]), "{name:?}: {error}");
        assert!(error.contains(rule) && !error.contains("UTF-8"), "{name:?}: {error}");
        assert!(!error.contains("fine.json"), "{error}");
    }
    let folder = Folder::with(&["fine.json", "b#1"]);
    folder.write(FilePath::new(OsStr::from_bytes(b"caf\xE9.json")));
    let error = folder.error().await;
    assert!(error.contains("not UTF-8") && error.contains("caf\\xE9.json"), "{error}");
    assert!(error.contains("b#1"), "every broken rule is reported: {error}");
    let hidden = Folder::with(&["fine.json", ".a\nb", "_x/a\nb"]);
    assert_eq!(hidden.keys().await, ["fine.json"]);
}

#[tokio::test]
async fn links_that_lead_out_are_refused_by_name_unless_the_source_follows_them() {
    let elsewhere = Folder::with(&["x.json", "y/z.json"]);
    let folder = Folder::with(&["a.json", "b/c.json"]);
    let link = |target: &FilePath, name: &str| symlink(target, folder.0.path().join(name)).unwrap();
    link("a.json".as_ref(), "same.json");
    link(&folder.0.path().join("b"), "same");
    link("nowhere".as_ref(), ".#a.json");
    assert_eq!(folder.keys().await, ["a.json", "b/c.json", "same.json", "same/c.json"]);
    link(&elsewhere.0.path().join("x.json"), "linked.json");
    link(elsewhere.0.path(), "linked");
    let error = list_objects(&folder.storage().await, &ObjectPatterns::default(), false).await.unwrap_err();
    assert_eq!(error.kind, crate::error::Kind::Data);
    let text = error.to_string();
    assert!(text.contains("linked.json`") && text.contains("linked`") && !text.contains("same"), "{text}");
    assert!(error.hint.unwrap().contains("follow_links = true"));
    let all = list_objects(&folder.storage().await, &ObjectPatterns::default(), true).await.unwrap().objects;
    let all: Vec<_> = all.into_iter().map(|object| object.key).collect();
    let keys = ["a.json", "b/c.json", "linked.json", "linked/x.json", "linked/y/z.json", "same.json", "same/c.json"];
    assert_eq!(all, keys);
}

#[tokio::test]
async fn a_link_to_nothing_is_an_error() {
    let folder = Folder::with(&["a.json"]);
    symlink("nowhere", folder.0.path().join("dangling.json")).unwrap();
    let error = folder.error().await;
    assert!(error.contains("dangling.json") && error.contains("broken link"), "{error}");
}

#[tokio::test]
async fn a_lake_in_a_source_is_refused_by_name_however_it_got_there() {
    let lake = Folder::with(&["songs/x.parquet", "_lake/manifest/1.json"]);
    let folder = Folder::with(&["a.json"]);
    symlink(lake.0.path(), folder.0.path().join("linked")).unwrap();
    let error = list_objects(&folder.storage().await, &ObjectPatterns::default(), true).await.unwrap_err().to_string();
    assert!(error.contains("contains a lake") && error.contains("linked`"), "{error}");
    for name in ["inner/songs/x.parquet", "inner/_lake/manifest/1.json"] {
        lake.write(name.as_ref());
    }
    assert!(lake.error().await.contains("contains a lake"));
    fs::remove_dir_all(lake.0.path().join("_lake")).unwrap();
    assert!(lake.error().await.contains("inner`"));
}

#[tokio::test]
async fn a_pipe_or_a_socket_is_refused_by_name() {
    let folder = Folder::with(&["a.json"]);
    assert!(std::process::Command::new("mkfifo").arg(folder.0.path().join("p.json")).status().unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(folder.0.path().join("s.json")).unwrap();
    let error = folder.error().await;
    assert!(error.contains("p.json") && error.contains("s.json"), "{error}");
    assert!(error.contains("not regular files") && !error.contains("UTF-8"), "{error}");
}

#[tokio::test]
async fn a_link_in_a_circle_is_an_error_and_no_endless_walk() {
    let folder = Folder::with(&["a/b.json"]);
    symlink("..", folder.0.path().join("a/up")).unwrap();
    let error = list_objects(&folder.storage().await, &ObjectPatterns::default(), false).await.unwrap_err();
    assert_eq!(error.hint.as_deref(), Some("remove the link"));
    let error = error.to_string();
    assert!(error.contains("a/up") && error.contains("which contains it"), "{error}");
}

#[tokio::test]
async fn a_folder_that_went_away_is_an_error_that_names_it() {
    let folder = Folder::with(&["a/b.json"]);
    let storage = folder.storage().await;
    fs::remove_dir_all(folder.0.path()).unwrap();
    let error = list_objects(&storage, &ObjectPatterns::default(), false).await.unwrap_err().to_string();
    assert!(error.contains("_hidden above [1] 100%"), "{error}");
}

#[tokio::test]
async fn an_empty_folder_has_no_objects() {
    let folder = Folder::with(&[]);
    fs::create_dir(folder.0.path().join("empty")).unwrap();
    assert_eq!(folder.keys().await, Vec::<String>::new());
}

//! Lists of the files of a table: one text file per partition with the URLs of its Parquet files,
//! as Delta's `GENERATE symlink_format_manifest` writes them (Delta's guide, "Generate a manifest
//! file"). The lists show the table as it was when they were last written.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use lakewright_common::error::{Context, Result};
use lakewright_common::storage::Storage;
use lakewright_common::write::hive::NULL_FOLDER;
use object_store::ObjectStoreExt;

use crate::lake::manifest::{TableState, parse_key};

/// Name of the folder with the lists, below the table's folder. Delta readers ignore folders that
/// start with an underscore.
pub(crate) const FOLDER: &str = "_symlink_format_manifest";

/// Maximum number of lists that are written at the same time.
const CONCURRENT_PUTS: usize = 16;

/// Files of one partition, or all files of a table without partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct List {
    /// Partition values as Hive writes them, in the order of the table's `partition_by`.
    pub(super) values: Vec<String>,
    /// Folder below [`FOLDER`], with a `/` at the end; empty for a table without partitions.
    pub(super) folder: String,
    /// Keys of the files in the lake.
    files: Vec<String>,
}

/// Builds one list per partition. A table without partitions has one list, even if the table has no
/// files.
pub(crate) fn lists(table: &TableState) -> Vec<List> {
    let mut lists = BTreeMap::new();
    if table.partition_by.is_empty() {
        lists.insert("", List { values: vec![], folder: String::new(), files: vec![] });
    }
    for file in &table.files {
        let key = file.written.path.as_str();
        // Lists are in the same partition folders as the files, but below `FOLDER`.
        let below = key.strip_prefix(table.name.as_str()).unwrap_or(key).trim_start_matches('/');
        let folder = below.rfind('/').map_or("", |end| &below[..=end]);
        let value = |column| match file.written.partition_values.get(column) {
            // Hive's text for null, in values as in folder names.
            Some(Some(value)) => value.clone(),
            _ => NULL_FOLDER.to_owned(),
        };
        let list = lists.entry(folder).or_insert_with(|| List {
            values: table.partition_by.iter().map(value).collect(),
            folder: folder.to_owned(),
            files: vec![],
        });
        list.files.push(key.to_owned());
    }
    // Sorted by folder, because the map is sorted.
    lists.into_values().collect()
}

/// Writes the lists of a table, replacing existing ones. Also empties the lists of partitions that
/// the table no longer has, because a reader that lists subfolders would find these lists. Does not
/// delete them, because the coordinator may lack the permission to delete.
///
/// # Errors
/// A storage error that names the object.
pub(crate) async fn write(lake: &Storage, table: &TableState, lists: &[List]) -> Result<()> {
    let text = |list: &List| list.files.iter().map(|key| lake.name_of(key) + "\n").collect::<String>();
    // Start with an empty text for the key of each existing list. The lists of current partitions
    // then replace the texts of the same keys.
    let mut texts = stale(lake, table).await?;
    texts.extend(lists.iter().map(|list| (format!("{}/{FOLDER}/{}manifest", table.name, list.folder), text(list))));
    let puts = stream::iter(texts).map(|(key, text)| async move {
        let put = lake.store.put(&parse_key(&key)?, text.into()).await;
        put.storage_context("write", || lake.name_of(&key))
    });
    puts.buffer_unordered(CONCURRENT_PUTS).try_for_each(|_| async { Ok(()) }).await
}

/// Returns the keys of all existing lists that are not empty. Each is mapped to an empty text, its
/// new content.
async fn stale(lake: &Storage, table: &TableState) -> Result<BTreeMap<String, String>> {
    let folder = parse_key(&format!("{}/{FOLDER}", table.name))?;
    let there = lake.store.list(Some(&folder)).try_filter_map(|object| async move {
        // A list that is already empty need not be emptied again.
        let is_list = object.location.filename() == Some("manifest") && object.size > 0;
        Ok(is_list.then(|| (object.location.to_string(), String::new())))
    });
    there.try_collect().await.storage_context("list", || lake.name_of(folder.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::fixture;

    #[tokio::test]
    async fn each_partition_has_a_list_of_its_files() {
        let (_folder, lake) = fixture::lake();
        let files = ["year=1999/a.parquet", "year=A%3DB/b.parquet", "year=1999/c.parquet"];
        let manifest = fixture::manifest(1, &[("songs", &files)]);
        let table = &manifest.tables[0];
        let lists = lists(table);
        let values: Vec<_> = lists.iter().map(|list| list.values.as_slice()).collect();
        assert_eq!(values, [["1999"], ["A=B"]]);
        write(&lake, table, &lists).await.unwrap();
        let key = parse_key("songs/_symlink_format_manifest/year=1999/manifest").unwrap();
        let text = lake.store.get(&key).await.unwrap().bytes().await.unwrap();
        let expected = ["a", "c"].map(|name| lake.name_of(&format!("songs/year=1999/{name}.parquet")) + "\n").concat();
        assert_eq!(String::from_utf8(text.to_vec()).unwrap(), expected);
        // The folder's name is used unchanged, and is not percent-encoded a second time.
        let key = parse_key("songs/_symlink_format_manifest/year=A%3DB/manifest").unwrap();
        lake.store.head(&key).await.unwrap();
    }

    #[tokio::test]
    async fn lists_of_partitions_that_are_gone_name_nothing() {
        let (_folder, lake) = fixture::lake();
        let mut table =
            fixture::manifest(1, &[("songs", &["year=1999/a.parquet", "year=2000/b.parquet"])]).tables.remove(0);
        write(&lake, &table, &lists(&table)).await.unwrap();
        table.files.pop();
        write(&lake, &table, &lists(&table)).await.unwrap();
        for (year, lines) in [("1999", 1), ("2000", 0)] {
            let key = parse_key(&format!("songs/_symlink_format_manifest/year={year}/manifest")).unwrap();
            let text = lake.store.get(&key).await.unwrap().bytes().await.unwrap();
            assert_eq!(std::str::from_utf8(&text).unwrap().lines().count(), lines, "{year}");
        }
    }

    #[test]
    fn a_table_without_partitions_has_one_list_and_may_be_empty() {
        let mut table = fixture::manifest(1, &[("users", &["a.parquet"])]).tables.remove(0);
        table.partition_by.clear();
        let list = lists(&table).remove(0);
        assert_eq!(
            (list.values.len(), list.folder.as_str(), list.files.as_slice()),
            (0, "", &["users/a.parquet".to_owned()][..])
        );
        table.files.clear();
        assert_eq!(lists(&table).remove(0).files.len(), 0);
    }

    #[test]
    fn null_has_the_name_that_hive_gives_it() {
        let table = fixture::manifest(1, &[("songs", &["loose.parquet"])]).tables.remove(0);
        assert_eq!(lists(&table)[0].values, ["__HIVE_DEFAULT_PARTITION__"]);
    }
}

//! Tests of files that are read in parts: intact, changed, truncated and without digests.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;

use super::*;
use crate::digest::blocks::with_table;
use crate::write::digested::key_value_metadata;

const PATH: &str = "songs/a.parquet";

/// A file of several blocks, with page indexes.
fn parquet() -> Vec<u8> {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values((0..40_000).map(|i| i * 7919 % 65_537)));
    let texts: ArrayRef =
        Arc::new(StringArray::from_iter_values((0..40_000).map(|i| format!("title {}", i * 31 % 9973))));
    let rows = RecordBatch::try_from_iter([("id", numbers), ("title", texts)]).unwrap();
    let properties = WriterProperties::builder().set_key_value_metadata(Some(key_value_metadata())).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), Some(properties)).unwrap();
    writer.write(&rows).unwrap();
    with_table(&writer.into_inner().unwrap()).unwrap()
}

async fn store_with(content: Vec<u8>) -> VerifiedStore {
    let inner = Arc::new(InMemory::new());
    inner.put(&Path::from(PATH), content.into()).await.unwrap();
    VerifiedStore::new(inner, "file:///lake/".into())
}

#[tokio::test]
async fn any_part_of_a_file_is_read_as_it_was_written() {
    let content = parquet();
    let size = content.len() as u64;
    assert!(size > 4 * blocks::BLOCK_BYTES, "{size}");
    let path = Path::from(PATH);
    for known_before in [false, true] {
        let store = store_with(content.clone()).await;
        if known_before {
            store.get_range(&path, 0..1).await.unwrap();
        }
        let ranges = [size - 10..size, 0..1, 65_530..65_540, 70_000..70_001, 0..size, 200_000..200_000];
        let parts = store.get_ranges(&path, &ranges).await.unwrap();
        for (range, part) in ranges.iter().zip(parts) {
            let expected = &content[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
            assert_eq!(part, expected, "{range:?}");
        }
        let end = GetOptions { range: Some(GetRange::Suffix(8)), ..GetOptions::default() };
        assert_eq!(store.get_opts(&path, end).await.unwrap().bytes().await.unwrap(), content[content.len() - 8..]);
    }
}

/// Every read that includes a changed byte fails and names the file and the bytes. Other reads
/// succeed.
#[tokio::test]
async fn a_changed_bit_fails_the_reads_that_touch_its_block_and_names_the_file() {
    let content = parquet();
    let size = content.len() as u64;
    let path = Path::from(PATH);
    for changed in [0, 70_000, content.len() / 2, content.len() - 3000, content.len() - 30, content.len() - 6] {
        let mut damaged = content.clone();
        damaged[changed] ^= 4;
        let store = store_with(damaged).await;
        let error = store.get_range(&path, 0..size).await.unwrap_err().to_string();
        assert!(error.contains("`file:///lake/songs/a.parquet` is damaged"), "{error}");
        if changed == 70_000 {
            assert!(error.contains("bytes 65536 to 131072"), "{error}");
            assert_eq!(store.get_range(&path, 0..65_536).await.unwrap(), content[..65_536]);
            assert!(store.get_range(&path, 0..65_537).await.is_err());
        }
    }
}

#[tokio::test]
async fn a_file_that_was_cut_is_damaged() {
    let content = parquet();
    let path = Path::from(PATH);
    for left in [0, 7, 8, 100, content.len() / 2, content.len() - 1] {
        let store = store_with(content[..left].to_vec()).await;
        assert!(store.get_range(&path, 0..8).await.is_err(), "{left}");
    }
    let store = store_with(content.clone()).await;
    let error = store.get_range(&path, 0..content.len() as u64 + 1).await.unwrap_err().to_string();
    assert!(error.contains("should have at least"), "{error}");
}

#[tokio::test]
async fn what_has_no_digests_is_read_as_it_is() {
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..1000));
    let rows = RecordBatch::try_from_iter([("id", numbers)]).unwrap();
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    let plain = writer.into_inner().unwrap();
    let store = store_with(plain.clone()).await;
    let path = Path::from(PATH);
    assert_eq!(store.get_range(&path, 4..100).await.unwrap(), plain[4..100]);
    let note = Path::from("songs/_delta_log/0.json");
    store.put(&note, "{}".into()).await.unwrap();
    assert_eq!(store.get_range(&note, 0..2).await.unwrap(), "{}");
}

/// Other readers ignore the digests, which are between the pages and the footer.
#[test]
fn a_file_with_digests_is_a_parquet_file_like_any_other() {
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(parquet())).unwrap().build().unwrap();
    assert_eq!(reader.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 40_000);
}

//! Tests of reading objects in memory and in folders: plain, compressed, damaged, changed and
//! deleted.

use std::io::Write;
use std::sync::Mutex;

use async_trait::async_trait;
use lz4_flex::frame::{BlockSize, FrameEncoder, FrameInfo};
use object_store::memory::InMemory;
use object_store::{
    CopyOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMultipartOptions,
    PutOptions, PutPayload, PutResult,
};
use url::Url;

use super::*;
use crate::config::resolved::{JsonFormat, Location};
use crate::error::Kind;
use crate::read::decompress::chunk_stream::UNSUSPICIOUS_BYTES;
use crate::read::framing::{Framed, Framer};
use crate::read::rejection::Reason;

mod fuzz;

const MIB: u64 = 1024 * 1024;

fn limits() -> Limits {
    Limits {
        memory_bytes: 1 << 30,
        max_record_bytes: 16 * MIB,
        scratch: None,
        threads: 1,
        split_bytes: 128 * MIB,
        concurrent_reads: 8,
        target_file_bytes: 128 * MIB,
        max_open_files: 8,
        max_decompression_ratio: 100,
    }
}

fn over(store: Arc<dyn ObjectStore>) -> Storage {
    Storage::new(store, Location::of(Url::parse("memory:///").unwrap()))
}

/// A store in memory that records the requested ranges.
#[derive(Debug, Default)]
struct Watched {
    inner: InMemory,
    requests: Mutex<Vec<Range<u64>>>,
}

impl std::fmt::Display for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("watched")
    }
}

#[async_trait]
impl ObjectStore for Watched {
    async fn put_opts(&self, to: &Path, payload: PutPayload, options: PutOptions) -> object_store::Result<PutResult> {
        self.inner.put_opts(to, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        options: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(to, options).await
    }

    async fn get_opts(&self, from: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        assert!(options.if_match.is_some(), "every read names the object's version");
        if let Some(GetRange::Bounded(range)) = &options.range {
            self.requests.lock().unwrap().push(range.clone());
        }
        self.inner.get_opts(from, options).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// Puts an object and lists it.
async fn put(store: &dyn ObjectStore, key: &str, bytes: impl Into<Bytes>) -> SourceObject {
    let path = Path::parse(key).unwrap();
    store.put_opts(&path, PutPayload::from_bytes(bytes.into()), PutOptions::default()).await.unwrap();
    let listed: Vec<ObjectMeta> = store.list(None).try_collect().await.unwrap();
    let meta = listed.into_iter().find(|meta| meta.location == path).unwrap();
    SourceObject {
        key: key.into(),
        bytes: meta.size,
        etag: meta.e_tag,
        modified: meta.last_modified.timestamp_micros(),
    }
}

/// Returns all bytes up to the end or a fault.
async fn read(mut chunks: Chunks) -> (Vec<u8>, Option<Fault>) {
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.next().await {
        match chunk {
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            Err(fault) => return (bytes, Some(fault)),
        }
    }
    (bytes, None)
}

async fn read_whole(store: Arc<dyn ObjectStore>, object: SourceObject) -> (Vec<u8>, Option<Fault>) {
    read(fetch(&over(store), &Split::whole(object), &Decoding::default(), &limits(), &StoredBytes::default())).await
}

fn lines(count: usize) -> Vec<u8> {
    (0..count).flat_map(|i| format!("{{\"n\":{i},\"page\":\"NextSong\"}}\n").into_bytes()).collect()
}

fn compress(key: &str, bytes: &[u8]) -> Vec<u8> {
    match key.rsplit('.').next().unwrap() {
        "gz" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "zst" => zstd::encode_all(bytes, 1).unwrap(),
        "lz4" => {
            // Small blocks, so that a part of a cut object can be read.
            let info = FrameInfo::new().block_size(BlockSize::Max64KB).content_checksum(true);
            let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        _ => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
    }
}

const COMPRESSED: [&str; 4] = ["a.json.gz", "a.json.zst", "a.json.bz2", "a.json.lz4"];

#[tokio::test]
async fn a_small_object_is_one_request() {
    let store = Arc::new(Watched::default());
    let object = put(store.as_ref(), "a.json", "{\"a\":1}").await;
    let (bytes, fault) = read_whole(Arc::clone(&store) as _, object).await;
    assert_eq!(bytes, b"{\"a\":1}");
    assert!(fault.is_none());
    assert_eq!(store.requests.lock().unwrap().as_slice(), std::slice::from_ref(&(0..7)));
}

#[tokio::test]
async fn an_empty_object_is_no_request_whatever_its_extension() {
    let store = Arc::new(Watched::default());
    for key in ["a.json", "a.json.gz"] {
        let object = put(store.as_ref(), key, "").await;
        let (bytes, fault) = read_whole(Arc::clone(&store) as _, object).await;
        assert!(bytes.is_empty() && fault.is_none(), "{key}");
    }
    assert!(store.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_large_object_comes_in_order_in_ranges() {
    let store = Arc::new(Watched::default());
    let text = lines(400_000);
    let object = put(store.as_ref(), "a.json", text.clone()).await;
    let (bytes, fault) = read_whole(Arc::clone(&store) as _, object).await;
    assert!(fault.is_none());
    assert!(bytes == text, "every byte, in order");
    let requests = store.requests.lock().unwrap();
    assert!(requests.len() > 2 && requests.iter().all(|range| range.end - range.start <= READ_BYTES));
}

#[tokio::test]
async fn a_part_is_read_from_the_byte_before_it_and_little_past_its_end() {
    let store = Arc::new(Watched::default());
    let text = lines(400_000);
    let object = put(store.as_ref(), "a.json", text.clone()).await;
    let split = Split { object, range: 1_000_003..6_000_001 };
    let mut chunks =
        fetch(&over(Arc::clone(&store) as _), &split, &Decoding::default(), &limits(), &StoredBytes::default());
    let mut framer = Framer::for_split(&split, &JsonFormat::Lines, MIB);
    let mut records = 0;
    while !framer.is_done() {
        framer.push(&chunks.next().await.unwrap().unwrap());
        while let Some(Framed::Record { offset, text: record, .. }) = framer.next() {
            let at = usize::try_from(offset).unwrap();
            assert!(split.range.contains(&offset));
            assert_eq!(&text[at..at + record.len()], record);
            records += 1;
        }
    }
    let is_start = |at: &usize| *at == 0 || text[at - 1] == b'\n';
    assert_eq!(records, (1_000_003..6_000_001).filter(is_start).count());
    let requests = store.requests.lock().unwrap();
    assert_eq!(requests.first().unwrap().start, 1_000_002);
    assert_eq!(requests.iter().map(|range| range.end).max().unwrap(), 6_000_001 + FIRST_OVERRUN_BYTES);
}

#[tokio::test]
async fn a_compressed_object_gives_what_a_plain_one_does() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let text = lines(100_000);
    for key in COMPRESSED {
        let object = put(store.as_ref(), key, compress(key, &text)).await;
        let (size, stored) = (object.bytes, StoredBytes::default());
        let (bytes, fault) =
            read(fetch(&over(Arc::clone(&store)), &Split::whole(object), &Decoding::default(), &limits(), &stored))
                .await;
        assert!(fault.is_none(), "{key}: {fault:?}");
        assert!(bytes == text, "{key}");
        assert_eq!(stored.count(), size, "{key}");
    }
}

#[tokio::test]
async fn compressed_files_put_one_after_another_are_read_to_the_last() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    for key in COMPRESSED {
        let members = [compress(key, b"{\"a\":1}\n"), compress(key, b""), compress(key, b"{\"b\":2}\n")];
        let object = put(store.as_ref(), key, members.concat()).await;
        let (bytes, fault) = read_whole(Arc::clone(&store), object).await;
        assert!(fault.is_none(), "{key}: {fault:?}");
        assert_eq!(bytes, b"{\"a\":1}\n{\"b\":2}\n", "{key}");
    }
}

/// An object that is cut anywhere has one fault at its end, and all bytes before the cut are
/// returned.
#[tokio::test]
async fn a_truncated_gzip_keeps_what_came_before() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    // Text that does not repeat, so that it is spread over the compressed bytes.
    let text: Vec<u8> = (0..30_000_u64)
        .flat_map(|i| format!("{{\"n\":{}}}\n", i.wrapping_mul(0x9E37_79B9_7F4A_7C15)).into_bytes())
        .collect();
    for key in COMPRESSED {
        let compressed = compress(key, &text);
        let mut most = 0;
        for cut in (1..compressed.len()).step_by(compressed.len() / 100) {
            let object = put(store.as_ref(), key, compressed[..cut].to_vec()).await;
            let (bytes, fault) = read_whole(Arc::clone(&store), object).await;
            assert!(text.starts_with(&bytes), "{key} cut at {cut}");
            most = most.max(bytes.len());
            let Some(Fault::Broken { reason, .. }) = fault else { panic!("{key} cut at {cut}: {fault:?}") };
            assert_eq!(reason, Reason::TruncatedCompression, "{key} cut at {cut}");
        }
        assert!(most > text.len() / 2, "{key}: {most} of {}", text.len());
        for cut in 1..20 {
            let object = put(store.as_ref(), key, compressed[..compressed.len() - cut].to_vec()).await;
            let (bytes, fault) = read_whole(Arc::clone(&store), object).await;
            assert!(matches!(fault, Some(Fault::Broken { reason: Reason::TruncatedCompression, .. })), "{key} -{cut}");
            assert!(text.starts_with(&bytes), "{key} -{cut}");
        }
    }
}

#[tokio::test]
async fn a_corrupt_stream_is_told_from_a_truncated_one() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let text = lines(1000);
    for key in COMPRESSED {
        let compressed = compress(key, &text);
        let mut wrong_sum = compressed.clone();
        let from_end = match key {
            "a.json.gz" => 6,
            "a.json.lz4" => 2,
            _ => 5,
        };
        let last = wrong_sum.len() - from_end;
        wrong_sum[last] ^= 0x55;
        let mut no_header = compressed.clone();
        no_header[..4].copy_from_slice(b"\x01\x02\x03\x04");
        for damaged in [no_header, [compressed.as_slice(), b"junk after it"].concat(), wrong_sum] {
            let object = put(store.as_ref(), key, damaged.clone()).await;
            let (bytes, fault) = read_whole(Arc::clone(&store), object).await;
            assert!(text.starts_with(&bytes), "{key}");
            let Some(Fault::Broken { reason, detail }) = fault else {
                // Only zstd may lack a checksum.
                assert_eq!(key, "a.json.zst");
                continue;
            };
            assert_eq!(reason, Reason::CorruptCompression, "{key}: {detail}");
        }
    }
}

#[tokio::test]
async fn a_bomb_is_given_up_within_bounds() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    for key in ["a.json.gz", "a.json.zst", "a.json.lz4"] {
        let object = put(store.as_ref(), key, compress(key, &vec![b' '; 200 << 20])).await;
        let (bytes, fault) = read_whole(Arc::clone(&store), object.clone()).await;
        assert!(matches!(fault, Some(Fault::Broken { reason: Reason::CompressionBomb, .. })), "{key}: {fault:?}");
        let most = UNSUSPICIOUS_BYTES.max(object.bytes * limits().max_decompression_ratio);
        assert!((bytes.len() as u64) < most + 2 * MIB, "{key}: {}", bytes.len());
        let trusting = Limits { max_decompression_ratio: 1_000_000, ..limits() };
        let (bytes, fault) = read(fetch(
            &over(Arc::clone(&store)),
            &Split::whole(object),
            &Decoding::default(),
            &trusting,
            &StoredBytes::default(),
        ))
        .await;
        assert!(fault.is_none());
        assert_eq!(bytes.len(), 200 << 20);
    }
}

fn storage_fault(fault: Option<Fault>) -> Error {
    match fault {
        Some(Fault::Storage(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_object_that_changed_or_vanished_since_it_was_listed_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let local: Arc<dyn ObjectStore> =
        Arc::new(object_store::local::LocalFileSystem::new_with_prefix(folder.path()).unwrap());
    for store in [Arc::new(InMemory::new()) as Arc<dyn ObjectStore>, local] {
        for key in ["x/a.json", "x/a.json.gz"] {
            let object = put(store.as_ref(), key, compress("a.gz", b"{}\n")).await;
            put(store.as_ref(), key, "{\"longer\":true}\n").await;
            let error = storage_fault(read_whole(Arc::clone(&store), object.clone()).await.1);
            assert_eq!(error.kind, Kind::Data);
            assert!(error.to_string().ends_with(&format!("{key}` changed after it was listed")), "{error}");

            store.delete(&Path::parse(key).unwrap()).await.unwrap();
            let error = storage_fault(read_whole(Arc::clone(&store), object).await.1);
            assert!(error.to_string().ends_with(&format!("{key}` vanished after it was listed")), "{error}");
        }
    }
}

/// An object is replaced after half of it was read. Bytes of the new object are never mixed with
/// bytes of the old one.
#[tokio::test]
async fn an_object_that_changes_while_it_is_read_is_an_error() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let object = put(store.as_ref(), "a.json", vec![b'a'; 40 << 20]).await;
    let mut chunks = fetch(
        &over(Arc::clone(&store)),
        &Split::whole(object),
        &Decoding::default(),
        &limits(),
        &StoredBytes::default(),
    );
    assert!(chunks.next().await.unwrap().is_ok());
    put(store.as_ref(), "a.json", vec![b'b'; 40 << 20]).await;
    let (bytes, fault) = read(chunks).await;
    assert!(bytes.iter().all(|byte| *byte == b'a'));
    assert!(storage_fault(fault).to_string().contains("a.json` changed"));
}

#[test]
fn steps_grow_and_cover_everything() {
    assert_eq!(steps(3, 3, 10).count(), 0);
    let all: Vec<_> = steps(5, 20 << 20, 1 << 20).collect();
    assert_eq!(all[0], 5..5 + (1 << 20));
    assert!(all.windows(2).all(|pair| pair[0].end == pair[1].start));
    assert_eq!(all.last().unwrap().end, 20 << 20);
    assert!(all.iter().all(|range| range.end - range.start <= READ_BYTES));
}

//! Reads listed files: large ranges without a copy, and many small files at once.
//!
//! `object_store` starts one blocking task per file, and fills a new buffer with zeros before each
//! read. Here, large ranges are read into reused buffers, and small files are read by one blocking
//! task into one buffer. A file that has changed since it was listed is not read here. The caller
//! then reads it through the object store, which reports the fault.

use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::path::{Component, Path as FilePath, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::list::source_object;
use super::local::on_blocking_thread;
use super::object::SourceObject;

/// Minimum size of a read that uses a pooled buffer.
const POOLED_BYTES: usize = 256 * 1024;
/// Maximum number of unused buffers in the pool. Each has the size of the largest read that used
/// it.
const MAX_UNUSED_BUFFERS: usize = 8;

/// Reads files below a folder.
#[derive(Debug, Clone)]
pub(super) struct LocalReader {
    root: PathBuf,
    unused: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl LocalReader {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, unused: Arc::default() }
    }

    /// Returns a range of a file. Returns `None` if the file has changed since it was listed, or
    /// cannot be read.
    pub(super) async fn read(&self, object: &SourceObject, range: Range<u64>) -> Option<Bytes> {
        let (reader, object) = (self.clone(), object.clone());
        on_blocking_thread(move || reader.read_now(&object, range)).await.ok()?
    }

    /// Returns the contents of each file. Returns `None` for a file that has changed since it was
    /// listed, or cannot be read. All contents share one buffer.
    pub(super) async fn read_whole(&self, objects: Vec<SourceObject>) -> Vec<Option<Bytes>> {
        let (root, count) = (self.root.clone(), objects.len());
        let read = on_blocking_thread(move || read_whole_now(&root, &objects)).await;
        read.unwrap_or_else(|_| vec![None; count])
    }

    fn read_now(&self, object: &SourceObject, range: Range<u64>) -> Option<Bytes> {
        let length = usize::try_from(range.end.checked_sub(range.start)?).ok()?;
        let file = open_listed(&self.root, object)?;
        if length < POOLED_BYTES {
            let mut buffer = vec![0; length];
            read_exact_at(&file, &mut buffer, range.start)?;
            return Some(buffer.into());
        }
        let mut buffer = self.unused.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        // Only the added part of a buffer is filled with zeros.
        if buffer.len() < length {
            buffer.resize(length, 0);
        }
        let mut buffer = Pooled { buffer, length, unused: Arc::clone(&self.unused) };
        read_exact_at(&file, &mut buffer.buffer[..length], range.start)?;
        Some(Bytes::from_owner(buffer))
    }
}

/// A buffer that returns to the pool when the last `Bytes` that refers to it is dropped.
struct Pooled {
    buffer: Vec<u8>,
    length: usize,
    unused: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl AsRef<[u8]> for Pooled {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let mut unused = self.unused.lock().unwrap_or_else(PoisonError::into_inner);
        if unused.len() < MAX_UNUSED_BUFFERS {
            unused.push(std::mem::take(&mut self.buffer));
        }
    }
}

fn read_whole_now(root: &FilePath, objects: &[SourceObject]) -> Vec<Option<Bytes>> {
    let total: u64 = objects.iter().map(|object| object.bytes).sum();
    let Ok(total) = usize::try_from(total) else { return vec![None; objects.len()] };
    let mut buffer = vec![0; total];
    let mut at = 0;
    let mut read = |object: &SourceObject| {
        let range = at..at + usize::try_from(object.bytes).ok()?;
        at = range.end;
        read_exact_at(&open_listed(root, object)?, &mut buffer[range.clone()], 0)?;
        Some(range)
    };
    let ranges: Vec<Option<Range<usize>>> = objects.iter().map(&mut read).collect();
    let buffer = Bytes::from(buffer);
    ranges.into_iter().map(|range| Some(buffer.slice(range?))).collect()
}

/// Opens a file. Returns `None` unless its size, modification time and inode are as listed.
fn open_listed(root: &FilePath, object: &SourceObject) -> Option<File> {
    // A worker gets keys from a coordinator, which may not name files outside of the source.
    let is_below_root = |part| matches!(part, Component::Normal(_));
    if !FilePath::new(&object.key).components().all(is_below_root) {
        return None;
    }
    let mut options = OpenOptions::new();
    options.read(true);
    // Without this flag, opening a pipe that has replaced the file would wait for a writer.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    let file = options.open(root.join(&object.key)).ok()?;
    // Use the metadata of the open file, because another file may get the same name in the
    // meantime.
    let metadata = file.metadata().ok()?;
    (metadata.is_file() && source_object(object.key.clone(), &metadata) == *object).then_some(file)
}

#[cfg(unix)]
fn read_exact_at(file: &File, buffer: &mut [u8], offset: u64) -> Option<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset).ok()
}

#[cfg(not(unix))]
fn read_exact_at(mut file: &File, buffer: &mut [u8], offset: u64) -> Option<()> {
    use std::io::{Read, Seek, SeekFrom};
    file.seek(SeekFrom::Start(offset)).ok()?;
    file.read_exact(buffer).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    fn listed(root: &FilePath, key: &str) -> SourceObject {
        source_object(key.to_owned(), &fs::metadata(root.join(key)).unwrap())
    }

    fn wait<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
    }

    #[test]
    fn a_file_that_is_not_as_listed_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let reader = LocalReader::new(root.to_path_buf());
        let write = |key: &str, text: &str| fs::write(root.join(key), text).unwrap();
        write("same", "text");
        write("changed", "text");
        write("shorter", "text");
        write("gone", "text");
        write("replaced", "text");
        write("a folder", "text");
        write("a pipe", "text");
        let objects: Vec<SourceObject> =
            ["same", "changed", "shorter", "gone", "replaced", "a folder", "a pipe", "same"]
                .map(|key| listed(root, key))
                .to_vec();
        write("shorter", "tex");
        let times = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
        File::options().write(true).open(root.join("changed")).unwrap().set_times(times).unwrap();
        // Keep the old file, so that its inode is not reused.
        fs::rename(root.join("replaced"), root.join("old")).unwrap();
        write("replaced", "text");
        for key in ["gone", "a folder", "a pipe"] {
            fs::remove_file(root.join(key)).unwrap();
        }
        fs::create_dir(root.join("a folder")).unwrap();
        let status = std::process::Command::new("mkfifo").arg(root.join("a pipe")).status().unwrap();
        assert!(status.success());

        let expected: Vec<bool> = objects.iter().map(|object| object.key == "same").collect();
        let whole = wait(reader.read_whole(objects.clone()));
        assert_eq!(whole.iter().map(Option::is_some).collect::<Vec<_>>(), expected);
        assert!(whole.into_iter().flatten().all(|bytes| bytes == "text"));
        for (object, is_same) in objects.iter().zip(expected) {
            assert_eq!(wait(reader.read(object, 1..3)), is_same.then(|| Bytes::from("ex")), "{}", object.key);
        }
        assert_eq!(wait(reader.read(&objects[0], 2..9)), None);
    }

    #[test]
    fn a_file_outside_of_the_folder_is_not_read() {
        let outside = tempfile::tempdir().unwrap();
        let root = outside.path().join("source");
        fs::create_dir(&root).unwrap();
        fs::write(outside.path().join("secret"), "text").unwrap();
        fs::write(root.join("inside"), "text").unwrap();
        let absolute = outside.path().join("secret").to_str().unwrap().to_owned();
        let reader = LocalReader::new(root.clone());
        for (key, is_read) in [("inside", true), ("../secret", false), ("../source/inside", false), (&absolute, false)]
        {
            let object = listed(&root, key);
            assert_eq!(wait(reader.read_whole(vec![object.clone()]))[0].is_some(), is_read, "{key}");
            assert_eq!(wait(reader.read(&object, 0..4)).is_some(), is_read, "{key}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn any_ranges_in_any_order_have_the_bytes_of_the_file(
            ranges in proptest::collection::vec((0..900_000_usize, 0..700_000_usize), 1..12)
        ) {
            let folder = tempfile::tempdir().unwrap();
            let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
            fs::write(folder.path().join("a"), &bytes).unwrap();
            let object = listed(folder.path(), "a");
            let reader = LocalReader::new(folder.path().to_path_buf());
            let mut held = Vec::new();
            for (start, length) in ranges {
                let range = start..(start + length).min(bytes.len());
                let read = wait(reader.read(&object, range.start as u64..range.end as u64)).unwrap();
                // Return some buffers to the pool at once, and the others at the end.
                if start % 2 == 0 {
                    held.push((range, read));
                } else {
                    prop_assert!(read == bytes[range]);
                }
            }
            for (range, read) in held {
                prop_assert!(read == bytes[range]);
            }
        }
    }
}

//! The folder that queries spill to: a process's own, gone when it ends, swept up by the next one after a `kill -9`.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::error::{Error, Result};

const PREFIX: &str = "lakewright-scratch-";
/// Held by the process whose folder it lies in; the system lets go of it however the process ends.
const LOCK: &str = "lock";
/// A folder is made and locked in far less.
const HALF_MADE: Duration = Duration::from_secs(60);

/// A folder of this process; deleted with the last of its users.
#[derive(Debug)]
pub(crate) struct Scratch {
    folder: TempDir,
    _lock: File,
}

impl Scratch {
    /// A new folder below `parent`; folders of processes that are no more are deleted.
    pub(crate) fn create(parent: &Path) -> Result<Self> {
        let unusable = |e| {
            Error::storage("create a folder in", parent.display(), e)
                .hint("name a folder that can be written: `[limits] scratch`, or --scratch of a worker")
        };
        fs::create_dir_all(parent).map_err(unusable)?;
        sweep(parent);
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent).map_err(unusable)?;
        let lock = File::create(folder.path().join(LOCK)).map_err(unusable)?;
        // Where a file system has no locks, nobody sweeps either.
        let _ = lock.try_lock();
        Ok(Self { folder, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Removes it before the last of its users is gone, for a process that ends.
    pub(crate) fn remove(&self) {
        let _ = fs::remove_dir_all(self.path());
    }
}

fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        let is_abandoned = is_ours
            && match File::open(entry.path().join(LOCK)) {
                Ok(lock) => lock.try_lock().is_ok(),
                // Half removed, or half made a moment ago.
                Err(_) => entry.metadata().is_ok_and(|folder| is_older_than(&folder, HALF_MADE)),
            };
        if is_abandoned {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn is_older_than(folder: &fs::Metadata, age: Duration) -> bool {
    folder.modified().ok().and_then(|modified| modified.elapsed().ok()).is_some_and(|elapsed| elapsed > age)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_holds_is_swept() {
        let parent = tempfile::tempdir().unwrap();
        let held = Scratch::create(parent.path()).unwrap();
        let abandoned = parent.path().join(format!("{PREFIX}dead"));
        fs::create_dir(&abandoned).unwrap();
        File::create(abandoned.join(LOCK)).unwrap();
        let other = parent.path().join("someone-elses");
        fs::create_dir(&other).unwrap();
        let next = Scratch::create(parent.path()).unwrap();
        assert!(held.path().exists() && next.path().exists() && other.exists() && !abandoned.exists());
        let path = held.path().to_owned();
        drop(held);
        assert!(!path.exists());
    }
}

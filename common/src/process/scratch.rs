//! The folder that queries spill to: a process's own, gone when it ends, swept up by the next one after a `kill -9`.
//!
//! It lies where others may write too (`/tmp`), so nothing there is trusted: names, links, pipes and owners are looked at
//! before anything is opened or deleted.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

use crate::error::{Error, Result};

const PREFIX: &str = "lakewright-scratch-";
/// Held by the process whose folder it lies in; the system lets go of it however the process ends.
const LOCK: &str = "lock";
/// Name of the lock until it is held.
const NEW_LOCK: &str = "lock.new";
/// A folder is made and locked in far less.
const HALF_MADE: Duration = Duration::from_secs(60);

/// The folder in which this process last made one of its own, for messages.
static PARENT: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Where the queries of this process spill to; `None` before any could.
pub(crate) fn parent() -> Option<PathBuf> {
    PARENT.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

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
        *PARENT.lock().unwrap_or_else(PoisonError::into_inner) = Some(parent.to_owned());
        let only_ours = Permissions::from_mode(0o700);
        let folder =
            tempfile::Builder::new().prefix(PREFIX).permissions(only_ours).tempdir_in(parent).map_err(unusable)?;
        // Locked before it has the name by which others look for it: a lock that nobody holds is taken for abandoned.
        let new_lock = folder.path().join(NEW_LOCK);
        let lock = File::create_new(&new_lock).map_err(unusable)?;
        // Where a file system has no locks, nobody sweeps either.
        let _ = lock.try_lock();
        fs::rename(new_lock, folder.path().join(LOCK)).map_err(unusable)?;
        let owner = fs::symlink_metadata(folder.path()).map_err(unusable)?.uid();
        sweep(parent, owner);
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

/// Deletes folders of processes that are no more; those of other users are theirs.
fn sweep(parent: &Path, owner: u32) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        // Of a link, the link itself.
        let Some(folder) = entry.metadata().ok().filter(|folder| folder.is_dir() && folder.uid() == owner) else {
            continue;
        };
        let is_abandoned = is_ours
            && match open_lock(&entry.path().join(LOCK)) {
                Ok(lock) => lock.try_lock().is_ok(),
                // Half removed, or half made a moment ago.
                Err(_) => is_older_than(&folder, HALF_MADE),
            };
        if is_abandoned {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Opens a file; neither waits for the other end of a pipe nor follows a link.
fn open_lock(path: &Path) -> io::Result<File> {
    let lock = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(path)?;
    if lock.metadata()?.is_file() { Ok(lock) } else { Err(io::ErrorKind::InvalidInput.into()) }
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

    #[test]
    fn no_folder_is_swept_while_its_process_starts() {
        let parent = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let scratch = Scratch::create(parent.path()).unwrap();
                        assert!(scratch.path().join(LOCK).exists());
                    }
                });
            }
        });
    }

    #[test]
    fn nobody_else_can_look_into_a_scratch_folder() {
        let parent = tempfile::tempdir().unwrap();
        let scratch = Scratch::create(parent.path()).unwrap();
        assert_eq!(fs::metadata(scratch.path()).unwrap().mode() & 0o777, 0o700);
    }

    /// What others put where scratch folders lie: pipes, sockets, links. None of it is waited for, followed or deleted.
    #[test]
    fn what_others_put_there_neither_hangs_nor_leads_elsewhere() {
        let parent = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let folder = parent.path().join(format!("{PREFIX}{name}"));
            fs::create_dir(&folder).unwrap();
            folder
        };
        let pipe = |path: &Path| assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
        pipe(&folder("pipe").join(LOCK));
        pipe(&parent.path().join(format!("{PREFIX}is-a-pipe")));
        let _socket = std::os::unix::net::UnixListener::bind(folder("socket").join(LOCK)).unwrap();
        std::os::unix::fs::symlink("/dev/zero", folder("link").join(LOCK)).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        File::create(elsewhere.path().join(LOCK)).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), parent.path().join(format!("{PREFIX}leads-away"))).unwrap();
        let scratch = Scratch::create(parent.path()).unwrap();
        assert!(elsewhere.path().join(LOCK).exists());
        assert!(parent.path().join(format!("{PREFIX}pipe")).exists());
        drop(scratch);
    }
}

//! The folder that queries spill to. Each process has its own folder and deletes it at its end.
//! After a `kill -9` the next process deletes the folder.
//!
//! Other users may write into the parent folder (`/tmp`), so its contents are not trusted: before a
//! folder is deleted, its name and owner are checked. No link is followed, and no pipe can block
//! this process.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

use crate::error::{Error, Result};

const PREFIX: &str = "lakewright-scratch-";
/// Name of the lock file in a scratch folder. The process that owns the folder holds the lock. The
/// system releases the lock when the process ends in any way.
const LOCK: &str = "lock";
/// Name of the lock file until it is locked.
const NEW_LOCK: &str = "lock.new";
/// Maximum age of a folder without a lock file. An older one counts as abandoned, because a process
/// needs far less time to create a folder and its lock file.
const MAX_SETUP_TIME: Duration = Duration::from_secs(60);

/// Parent of the folder that this process created last, for messages.
static PARENT: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Returns the parent folder of this process's scratch folder; `None` before one was created.
pub(crate) fn parent() -> Option<PathBuf> {
    PARENT.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// A scratch folder of this process; deleted when dropped.
#[derive(Debug)]
pub(crate) struct Scratch {
    folder: TempDir,
    _lock: File,
}

impl Scratch {
    /// Creates a folder below `parent`, and deletes the folders that earlier processes left behind.
    pub(crate) fn create(parent: &Path) -> Result<Self> {
        Self::create_in(parent).map_err(|e| {
            Error::storage("create a folder in", parent.display(), e)
                .hint("name a folder that can be written: `[limits] scratch`, or --scratch of a worker")
        })
    }

    fn create_in(parent: &Path) -> io::Result<Self> {
        fs::create_dir_all(parent)?;
        *PARENT.lock().unwrap_or_else(PoisonError::into_inner) = Some(parent.to_owned());
        let only_ours = Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().prefix(PREFIX).permissions(only_ours).tempdir_in(parent)?;
        // Lock the file before it gets its final name: other processes delete a folder with an
        // unlocked lock file.
        let new_lock = folder.path().join(NEW_LOCK);
        let lock = File::create_new(&new_lock)?;
        // On a file system without locks no process can lock the file, and so no process deletes
        // the folder.
        let _ = lock.try_lock();
        fs::rename(new_lock, folder.path().join(LOCK))?;
        let owner = fs::symlink_metadata(folder.path())?.uid();
        sweep(parent, owner);
        Ok(Self { folder, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Removes the folder before this value is dropped. A process that ends while queries still
    /// share this value must call this.
    pub(crate) fn remove(&self) {
        let _ = fs::remove_dir_all(self.path());
    }
}

/// Deletes the scratch folders that earlier processes of this user left behind.
fn sweep(parent: &Path, owner: u32) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        // For a link, this is the metadata of the link itself.
        let Some(folder) = entry.metadata().ok().filter(|folder| folder.is_dir() && folder.uid() == owner) else {
            continue;
        };
        let is_abandoned = is_ours
            && match open_lock(&entry.path().join(LOCK)) {
                Ok(lock) => lock.try_lock().is_ok(),
                // Another process is removing or creating the folder.
                Err(_) => is_older_than(&folder, MAX_SETUP_TIME),
            };
        if is_abandoned {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Opens a regular file without following a link or blocking on a pipe.
fn open_lock(path: &Path) -> io::Result<File> {
    let lock = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(path)?;
    if lock.metadata()?.is_file() { Ok(lock) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

fn is_older_than(folder: &fs::Metadata, age: Duration) -> bool {
    folder.modified().ok().and_then(|modified| modified.elapsed().ok()).is_some_and(|elapsed| elapsed > age)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unlocked_folders_are_deleted() {
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
    fn no_folder_is_deleted_while_its_process_starts() {
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
    fn a_scratch_folder_is_closed_to_other_users() {
        let parent = tempfile::tempdir().unwrap();
        let scratch = Scratch::create(parent.path()).unwrap();
        assert_eq!(fs::metadata(scratch.path()).unwrap().mode() & 0o777, 0o700);
    }

    /// Other users may put pipes, sockets and links next to scratch folders. None of them blocks
    /// this process, is followed or is deleted.
    #[test]
    fn pipes_sockets_and_links_of_other_users_are_left_alone() {
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

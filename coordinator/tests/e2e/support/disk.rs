//! A disk of a few kilobytes: a tmpfs, if this user may mount one.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Allocation unit of a tmpfs in bytes.
const PAGE: u64 = 4096;

/// A mounted tmpfs, unmounted when dropped.
pub(crate) struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts a disk of `kilobytes` at a folder, which is created. Returns `None` if this user may
    /// not mount.
    pub(crate) fn at(folder: &Path, kilobytes: u64) -> Option<Self> {
        std::fs::create_dir_all(folder).unwrap();
        let size = format!("size={kilobytes}k");
        let is_mounted = run("mount", &["-t", "tmpfs", "-o", &size, "lakewright-test", folder.to_str()?]);
        is_mounted.then(|| Self { folder: folder.to_path_buf() })
    }

    /// Fills the disk except for `free_pages` pages.
    pub(crate) fn fill(&self, free_pages: u64) {
        let zeros = vec![0; usize::try_from(PAGE).expect("a page is small")];
        let mut pages = 0;
        let mut file = std::fs::File::create(self.filler()).unwrap();
        while std::io::Write::write_all(&mut file, &zeros).is_ok() {
            pages += 1;
        }
        file.set_len(PAGE * u64::saturating_sub(pages, free_pages)).unwrap();
    }

    /// Frees the filled space.
    pub(crate) fn free(&self) {
        let _ = std::fs::remove_file(self.filler());
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("_filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Unmount lazily, because files that a killed process had open may not be closed yet.
        run("umount", &["-l", self.folder.to_str().expect("a readable path")]);
    }
}

fn run(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

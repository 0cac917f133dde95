//! A disk of a few kilobytes: a tmpfs, where this user may mount one.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Bytes that a file system of this kind hands out at once.
const PAGE: u64 = 4096;

/// A mounted tmpfs, gone when dropped.
pub(crate) struct SmallDisk {
    folder: PathBuf,
}

impl SmallDisk {
    /// Mounts a disk of `kilobytes` at a folder, which is created; `None` where this user may not mount.
    pub(crate) fn at(folder: &Path, kilobytes: u64) -> Option<Self> {
        std::fs::create_dir_all(folder).unwrap();
        let size = format!("size={kilobytes}k");
        let is_mounted = run("mount", &["-t", "tmpfs", "-o", &size, "lakewright-test", folder.to_str()?]);
        is_mounted.then(|| Self { folder: folder.to_path_buf() })
    }

    /// Fills the disk up but for so many pages.
    pub(crate) fn fill(&self, free_pages: u64) {
        let zeros = vec![0; usize::try_from(PAGE).expect("a page is small")];
        let mut pages = 0;
        let mut file = std::fs::File::create(self.filler()).unwrap();
        while std::io::Write::write_all(&mut file, &zeros).is_ok() {
            pages += 1;
        }
        file.set_len(PAGE * u64::saturating_sub(pages, free_pages)).unwrap();
    }

    pub(crate) fn free(&self) {
        let _ = std::fs::remove_file(self.filler());
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("_filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: what a killed process had open may still be on its way out.
        run("umount", &["-l", self.folder.to_str().expect("a readable path")]);
    }
}

fn run(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

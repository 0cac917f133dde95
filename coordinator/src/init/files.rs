//! Creates the files of a project, and never overwrites one.

use std::fs::{OpenOptions, create_dir_all};
use std::io::Write;
use std::path::Path;

use lakewright_common::error::{Error, Result};

/// Checks that none of the files exists in the folder `out`.
///
/// # Errors
/// A configuration error that names the file.
pub(super) fn refuse_existing(out: &Path, files: &[String]) -> Result<()> {
    let existing = files.iter().map(|file| out.join(file)).find(|path| path.symlink_metadata().is_ok());
    existing.map_or(Ok(()), |path| Err(exists(&path)))
}

/// Writes files, each with its path below `out` and its text.
///
/// # Errors
/// A configuration error if a file exists, or a storage error.
pub(super) fn create(out: &Path, files: &[(String, String)]) -> Result<()> {
    for (file, text) in files {
        let path = out.join(file);
        let written = path.parent().map_or(Ok(()), create_dir_all).and_then(|()| {
            let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
            file.write_all(text.as_bytes())
        });
        written.map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => exists(&path),
            _ => Error::storage("write", path.display(), error),
        })?;
    }
    Ok(())
}

fn exists(path: &Path) -> Error {
    Error::configuration(format!("`{}` exists, and `init` never overwrites a file", path.display()))
        .hint("choose another folder with `--out`, or move the file away")
}

//! Writes files and folders: one JSON object per song file, one line per event, and no line feed
//! after the last event.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::calendar::{Calendar, Day};
use crate::json::{Spelling, append};
use crate::log::Log;
use crate::song::{self, Song};
use crate::{Error, Options, Written};

const BUFFER_BYTES: usize = 1 << 18;

/// Creates `folder`. If the folder exists, checks that it is empty.
pub(crate) fn claim(folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(failed("create", folder))?;
    let mut entries = fs::read_dir(folder).map_err(failed("list", folder))?;
    if entries.next().is_some() {
        return Err(Error::NotEmpty { folder: folder.to_owned() });
    }
    Ok(())
}

/// Writes every song file.
pub(crate) fn write_songs(options: &Options, folder: &Path, written: &mut Written) -> Result<(), Error> {
    let root = folder.join("song_data");
    let mut last_parent = PathBuf::new();
    for number in 0..options.songs {
        let path = root.join(song::path(options.seed, number));
        if let Some(parent) = path.parent().filter(|parent| *parent != last_parent) {
            fs::create_dir_all(parent).map_err(failed("create", parent))?;
            last_parent = parent.to_owned();
        }
        let mut text = Vec::with_capacity(320);
        append(&mut text, &Song::at(options, number), Spelling::Song).map_err(failed("write", &path))?;
        fs::write(&path, &text).map_err(failed("write", &path))?;
        written.songs += 1;
        written.bytes += text.len() as u64;
    }
    Ok(())
}

/// Writes every log file.
pub(crate) fn write_log(options: &Options, folder: &Path, written: &mut Written) -> Result<(), Error> {
    let calendar = Calendar::new(options.files, options.events);
    let mut log = Log::new(options, calendar);
    for day in calendar.days() {
        let parent = folder.join(day.date.format("log_data/%Y/%m").to_string());
        fs::create_dir_all(&parent).map_err(failed("create", &parent))?;
        let path = parent.join(day.date.format("%Y-%m-%d-events.json").to_string());
        let bytes = write_day(&mut log, &day, &path, written).map_err(failed("write", &path))?;
        written.files += 1;
        written.bytes += bytes;
    }
    Ok(())
}

/// Writes the file of one day and returns its size in bytes.
fn write_day(log: &mut Log<'_>, day: &Day, path: &Path, written: &mut Written) -> io::Result<u64> {
    let mut file = BufWriter::with_capacity(BUFFER_BYTES, File::create_new(path)?);
    let mut bytes = 0;
    log.begin_day();
    for line in 0..day.lines {
        if line > 0 {
            file.write_all(b"\n")?;
            bytes += 1;
        }
        let text = log.next_line(day, line, written)?;
        file.write_all(&text)?;
        bytes += text.len() as u64;
    }
    file.flush()?;
    Ok(bytes)
}

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::Storage { operation, path, source }
}

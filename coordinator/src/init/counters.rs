//! Threads that count the values of records.
//!
//! Records are copied into batches, which go to the threads in turn. Each thread has statistics of
//! its own, and the statistics are merged at the end.

use std::borrow::Cow;

use lakewright_common::config::resolved::RecordKind;
use lakewright_common::error::{Context, Error, Result};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::{JoinHandle, spawn_blocking};

use super::profile::Place;
use super::read::Profile;
use super::visitor::{self, Outcome};

/// Number of bytes of records from which on a batch is sent.
const BATCH_BYTES: usize = 1 << 20;
/// Number of batches that wait for one thread.
const WAITING_BATCHES: usize = 2;

/// Records with their places.
#[derive(Debug, Default)]
struct Batch {
    text: Vec<u8>,
    /// Place of each record, and the end of its text.
    records: Vec<(Place, usize)>,
}

/// The threads, and the batch that is filled.
#[derive(Debug)]
pub(super) struct Counters {
    batch: Batch,
    threads: Vec<(Sender<Batch>, JoinHandle<Profile>)>,
    /// Index of the thread that receives the next batch.
    next: usize,
}

impl Counters {
    /// Starts `threads` threads, at least one, for records of `kind`.
    pub(super) fn start(threads: usize, kind: RecordKind) -> Self {
        let threads = (0..threads.max(1)).map(|_| {
            let (sender, receiver) = channel(WAITING_BATCHES);
            (sender, spawn_blocking(move || count(receiver, kind)))
        });
        Self { batch: Batch::default(), threads: threads.collect(), next: 0 }
    }

    /// Adds a record. Returns whether the batch is full.
    pub(super) fn add(&mut self, text: &[u8], place: Place) -> bool {
        self.batch.text.extend_from_slice(text);
        self.batch.records.push((place, self.batch.text.len()));
        self.batch.text.len() >= BATCH_BYTES
    }

    /// Sends the batch to the next thread.
    pub(super) async fn send(&mut self) {
        let batch = std::mem::replace(
            &mut self.batch,
            Batch { text: Vec::with_capacity(BATCH_BYTES + BATCH_BYTES / 8), records: Vec::new() },
        );
        // A thread that ended early has panicked, which `finish` reports.
        let _ = self.threads[self.next].0.send(batch).await;
        self.next = (self.next + 1) % self.threads.len();
    }

    /// Waits for the threads. Returns the statistics of each of them.
    ///
    /// # Errors
    /// An internal error if a thread panicked.
    pub(super) async fn finish(mut self) -> Result<Vec<Profile>> {
        self.send().await;
        let mut counted = Vec::new();
        for (sender, thread) in self.threads {
            drop(sender);
            counted.push(thread.await.context(|| Error::internal("counting values failed"))?);
        }
        Ok(counted)
    }
}

/// Counts the records of all batches.
fn count(mut batches: Receiver<Batch>, kind: RecordKind) -> Profile {
    let mut profile = Profile::default();
    while let Some(batch) = batches.blocking_recv() {
        let mut start = 0;
        for (place, end) in &batch.records {
            profile.add(kind, &batch.text[start..*end], *place);
            start = *end;
        }
    }
    profile
}

impl Profile {
    /// Adds the text of one record.
    fn add(&mut self, kind: RecordKind, text: &[u8], place: Place) {
        let text = self.decoded(text, place);
        match visitor::add_record(&mut self.root, kind, &text, place) {
            Outcome::Added => self.records += 1,
            Outcome::AddedWithNaN => {
                self.records += 1;
                self.nan_records.add(place);
            }
            Outcome::Null => self.null_records.add(place),
            Outcome::Rejected => self.reject(place),
        }
    }

    /// Decodes a text, and counts it if it is not UTF-8.
    pub(super) fn decoded<'a>(&mut self, text: &'a [u8], place: Place) -> Cow<'a, str> {
        match std::str::from_utf8(text) {
            Ok(text) => {
                self.has_utf8 = self.has_utf8 || !text.is_ascii();
                Cow::Borrowed(text)
            }
            Err(_) => {
                self.not_utf8.add(place);
                // Structure and types are the same in every encoding that extends ASCII.
                Cow::Owned(text.iter().map(|byte| char::from(*byte)).collect())
            }
        }
    }
}

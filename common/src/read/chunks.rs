//! ② Chunks of an object's text, and the faults that end them.

use bytes::Bytes;
use futures::stream::BoxStream;

use crate::error::Error;
use crate::read::rejection::Reason;

/// A chunk of decompressed bytes.
pub type Fetched = Bytes;

/// Reason why no more bytes follow.
#[derive(Debug)]
pub enum Fault {
    /// Storage failed, and so does the run.
    Storage(Error),
    /// The rest of the object cannot be decompressed, or none of it is JSON.
    Broken { reason: Reason, detail: String },
}

/// Chunks of the text of one split, in order. If there is a fault, it is the last item.
pub(in crate::read) type Chunks = BoxStream<'static, Result<Fetched, Fault>>;

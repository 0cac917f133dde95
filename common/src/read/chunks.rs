//! ② Chunks of an object's bytes, and the faults that end the stream of chunks.

use bytes::Bytes;
use futures::stream::BoxStream;

use crate::error::Error;
use crate::read::rejection::Reason;

/// A chunk of the bytes of an object, as stored or decompressed.
pub type Fetched = Bytes;

/// Reason why no more bytes follow.
#[derive(Debug)]
pub enum Fault {
    /// A failure of storage, which fails the run.
    Storage(Error),
    /// The rest of the object cannot be decompressed, or the object is not JSON text.
    Broken { reason: Reason, detail: String },
}

/// Chunks of the bytes of one split, as stored or decompressed, in order. If there is a fault, it
/// is the last item.
pub(in crate::read) type Chunks = BoxStream<'static, Result<Fetched, Fault>>;

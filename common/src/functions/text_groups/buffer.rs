//! Buffers of texts, which grow without copies once they are large, and become an array.

use arrow::array::StringArray;
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use datafusion::error::{DataFusionError, Result};

/// Buffers of at least this many bytes are allocated with at least [`MAPPED_BYTES`].
const GROWN_BYTES: usize = 1024 * 1024;
/// A block of more than 32 MiB always has its own mapping (mallopt(3), `M_MMAP_THRESHOLD`). It grows
/// without a copy, and its pages take no memory until they are written.
const MAPPED_BYTES: usize = 33 * 1024 * 1024;

/// Appends a text, and returns the offset at which it starts.
pub(super) fn append(bytes: &mut Vec<u8>, text: &[u8]) -> usize {
    let start = bytes.len();
    let end = start + text.len();
    if bytes.capacity() < end {
        let doubled = if end < GROWN_BYTES { end * 2 } else { MAPPED_BYTES.max(end * 2) };
        bytes.reserve_exact(doubled - start);
    }
    bytes.extend_from_slice(text);
    start
}

/// Returns an array of texts. `offsets` are a zero and the end of each text in `values`.
pub(super) fn array(mut offsets: Vec<i32>, mut values: Vec<u8>, nulls: Option<NullBuffer>) -> Result<StringArray> {
    // Queries count the capacity of an array as its memory.
    offsets.shrink_to_fit();
    values.shrink_to_fit();
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    StringArray::try_new(offsets, Buffer::from_vec(values), nulls).map_err(DataFusionError::from)
}

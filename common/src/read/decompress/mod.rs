//! ② Decompresses bytes step by step, so that the position of damage in a stream is known.
//!
//! ```text
//! compressed chunk ─► step ─► decompressed bytes ─► ... ─► end of a member ─► the next member, or the end
//!                      └─ error: all bytes before it were returned
//! ```
//!
//! The libraries' readers of whole streams drop the last bytes of a stream that ends early, or do
//! not detect the early end. Here all decompressed bytes are returned before the error. A stream
//! consists of one or several *members*, because `cat` and log shippers concatenate compressed
//! files. All members are read as one text, and only the end of a member is a valid end of the
//! stream.

/// Removes layer after layer, from stored bytes to UTF-8 text.
pub mod layers;
/// Decompresses the chunks of an object as they arrive.
pub(in crate::read) mod chunk_stream;
/// Decompresses one text step by step, with any of the supported codecs.
mod decompressor;
/// Result of one step of a decompressor.
mod step;
/// Reads gzip members.
mod gzip;
/// Reads xz streams and the padding between them.
mod xz;
/// Reads formats whose parts must be complete before they can be decompressed.
mod parts;
/// Reads the chunks of snappy.
mod snappy;
/// Reads lz4 frames.
mod lz4;
/// Reads snappy and lz4 in Hadoop's framing.
mod hadoop;
/// Reads the files of a zip archive.
mod zip;
/// Decodes UTF-16 and UTF-32 to UTF-8.
mod text_encoding;

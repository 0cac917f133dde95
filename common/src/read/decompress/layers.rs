//! ② Turns the stored bytes of an object into text in UTF-8, layer by layer.
//!
//! ```text
//!   stored ─► recognize ─┬─► plain text ────────────────────────────────► lines, documents
//!                        ├─► other encoding ─► decode ──────────────────►
//!                        ├─► compressed ─► decompress ─► recognize again ►
//!                        └─► anything else: the object cannot be read
//! ```

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, Stream};
use futures::{FutureExt, StreamExt};

use crate::error::Error;
use crate::read::chunks::{Chunks, Fault};
use crate::read::content::{Content, Encoding, Foreign, HEAD_BYTES, recognize};
use crate::read::decompress::chunk_stream::{DecompressedChunks, Stored};
use crate::read::decompress::decompressor::Decompressor;
use crate::read::decompress::text_encoding::{NamedDecoder, TextDecoder};
use crate::read::rejection::Reason;

/// Maximum number of zero bytes to read at the start of an object in search of text after them.
const MOST_ZERO_BYTES: usize = 8 * 1024 * 1024;
/// Maximum number of nested compressions. A compressed file that was compressed again has two.
const MOST_COMPRESSIONS: usize = 2;

/// Returns the text of the whole object `stored`. `chunks` are its bytes on storage.
pub(in crate::read) fn text_of(chunks: Chunks, stored: Stored) -> Chunks {
    stream::once(peel(chunks, Arc::new(stored), 0)).flatten().boxed()
}

/// Removes the outermost layer (a compression or an encoding), and then the layers below it.
/// `depth` is the number of compressions that were removed before.
fn peel(chunks: Chunks, stored: Arc<Stored>, depth: usize) -> BoxFuture<'static, Chunks> {
    async move {
        let (head, is_only_zeros, chunks) = head(chunks).await;
        let content = match depth {
            _ if is_only_zeros => Content::Foreign(Foreign::ZEROS),
            0 => stored.recognize(&head),
            _ => recognize(&head, "", None),
        };
        match content {
            Content::Text(Encoding::Utf8) | Content::Foreign(Foreign::Unknown) if stored.declared.is_some() => {
                in_declared_encoding(chunks, stored.declared)
            }
            Content::Text(Encoding::Utf8) => chunks,
            Content::Text(encoding) => {
                let mut decoder = TextDecoder::new(encoding);
                decoded(chunks, move |chunk| match chunk {
                    Some(chunk) => decoder.decode(chunk),
                    None => decoder.finish(),
                })
            }
            Content::Compressed(_) if depth == MOST_COMPRESSIONS => {
                failed(unsupported("is compressed more than twice", depth))
            }
            Content::Compressed(compression) => match Decompressor::new(compression) {
                Ok(Some(decompressor)) => {
                    // Each layer compares its own decompressed size with the size of the object on
                    // storage.
                    let text = DecompressedChunks::new(chunks, decompressor, &stored).text();
                    peel(text, stored, depth + 1).await
                }
                Ok(None) => chunks,
                Err(e) => failed(Fault::Storage(
                    Error::internal(format!("cannot start to decompress object `{}`", stored.name())).caused_by(e),
                )),
            },
            Content::Foreign(foreign) => failed(unsupported(&foreign.to_string(), depth)),
        }
    }
    .boxed()
}

/// Reads the first [`HEAD_BYTES`] bytes, or fewer if the object ends or has a fault before. An
/// object that starts with zeros is read on up to another byte, or up to [`MOST_ZERO_BYTES`] zeros. Returns the bytes, whether the whole
/// object consists of zeros, and the chunks of the object from its start.
async fn head(chunks: Chunks) -> (Vec<u8>, bool, Chunks) {
    let mut chunks = chunks.fuse();
    let mut head = Vec::new();
    let mut seen = Vec::new();
    let mut zero_bytes = 0;
    let mut is_only_zeros = true;
    // Zeros say nothing about the content, so read on until text follows or there are too many.
    while head.len() < HEAD_BYTES || (is_only_zeros && zero_bytes < MOST_ZERO_BYTES) {
        let Some(chunk) = chunks.next().await else {
            return (head, is_only_zeros && zero_bytes > 0, replay(seen, chunks));
        };
        let is_fault = chunk.is_err();
        if let Ok(bytes) = &chunk {
            head.extend_from_slice(&bytes[..bytes.len().min(HEAD_BYTES - head.len())]);
            is_only_zeros &= bytes.iter().all(|byte| *byte == 0);
            zero_bytes += bytes.len();
        }
        seen.push(chunk);
        // A fault ends the stream, so the content must be recognized by the bytes before it.
        if is_fault {
            break;
        }
    }
    (head, false, replay(seen, chunks))
}

fn replay(seen: Vec<Result<Bytes, Fault>>, rest: impl Stream<Item = Result<Bytes, Fault>> + Send + 'static) -> Chunks {
    stream::iter(seen).chain(rest).boxed()
}

fn in_declared_encoding(chunks: Chunks, declared: Option<&'static encoding_rs::Encoding>) -> Chunks {
    let Some(encoding) = declared else { return chunks };
    let mut decoder = NamedDecoder::new(encoding);
    decoded(chunks, move |chunk| decoder.decode(chunk.unwrap_or_default(), chunk.is_none()))
}

/// Decodes each chunk with `decode`, and ends the text with `None`.
fn decoded(chunks: Chunks, mut decode: impl FnMut(Option<&[u8]>) -> Vec<u8> + Send + 'static) -> Chunks {
    // An item without a chunk marks the end, so that the decoder can finish.
    let ended = stream::once(std::future::ready(None));
    let chunks: BoxStream<'static, _> = chunks.map(Some).chain(ended).boxed();
    chunks
        .map(move |chunk| match chunk {
            Some(chunk) => chunk.map(|chunk| Bytes::from(decode(Some(&chunk)))),
            None => Ok(Bytes::from(decode(None))),
        })
        // An empty chunk would look like a stalled stream.
        .filter(|chunk| std::future::ready(!matches!(chunk, Ok(chunk) if chunk.is_empty())))
        .boxed()
}

fn failed(fault: Fault) -> Chunks {
    stream::once(std::future::ready(Err(fault))).boxed()
}

/// Returns the fault of an object of an unsupported format. `what` is the end of a sentence, such
/// as "is a PDF document, not JSON". The sentence is about the object or, if `depth` is not 0,
/// about its decompressed content.
fn unsupported(what: &str, depth: usize) -> Fault {
    let subject = if depth > 0 { "what is compressed in it" } else { "it" };
    Fault::Broken { reason: Reason::UnsupportedFormat, detail: format!("{subject} {what}") }
}

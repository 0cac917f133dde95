//! Computes the digest of a whole object in bounded memory.

use std::io::Read;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{GetResultPayload, ObjectStoreExt};

use super::Storage;
use super::local::on_blocking_thread;
use crate::digest::{Digest, Hasher};
use crate::error::{Context, Error, Result};

/// Number of bytes that are read from a file at a time.
const BUFFER_BYTES: usize = 1 << 20;

impl Storage {
    /// Reads a whole object and returns its size and digest; `None` if the object does not exist.
    ///
    /// # Errors
    /// A storage error that names the object.
    pub async fn digest_of(&self, key: &Path) -> Result<Option<(u64, Digest)>> {
        let object = match self.store.get(key).await {
            Ok(object) => object,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(e) => return Err(Error::storage("read", self.url_of(key), e)),
        };
        let hasher = match object.payload {
            GetResultPayload::File(mut file, _) => {
                let read = on_blocking_thread(move || read_file(&mut file)).await?;
                read.storage_context("read", || self.url_of(key))?
            }
            GetResultPayload::Stream(mut chunks) => {
                let mut hasher = Hasher::default();
                while let Some(chunk) = chunks.try_next().await.storage_context("read", || self.url_of(key))? {
                    hasher.update(&chunk);
                }
                hasher
            }
        };
        Ok(Some((hasher.bytes(), hasher.finish())))
    }
}

fn read_file(file: &mut impl Read) -> std::io::Result<Hasher> {
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; BUFFER_BYTES];
    // A read may fill only a part of the buffer, so read until the end of the file.
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

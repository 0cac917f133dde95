//! Lists the keys below a prefix. For a small prefix, one page contains all keys. A large prefix is
//! listed folder by folder, with many folders at once.

use aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output;
use aws_sdk_s3::types::{EncodingType, Object, ObjectStorageClass, OptionalObjectAttributes};
use futures::{StreamExt, TryStreamExt, stream};
use percent_encoding::percent_decode_str;

use super::S3;
use super::failure::failure;
use crate::error::Result;
use crate::storage::list::{Listing, is_hidden};
use crate::storage::object::SourceObject;

/// Maximum number of folders to list at once. The search for folders stops once it has found this
/// many.
const CONCURRENT_LISTINGS: usize = 16;
/// Maximum number of levels to descend in search of [`CONCURRENT_LISTINGS`] folders.
const MAX_DEPTH: usize = 4;

impl S3 {
    /// Returns the objects below the prefix that are not hidden and whose keys below the prefix
    /// start with `start`, in no particular order.
    ///
    /// # Errors
    /// A storage error that names the prefix.
    pub async fn list(&self, start: &str) -> Result<Listing> {
        let mut found = Listing::default();
        let prefix = format!("{}{start}", self.prefix);
        let first = self.page(&prefix, None, None).await?;
        if first.is_truncated() == Some(true) {
            // List the first page again, because only a request with a delimiter returns folders.
            let prefixes = self.folders(prefix, &mut found).await?;
            let listings = prefixes.into_iter().map(|prefix| self.list_all(prefix));
            let listings = stream::iter(listings).buffer_unordered(CONCURRENT_LISTINGS);
            listings
                .try_for_each(|listed| {
                    std::future::ready({
                        found.add(listed);
                        Ok(())
                    })
                })
                .await?;
        } else {
            self.take(&mut found, first);
        }
        Ok(found)
    }

    /// Searches level by level until there are enough folders to list at once, and returns these
    /// folders. Adds the objects of the levels above them to `found`.
    async fn folders(&self, prefix: String, found: &mut Listing) -> Result<Vec<String>> {
        let mut folders = vec![prefix];
        for _ in 0..MAX_DEPTH {
            // If no folders remain, all objects were listed on the way.
            if folders.len() >= CONCURRENT_LISTINGS || folders.is_empty() {
                break;
            }
            let levels = folders.into_iter().map(|folder| self.level(folder));
            let levels: Vec<(Listing, Vec<String>)> =
                stream::iter(levels).buffer_unordered(CONCURRENT_LISTINGS).try_collect().await?;
            folders = Vec::new();
            for (objects, below) in levels {
                found.add(objects);
                folders.extend(below);
            }
        }
        Ok(folders)
    }

    /// Returns the objects directly in a folder, and the folders in it.
    async fn level(&self, folder: String) -> Result<(Listing, Vec<String>)> {
        let (mut found, mut folders) = (Listing::default(), Vec::new());
        let mut token = None;
        loop {
            // With a delimiter, keys below a folder are summarized as one prefix.
            let page = self.page(&folder, Some("/"), token).await?;
            token = page.next_continuation_token().map(str::to_owned);
            let below = page.common_prefixes().iter().filter_map(|below| below.prefix());
            folders.extend(below.filter(|below| self.is_visible(below)).map(str::to_owned));
            self.take(&mut found, page);
            if token.is_none() {
                return Ok((found, folders));
            }
        }
    }

    async fn list_all(&self, prefix: String) -> Result<Listing> {
        let mut found = Listing::default();
        let mut token = None;
        loop {
            let page = self.page(&prefix, None, token).await?;
            token = page.next_continuation_token().map(str::to_owned);
            self.take(&mut found, page);
            if token.is_none() {
                return Ok(found);
            }
        }
    }

    async fn page(&self, prefix: &str, delimiter: Option<&str>, token: Option<String>) -> Result<ListObjectsV2Output> {
        let request = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix);
        // Keys may contain characters that XML cannot represent.
        let request = request.encoding_type(EncodingType::Url);
        let request = request.optional_object_attributes(OptionalObjectAttributes::RestoreStatus);
        let request = request.set_delimiter(delimiter.map(str::to_owned)).set_continuation_token(token);
        let request = request.set_request_payer(self.payer());
        let listed = |e| failure("list", format!("s3://{}/{prefix}", self.bucket), &e);
        let page = request.send().await.map_err(listed)?;
        // Some servers ignore the requested encoding.
        Ok(if page.encoding_type() == Some(&EncodingType::Url) { decoded(page) } else { page })
    }

    fn is_visible(&self, key: &str) -> bool {
        key.strip_prefix(&self.prefix).is_some_and(|key| !key.split('/').any(is_hidden))
    }

    fn take(&self, found: &mut Listing, page: ListObjectsV2Output) {
        for object in page.contents.unwrap_or_default() {
            let Some(key) = object.key().filter(|key| self.is_visible(key)) else { continue };
            let key = key[self.prefix.len()..].to_owned();
            // S3 consoles represent a folder by an empty object whose key ends with `/`.
            if (key.is_empty() || key.ends_with('/')) && object.size() == Some(0) {
                continue;
            }
            let place = if is_archived(&object) { &mut found.archived } else { &mut found.objects };
            place.push(source_object(key, &object));
        }
    }
}

/// Decodes the keys and prefixes of a page.
fn decoded(mut page: ListObjectsV2Output) -> ListObjectsV2Output {
    for object in page.contents.iter_mut().flatten() {
        object.key = object.key.take().map(|key| decode(&key));
    }
    for folder in page.common_prefixes.iter_mut().flatten() {
        folder.prefix = folder.prefix.take().map(|prefix| decode(&prefix));
    }
    page
}

/// Decodes text in the encoding of HTML forms, where a plus is a space.
fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

fn is_archived(object: &Object) -> bool {
    // A restored copy is readable until it expires.
    let is_restored = object.restore_status().is_some_and(|status| status.restore_expiry_date().is_some());
    let class = object.storage_class();
    matches!(class, Some(ObjectStorageClass::Glacier | ObjectStorageClass::DeepArchive)) && !is_restored
}

fn source_object(key: String, object: &Object) -> SourceObject {
    // Convert nanoseconds to microseconds.
    let modified = object.last_modified().map_or(0, |time| i64::try_from(time.as_nanos() / 1_000).unwrap_or_default());
    SourceObject {
        key,
        bytes: object.size().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default(),
        etag: object.e_tag().map(str::to_owned),
        modified,
    }
}

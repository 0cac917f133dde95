//! Buckets in memory. One lock guards all buckets, so that checking a condition and changing an
//! object are atomic.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{TryStreamExt, stream};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CommonPrefix, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteObjectInput,
    DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETag, ETagCondition, EncodingType,
    GetObjectInput, GetObjectOutput, HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput,
    ListMultipartUploadsInput, ListMultipartUploadsOutput, ListObjectVersionsInput, ListObjectVersionsOutput,
    ListObjectsV2Input, ListObjectsV2Output, MultipartUpload, Object, ObjectStorageClass, ObjectVersion,
    PutObjectInput, PutObjectOutput, StreamingBlob, UploadPartInput, UploadPartOutput,
};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

use crate::checksums;

/// Maximum number of keys on one page of a listing.
const PAGE: usize = 1_000;

/// All buckets. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Objects(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    buckets: HashMap<String, BTreeMap<String, Stored>>,
    uploads: BTreeMap<String, Upload>,
    /// Older versions by bucket and key, oldest first. Contains only buckets with versioning.
    kept: HashMap<String, BTreeMap<String, Vec<Stored>>>,
    /// Counter for ETags, version ids and upload ids.
    counter: u64,
}

#[derive(Debug, Clone)]
struct Stored {
    bytes: Bytes,
    etag: String,
    modified: SystemTime,
    class: Option<String>,
    /// `Content-Encoding` of the object.
    encoding: Option<String>,
    /// Version id; the text `null` in a bucket without versioning, as in S3.
    version: String,
}

#[derive(Debug)]
struct Upload {
    bucket: String,
    key: String,
    begun: SystemTime,
    encoding: Option<String>,
    parts: BTreeMap<i32, Bytes>,
}

impl Objects {
    pub(crate) fn new(buckets: &[&str]) -> Self {
        let buckets = buckets.iter().map(|bucket| ((*bucket).to_owned(), BTreeMap::new())).collect();
        Self(Arc::new(Mutex::new(State { buckets, ..State::default() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn put(&self, bucket: &str, key: &str, bytes: Bytes) {
        self.state().insert(bucket, key.to_owned(), bytes, None);
    }

    pub(crate) fn keep_versions(&self, bucket: &str) {
        self.state().kept.entry(bucket.to_owned()).or_default();
    }

    pub(crate) fn has(&self, bucket: &str, key: &str) -> bool {
        self.state().buckets.get(bucket).is_some_and(|objects| objects.contains_key(key))
    }

    pub(crate) fn set_class(&self, bucket: &str, key: &str, class: &str) {
        if let Some(stored) = self.state().buckets.get_mut(bucket).and_then(|objects| objects.get_mut(key)) {
            stored.class = Some(class.to_owned());
        }
    }

    pub(crate) fn delete(&self, bucket: &str, key: &str) {
        self.state().remove(bucket, key);
    }

    pub(crate) fn age(&self, by: Duration) {
        let mut state = self.state();
        for stored in state.buckets.values_mut().flat_map(BTreeMap::values_mut) {
            stored.modified -= by;
        }
        for upload in state.uploads.values_mut() {
            upload.begun -= by;
        }
    }

    pub(crate) fn keys(&self, bucket: &str, prefix: &str) -> Vec<String> {
        let state = self.state();
        let objects = state.buckets.get(bucket).into_iter().flatten();
        objects.map(|(key, _)| key.clone()).filter(|key| key.starts_with(prefix)).collect()
    }

    pub(crate) fn unfinished_uploads(&self) -> usize {
        self.state().uploads.len()
    }

    fn get(&self, bucket: &str, key: &str, version: Option<&str>) -> S3Result<Stored> {
        let mut state = self.state();
        let newest = state.bucket(bucket)?.get(key).cloned();
        let Some(version) = version else { return newest.ok_or_else(|| s3_error!(NoSuchKey)) };
        let older = state.kept.get(bucket).and_then(|kept| kept.get(key)).into_iter().flatten().cloned();
        newest.into_iter().chain(older).find(|stored| stored.version == version).ok_or_else(|| s3_error!(NoSuchVersion))
    }
}

impl State {
    fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    /// Stores an object, replacing an existing one, and returns the ETag of the new object.
    fn insert(&mut self, bucket: &str, key: String, bytes: Bytes, encoding: Option<String>) -> String {
        let number = self.next();
        let etag = format!("{number:032x}");
        let version = if self.kept.contains_key(bucket) { format!("version-{number}") } else { "null".to_owned() };
        let stored = Stored { bytes, etag: etag.clone(), modified: SystemTime::now(), class: None, encoding, version };
        self.remove(bucket, &key);
        self.buckets.entry(bucket.to_owned()).or_default().insert(key, stored);
        etag
    }

    /// Removes an object. A bucket with versioning keeps it as an old version.
    fn remove(&mut self, bucket: &str, key: &str) {
        let Some(stored) = self.buckets.get_mut(bucket).and_then(|objects| objects.remove(key)) else { return };
        if let Some(kept) = self.kept.get_mut(bucket) {
            kept.entry(key.to_owned()).or_default().push(stored);
        }
    }

    fn bucket(&mut self, bucket: &str) -> S3Result<&mut BTreeMap<String, Stored>> {
        self.buckets.get_mut(bucket).ok_or_else(|| s3_error!(NoSuchBucket))
    }

    /// Stores an object if the conditions are met, and returns its ETag.
    fn put_if(
        &mut self,
        bucket: &str,
        key: String,
        bytes: Bytes,
        encoding: Option<String>,
        none_match: Option<&ETagCondition>,
        is_match: Option<&ETagCondition>,
    ) -> S3Result<String> {
        let there = self.bucket(bucket)?.get(&key).map(|stored| stored.etag.clone());
        let holds = |condition: &ETagCondition| match condition {
            ETagCondition::Any => there.is_some(),
            ETagCondition::ETag(etag) => there.as_deref() == Some(etag.value()),
        };
        if none_match.is_some_and(holds) || is_match.is_some_and(|condition| !holds(condition)) {
            return Err(s3_error!(PreconditionFailed));
        }
        Ok(self.insert(bucket, key, bytes, encoding))
    }
}

async fn read_all(body: Option<StreamingBlob>) -> S3Result<Bytes> {
    let Some(body) = body else { return Ok(Bytes::new()) };
    let read = body.try_fold(BytesMut::new(), |mut all, chunk| async move {
        all.extend_from_slice(&chunk);
        Ok(all)
    });
    read.await.map(BytesMut::freeze).map_err(|_| s3_error!(IncompleteBody))
}

fn length(bytes: &Bytes) -> Option<i64> {
    i64::try_from(bytes.len()).ok()
}

/// URL-encodes text. Clients request this encoding for keys that XML cannot represent.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' | b'/' => {
                encoded.push(char::from(byte))
            }
            b' ' => encoded.push('+'),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[async_trait]
impl S3 for Objects {
    async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        self.state().bucket(&request.input.bucket)?;
        Ok(S3Response::new(HeadBucketOutput { bucket_region: Some("us-east-1".to_owned()), ..Default::default() }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let is_encoded = input.encoding_type.as_ref().is_some_and(|kind| kind.as_str() == EncodingType::URL);
        let told = |key: &str| if is_encoded { encoded(key) } else { key.to_owned() };
        let prefix = input.prefix.clone().unwrap_or_default();
        let after = input.continuation_token.clone().or(input.start_after.clone()).unwrap_or_default();
        let page = input.max_keys.and_then(|keys| usize::try_from(keys).ok()).unwrap_or(PAGE).min(PAGE);
        let mut state = self.state();
        let objects = state.bucket(&input.bucket)?;
        let (mut contents, mut folders) = (Vec::new(), BTreeSet::new());
        let mut next = None;
        let from = prefix.clone().max(after.clone());
        for (key, stored) in objects.range(from..).take_while(|(key, _)| key.starts_with(&prefix)) {
            let delimiter = input.delimiter.as_deref().filter(|delimiter| !delimiter.is_empty());
            let end = delimiter.and_then(|delimiter| Some(key[prefix.len()..].find(delimiter)? + delimiter.len()));
            let name = end.map_or(key.as_str(), |end| &key[..prefix.len() + end]);
            if name <= after.as_str() || folders.contains(name) {
                continue;
            }
            if contents.len() + folders.len() == page {
                next = Some(());
                break;
            }
            if end.is_some() {
                folders.insert(name.to_owned());
                continue;
            }
            contents.push((key.clone(), stored.clone()));
        }
        let last_key = contents.last().map(|(key, _)| key.clone());
        let token = next.and(last_key.max(folders.last().cloned()));
        let listed = contents.into_iter().map(|(key, stored)| Object {
            key: Some(told(&key)),
            e_tag: Some(ETag::Strong(stored.etag)),
            last_modified: Some(stored.modified.into()),
            size: length(&stored.bytes),
            storage_class: stored.class.map(ObjectStorageClass::from),
            ..Default::default()
        });
        Ok(S3Response::new(ListObjectsV2Output {
            contents: Some(listed.collect()),
            common_prefixes: Some(folders.iter().map(|folder| CommonPrefix { prefix: Some(told(folder)) }).collect()),
            is_truncated: Some(token.is_some()),
            next_continuation_token: token,
            encoding_type: input.encoding_type,
            name: Some(input.bucket),
            prefix: Some(told(&prefix)),
            ..Default::default()
        }))
    }

    async fn list_object_versions(
        &self,
        request: S3Request<ListObjectVersionsInput>,
    ) -> S3Result<S3Response<ListObjectVersionsOutput>> {
        let prefix = request.input.prefix.unwrap_or_default();
        let mut state = self.state();
        let mut versions: Vec<(String, Stored, bool)> = Vec::new();
        for (key, stored) in state.bucket(&request.input.bucket)?.range(prefix.clone()..) {
            versions.push((key.clone(), stored.clone(), true));
        }
        for (key, kept) in state.kept.get(&request.input.bucket).into_iter().flatten() {
            versions.extend(kept.iter().rev().map(|stored| (key.clone(), stored.clone(), false)));
        }
        versions.retain(|(key, _, _)| key.starts_with(&prefix));
        versions.sort_by(|(one, _, _), (other, _, _)| one.cmp(other));
        let versions = versions.into_iter().map(|(key, stored, is_latest)| ObjectVersion {
            key: Some(key),
            e_tag: Some(ETag::Strong(stored.etag)),
            version_id: Some(stored.version),
            is_latest: Some(is_latest),
            last_modified: Some(stored.modified.into()),
            size: length(&stored.bytes),
            ..Default::default()
        });
        Ok(S3Response::new(ListObjectVersionsOutput {
            versions: Some(versions.collect()),
            is_truncated: Some(false),
            ..Default::default()
        }))
    }

    async fn head_object(&self, request: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let stored = self.get(&request.input.bucket, &request.input.key, request.input.version_id.as_deref())?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: length(&stored.bytes),
            content_encoding: stored.encoding,
            e_tag: Some(ETag::Strong(stored.etag)),
            last_modified: Some(stored.modified.into()),
            ..Default::default()
        }))
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let stored = self.get(&input.bucket, &input.key, input.version_id.as_deref())?;
        if matches!(&input.if_match, Some(ETagCondition::ETag(etag)) if etag.value() != stored.etag) {
            return Err(s3_error!(PreconditionFailed));
        }
        if matches!(stored.class.as_deref(), Some("GLACIER" | "DEEP_ARCHIVE")) {
            return Err(s3_error!(InvalidObjectState));
        }
        let all = stored.bytes.len() as u64;
        let range = match input.range {
            Some(range) => Some(range.check(all).map_err(|_| s3_error!(InvalidRange))?),
            None => None,
        };
        let bytes = match &range {
            Some(range) => {
                let at = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
                stored.bytes.slice(at(range.start)..at(range.end))
            }
            None => stored.bytes.clone(),
        };
        Ok(S3Response::new(GetObjectOutput {
            content_length: length(&bytes),
            content_encoding: stored.encoding,
            content_range: range.map(|range| format!("bytes {}-{}/{all}", range.start, range.end - 1)),
            body: Some(StreamingBlob::wrap(stream::iter([Ok::<_, std::io::Error>(bytes)]))),
            e_tag: Some(ETag::Strong(stored.etag)),
            last_modified: Some(stored.modified.into()),
            ..Default::default()
        }))
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let input = request.input;
        let bytes = read_all(input.body).await?;
        let checksum_sha256 = checksums::verified(&bytes, input.checksum_sha256.as_deref())?;
        let (none_match, is_match) = (input.if_none_match.as_ref(), input.if_match.as_ref());
        let encoding = input.content_encoding;
        let etag = self.state().put_if(&input.bucket, input.key, bytes, encoding, none_match, is_match)?;
        Ok(S3Response::new(PutObjectOutput { e_tag: Some(ETag::Strong(etag)), checksum_sha256, ..Default::default() }))
    }

    async fn delete_object(&self, request: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        let mut state = self.state();
        state.bucket(&request.input.bucket)?;
        state.remove(&request.input.bucket, &request.input.key);
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let mut state = self.state();
        state.bucket(&request.input.bucket)?;
        let deleted = request.input.delete.objects.into_iter().map(|object| {
            state.remove(&request.input.bucket, &object.key);
            DeletedObject { key: Some(object.key), ..Default::default() }
        });
        let deleted = Some(deleted.collect());
        Ok(S3Response::new(DeleteObjectsOutput { deleted, ..Default::default() }))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let mut state = self.state();
        state.bucket(&request.input.bucket)?;
        let id = format!("upload-{}", state.next());
        let (bucket, key) = (request.input.bucket, request.input.key);
        let upload = Upload {
            bucket: bucket.clone(),
            key: key.clone(),
            begun: SystemTime::now(),
            encoding: request.input.content_encoding,
            parts: BTreeMap::new(),
        };
        state.uploads.insert(id.clone(), upload);
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(bucket),
            key: Some(key),
            upload_id: Some(id),
            ..Default::default()
        }))
    }

    async fn upload_part(&self, request: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        let bytes = read_all(request.input.body).await?;
        let checksum_sha256 = checksums::verified(&bytes, request.input.checksum_sha256.as_deref())?;
        let mut state = self.state();
        let etag = format!("{:032x}", state.next());
        let upload = state.uploads.get_mut(&request.input.upload_id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        upload.parts.insert(request.input.part_number, bytes);
        Ok(S3Response::new(UploadPartOutput { e_tag: Some(ETag::Strong(etag)), checksum_sha256, ..Default::default() }))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
        let mut state = self.state();
        let upload = state.uploads.remove(&input.upload_id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        let mut bytes = BytesMut::new();
        let claimed = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        for (number, part) in &upload.parts {
            let claimed = claimed.iter().find(|part| part.part_number == Some(*number));
            checksums::verified(part, claimed.and_then(|part| part.checksum_sha256.as_deref()))?;
            bytes.extend_from_slice(part);
        }
        let (none_match, is_match) = (input.if_none_match.as_ref(), input.if_match.as_ref());
        let bytes = bytes.freeze();
        let etag = state.put_if(&upload.bucket, upload.key, bytes, upload.encoding, none_match, is_match)?;
        Ok(S3Response::new(CompleteMultipartUploadOutput { e_tag: Some(ETag::Strong(etag)), ..Default::default() }))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.state().uploads.remove(&request.input.upload_id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    async fn list_multipart_uploads(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let state = self.state();
        let uploads = state.uploads.iter().filter(|(_, upload)| upload.bucket == request.input.bucket);
        let uploads = uploads.map(|(id, upload)| MultipartUpload {
            key: Some(upload.key.clone()),
            upload_id: Some(id.clone()),
            initiated: Some(upload.begun.into()),
            ..Default::default()
        });
        let uploads = Some(uploads.collect());
        Ok(S3Response::new(ListMultipartUploadsOutput { uploads, ..Default::default() }))
    }
}

//! Access keys: their secrets, expiry and policies.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::dto::DeleteObjectsInput;
use s3s::path::S3Path;
use s3s::{S3Request, S3Result, s3_error};

use crate::objects::Objects;
use crate::policy::Policy;

/// All access keys. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    known: Arc<Mutex<HashMap<String, Key>>>,
    /// Objects of the server, needed to distinguish missing objects from forbidden ones.
    objects: Objects,
}

#[derive(Debug)]
struct Key {
    secret: String,
    /// Policy of the key; `None` allows everything.
    policy: Option<Policy>,
    is_expired: bool,
}

impl Keys {
    pub(crate) fn new(objects: Objects) -> Self {
        Self { known: Arc::default(), objects }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Key>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, access_key: &str, secret: &str, policy: Option<Policy>) {
        let key = Key { secret: secret.to_owned(), policy, is_expired: false };
        self.known().insert(access_key.to_owned(), key);
    }

    pub(crate) fn expire(&self, access_key: &str) {
        if let Some(key) = self.known().get_mut(access_key) {
            key.is_expired = true;
        }
    }

    fn check(&self, access_key: Option<&str>, action: &str, resource: &str, prefix: Option<&str>) -> S3Result<()> {
        let known = self.known();
        let Some(key) = access_key.and_then(|access_key| known.get(access_key)) else {
            return Err(s3_error!(AccessDenied, "requests must be signed"));
        };
        match &key.policy {
            Some(policy) if !policy.allows(action, resource, prefix) => {
                Err(s3_error!(AccessDenied, "the key is not allowed to do {action} on {resource}"))
            }
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        match self.known().get(access_key) {
            None => Err(s3_error!(InvalidAccessKeyId, "the key is unknown")),
            Some(key) if key.is_expired => Err(s3_error!(ExpiredToken, "the key has expired")),
            Some(key) => Ok(SecretKey::from(key.secret.clone())),
        }
    }
}

#[async_trait]
impl S3Access for Keys {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let access_key = cx.credentials().map(|credentials| credentials.access_key.as_str());
        let (bucket, key) = match cx.s3_path() {
            S3Path::Root => return Err(s3_error!(AccessDenied, "listing buckets is not supported")),
            S3Path::Bucket { bucket } => (bucket, None),
            S3Path::Object { bucket, key } => (bucket, Some(key)),
        };
        let query = cx.uri().query().unwrap_or_default();
        let action = match cx.s3_op().name() {
            "HeadBucket" | "ListObjects" | "ListObjectsV2" => "s3:ListBucket",
            "ListObjectVersions" => "s3:ListBucketVersions",
            "ListMultipartUploads" => "s3:ListBucketMultipartUploads",
            "GetObject" | "HeadObject" if query.contains("versionId=") => "s3:GetObjectVersion",
            "GetObject" | "HeadObject" => "s3:GetObject",
            "PutObject" | "CreateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload" => "s3:PutObject",
            "DeleteObject" => "s3:DeleteObject",
            "AbortMultipartUpload" => "s3:AbortMultipartUpload",
            // `delete_objects` checks each key of the request.
            "DeleteObjects" => return Ok(()),
            other => return Err(s3_error!(AccessDenied, "{other} is not supported")),
        };
        let bucket_arn = format!("arn:aws:s3:::{bucket}");
        let Some(key) = key else {
            let prefix = query.split('&').find_map(|pair| pair.strip_prefix("prefix="));
            let prefix = prefix.map(|prefix| prefix.replace("%2F", "/"));
            return self.check(access_key, action, &bucket_arn, prefix.as_deref());
        };
        self.check(access_key, action, &format!("{bucket_arn}/{key}"), None)?;
        if action == "s3:GetObject" && !self.objects.has(bucket, key) {
            // Only an access key that may list the bucket gets status 404 for a missing object.
            self.check(access_key, "s3:ListBucket", &bucket_arn, None)?;
        }
        Ok(())
    }

    async fn delete_objects(&self, request: &mut S3Request<DeleteObjectsInput>) -> S3Result<()> {
        let access_key = request.credentials.as_ref().map(|credentials| credentials.access_key.as_str());
        for object in &request.input.delete.objects {
            let resource = format!("arn:aws:s3:::{}/{}", request.input.bucket, object.key);
            self.check(access_key, "s3:DeleteObject", &resource, None)?;
        }
        Ok(())
    }
}

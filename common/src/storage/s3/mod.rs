//! A prefix of a bucket as storage: two clients that share one set of credentials.
//!
//! ```text
//!   aws-config ─► credentials ─┬─► object_store: bytes (objects, Parquet, Delta, spool)
//!                              └─► aws-sdk-s3: keys and control (listings, the bucket's region, conditional puts)
//! ```
//!
//! `object_store` resumes in the middle of a body that was cut off, and needs a third of the SDK's
//! CPU time for a small object. The SDK supports every key that S3 can hold, storage classes and
//! conditional responses.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::RequestPayer;
use chrono::{DateTime, Utc};
use object_store::ObjectStore;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use percent_encoding::percent_decode_str;
use url::Url;

use crate::config::resolved::{Bucket, Location};
use crate::error::{Context, Error, Result, register_storage_hints};
use crate::printable;
use clients::DEFAULT_REGION;
pub use clients::sdk_config;
use requests::{RequestCounts, Requests};

/// Builds the two clients.
mod clients;
/// Provides credentials for both clients.
mod credentials;
/// Errors of failed requests.
mod failure;
/// Lists the keys below a prefix.
mod list;
/// Reads objects with unusual keys, and older versions of objects.
pub mod get;
/// Finds the listed version of an object that has been replaced since.
mod versions;
/// Conditional puts.
mod put;
/// Lists and aborts unfinished multipart uploads.
pub mod uploads;
/// Counts requests by class and status.
pub mod requests;
/// Limits concurrent requests.
mod throttle;

/// Time to wait for a response of a bucket before a warning is logged.
const WARN_AFTER: Duration = Duration::from_secs(5);

/// Client for a prefix of a bucket, for all requests that do not go through `object_store`.
#[derive(Debug)]
pub struct S3 {
    client: Client,
    bucket: String,
    /// Prefix to prepend to every key; empty, or ends with `/`.
    prefix: String,
    settings: Bucket,
    requests: Requests,
}

impl S3 {
    /// Returns the counts of all requests, including the requests of `object_store`.
    #[must_use]
    pub fn requests(&self) -> RequestCounts {
        self.requests.read()
    }

    /// Returns the current time by the server's clock, computed from its last response; `None` if
    /// no response had a `Date` header.
    #[must_use]
    pub fn server_time(&self) -> Option<DateTime<Utc>> {
        self.requests.server_time()
    }

    /// Returns the value of the header `x-amz-request-payer`, which every request must send; `None`
    /// if the owner of the bucket pays.
    fn payer(&self) -> Option<RequestPayer> {
        self.settings.requester_pays.then_some(RequestPayer::Requester)
    }

    fn url_of(&self, key: &str) -> String {
        printable::line(&format!("s3://{}/{}{key}", self.bucket, self.prefix)).into_owned()
    }
}

/// Opens a prefix, and returns its two clients. One request checks that the bucket exists and may
/// be used, and returns its region.
pub(super) async fn open(location: &Location) -> Result<(Arc<dyn ObjectStore>, S3)> {
    register_storage_hints(failure::bytes_hint);
    let settings = &location.bucket;
    let (bucket, prefix) = bucket_and_prefix(&location.url)?;
    let shared = clients::shared_config(settings).await;
    let credentials = clients::credentials(settings, &shared).await;
    let endpoint = clients::endpoint(settings, &shared);
    clients::check_style(settings, endpoint.as_deref(), location)?;
    let configured = settings.region.clone().or_else(|| shared.region().map(ToString::to_string));
    let region = configured.unwrap_or_else(|| DEFAULT_REGION.to_owned());
    let requests = Requests::default();
    let client = |region: &str| {
        clients::client(settings, &shared, credentials.as_ref(), endpoint.as_deref(), region, requests.clone())
    };
    let first = client(&region);
    // The bucket's own region may differ from the configured one. S3 redirects or refuses requests
    // to another region.
    let (client, region) = match region_of(&first, &bucket, &prefix, location).await? {
        Some(own) if own != region => (client(&own), own),
        _ => (first, region),
    };
    let store =
        clients::bytes_store(settings, &bucket, credentials.clone(), endpoint.as_deref(), &region, requests.clone())
            .storage_context("open", || &location.url)?;
    let folder =
        // Reject a prefix that `object_store` would normalize to a different one.
        Path::parse(prefix.trim_end_matches('/')).ok().filter(|path| format!("{path}/") == prefix || prefix.is_empty());
    let Some(folder) = folder else {
        return Err(Error::configuration(format!("`{}` is a prefix that cannot be used", location.url))
            .hint("a prefix has no empty segments, no `.` and `..` and no control characters"));
    };
    let store: Arc<dyn ObjectStore> = Arc::new(PrefixStore::new(store, folder));
    Ok((store, S3 { client, bucket, prefix, settings: settings.clone(), requests }))
}

fn bucket_and_prefix(url: &Url) -> Result<(String, String)> {
    let unusable = || Error::configuration(format!("`{url}` names no bucket"));
    let bucket = url.host_str().ok_or_else(unusable)?.to_owned();
    let prefix = percent_decode_str(url.path().trim_start_matches('/')).decode_utf8().map_err(|_| unusable())?;
    Ok((bucket, prefix.into_owned()))
}

/// Returns the region of the bucket; `None` if the server does not report it.
async fn region_of(client: &Client, bucket: &str, prefix: &str, location: &Location) -> Result<Option<String>> {
    let pays = location.bucket.requester_pays;
    let head = client.head_bucket().bucket(bucket).customize().mutate_request(move |request| {
        // The SDK's operation has no setting for this header, but the bucket's owner may require
        // it.
        if pays {
            request.headers_mut().insert("x-amz-request-payer", "requester");
        }
    });
    let head = head.send();
    tokio::pin!(head);
    let answer = tokio::select! {
        answer = &mut head => answer,
        () = tokio::time::sleep(WARN_AFTER) => {
            tracing::warn!(url = %location.url, "no answer yet; still trying");
            head.await
        }
    };
    match answer {
        Ok(head) => Ok(head.bucket_region().map(str::to_owned)),
        Err(error) => {
            let region = error.raw_response().and_then(|answer| answer.headers().get("x-amz-bucket-region"));
            let region = region.map(str::to_owned);
            let mut failure = match failure::status(&error) {
                Some(301) if region.is_some() => return Ok(region),
                // The response to a HEAD has no body with the reason, so send a listing instead.
                // The listing may succeed, if the credentials allow access only to this prefix.
                Some(400 | 401 | 403) => {
                    let payer = pays.then_some(RequestPayer::Requester);
                    let list = client.list_objects_v2().bucket(bucket).prefix(prefix).max_keys(1);
                    match list.set_request_payer(payer).send().await {
                        Ok(_) => return Ok(region),
                        Err(reason) => failure::failure("open", &location.url, &reason),
                    }
                }
                _ => failure::failure("open", &location.url, &error),
            };
            if let Some(profile) = &location.bucket.profile {
                failure.message = format!("{} with the profile `{profile}`", failure.message);
            }
            Err(failure)
        }
    }
}

//! Every request that the two clients make, counted by kind and status, and the bytes that moved.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use aws_sdk_s3::config::interceptors::{BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use chrono::{DateTime, Utc};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use serde::{Deserialize, Serialize};

use super::throttle::Throttle;

/// What was asked of storage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestCounts {
    /// By kind and status, such as `GET 206` or `LIST 200`; `GET -` got no answer.
    pub requests: BTreeMap<String, u64>,
    /// As answers told their lengths.
    pub bytes_read: u64,
    pub bytes_written: u64,
}

impl RequestCounts {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Adds what another process, or another bucket, counted.
    pub fn add(&mut self, other: &Self) {
        for (kind, count) in &other.requests {
            *self.requests.entry(kind.clone()).or_default() += count;
        }
        self.bytes_read += other.bytes_read;
        self.bytes_written += other.bytes_written;
    }

    /// Requests of each kind, and those that were refused or not answered. That something is not there, or is there already, is
    /// an answer.
    #[must_use]
    pub fn by_kind(&self) -> (BTreeMap<&str, u64>, u64) {
        let (mut kinds, mut failed) = (BTreeMap::new(), 0);
        for (key, count) in &self.requests {
            let (kind, status) = key.split_once(' ').unwrap_or((key, ""));
            *kinds.entry(kind).or_default() += count;
            if !(status.starts_with('2') || matches!(status, "404" | "412")) {
                failed += count;
            }
        }
        (kinds, failed)
    }
}

/// The counter of one bucket's clients; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Requests(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    counts: RequestCounts,
    /// The server's time in its last answer to the SDK, and when that came.
    clock: Option<(DateTime<Utc>, Instant)>,
}

impl Requests {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn read(&self) -> RequestCounts {
        self.seen().counts.clone()
    }

    /// The time by the server's clock; `None` if no answer had a `Date`.
    pub(super) fn server_time(&self) -> Option<DateTime<Utc>> {
        self.seen().clock.map(|(time, seen)| time + seen.elapsed())
    }

    fn add(&self, kind: &str, status: Option<u16>, read: u64, written: u64) {
        let status = status.map_or_else(|| "-".to_owned(), |status| status.to_string());
        let counts = &mut self.seen().counts;
        *counts.requests.entry(format!("{kind} {status}")).or_default() += 1;
        counts.bytes_read += read;
        counts.bytes_written += written;
    }
}

/// As S3 bills it: a listing is a GET that costs as much as a PUT.
fn kind<'a>(method: &'a str, query: &str) -> &'a str {
    if method == "GET" && query.contains("list-type=2") { "LIST" } else { method }
}

/// Of the SDK.
#[async_trait]
impl Intercept for Requests {
    fn name(&self) -> &'static str {
        "requests"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.seen().counts.bytes_written += length(context.request().headers().get("content-length"));
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // The request itself is gone by now.
        let kind = match config.load::<Metadata>().map(Metadata::name) {
            Some("HeadBucket") => "HEAD",
            Some("ListObjectsV2") => "LIST",
            Some("PutObject") => "PUT",
            _ => "GET",
        };
        let answer = context.response();
        let read = answer.map_or(0, |answer| length(answer.headers().get("content-length")));
        let date = answer.and_then(|answer| answer.headers().get("date"));
        if let Some(time) = date.and_then(|date| DateTime::parse_from_rfc2822(date).ok()) {
            self.seen().clock = Some((time.to_utc(), Instant::now()));
        }
        self.add(kind, answer.map(|answer| answer.status().as_u16()), if kind == "HEAD" { 0 } else { read }, 0);
        Ok(())
    }
}

fn length(header: Option<&str>) -> u64 {
    header.and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Of `object_store`: its HTTP client, bounded and counted.
#[derive(Debug)]
pub(super) struct BytesConnector {
    pub(super) requests: Requests,
    pub(super) throttle: Throttle,
}

impl HttpConnector for BytesConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        let (requests, throttle) = (self.requests.clone(), self.throttle.clone());
        Ok(HttpClient::new(BytesClient { inner, requests, throttle }))
    }
}

#[derive(Debug)]
struct BytesClient {
    inner: HttpClient,
    requests: Requests,
    throttle: Throttle,
}

#[async_trait]
impl HttpService for BytesClient {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let kind = kind(request.method().as_str(), request.uri().query().unwrap_or_default()).to_owned();
        let written = request.body().content_length() as u64;
        let permit = self.throttle.acquire().await;
        let answer = self.inner.execute(request).await;
        drop(permit);
        let status = answer.as_ref().ok().map(|answer| answer.status().as_u16());
        let header = answer.as_ref().ok().and_then(|answer| answer.headers().get("content-length"));
        let read = length(header.and_then(|header| header.to_str().ok()));
        self.throttle.told(matches!(status, Some(429 | 503)), Instant::now());
        // The answer to a HEAD tells the length of a body that does not come.
        let read = if kind == "HEAD" { 0 } else { read };
        self.requests.add(&kind, status, read, written);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_those_of_the_bill_and_failures_are_told_apart() {
        let requests = Requests::default();
        requests.add(kind("GET", "list-type=2&prefix=a"), Some(200), 10, 0);
        requests.add(kind("GET", ""), Some(206), 5, 0);
        requests.add(kind("GET", ""), Some(503), 1, 0);
        requests.add(kind("PUT", ""), None, 0, 7);
        let mut counts = requests.read();
        counts.add(&requests.read());
        let (kinds, failed) = counts.by_kind();
        assert_eq!(kinds, BTreeMap::from([("GET", 4), ("LIST", 2), ("PUT", 2)]));
        assert_eq!((failed, counts.bytes_read, counts.bytes_written), (4, 32, 14));
        assert_eq!(counts.requests["PUT -"], 2);
        assert_eq!(requests.server_time(), None);
    }
}

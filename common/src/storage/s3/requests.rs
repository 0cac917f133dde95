//! Counts every request of both clients by class and status, and the bytes transferred.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
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

/// Class of a request by its price: a listing is a GET request, but S3 bills it like a PUT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RequestClass {
    Delete,
    Get,
    Head,
    List,
    Post,
    Put,
}

impl RequestClass {
    const ALL: [Self; 6] = [Self::Delete, Self::Get, Self::Head, Self::List, Self::Post, Self::Put];

    /// Returns the name of the class in manifests, messages and the worker protocol.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Delete => "DELETE",
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::List => "LIST",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }

    /// Classifies an HTTP request of `object_store` by its method and query.
    fn of_http(method: &str, query: &str) -> Self {
        match method {
            "GET" if query.contains("list-type=2") => Self::List,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "DELETE" => Self::Delete,
            _ => Self::Get,
        }
    }

    /// Classifies an operation of the SDK by its name.
    fn of_operation(name: Option<&str>) -> Self {
        match name {
            Some("HeadBucket") => Self::Head,
            Some("ListObjectsV2" | "ListObjectVersions" | "ListMultipartUploads") => Self::List,
            Some("PutObject") => Self::Put,
            Some("AbortMultipartUpload") => Self::Delete,
            _ => Self::Get,
        }
    }
}

impl fmt::Display for RequestClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Class of a request, and the HTTP status of its response; the status is `None` if there was no
/// response.
///
/// Written as `GET 206` or `LIST 200`, without a response as `GET -`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Answered {
    pub class: RequestClass,
    pub status: Option<u16>,
}

impl Answered {
    /// Whether the request was refused or got no response. Status 404 (the object does not exist)
    /// and status 412 (it exists already, or has changed) are not failures.
    fn is_failed(self) -> bool {
        !matches!(self.status, Some(200..=299 | 404 | 412))
    }
}

impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "{} {status}", self.class),
            None => write!(f, "{} -", self.class),
        }
    }
}

impl FromStr for Answered {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("`{}` is not a class of requests and a status", text.escape_debug());
        let (class, status) = text.split_once(' ').ok_or_else(unknown)?;
        let class = RequestClass::ALL.into_iter().find(|known| known.name() == class).ok_or_else(unknown)?;
        let status = match status {
            "-" => None,
            status => Some(status.parse().map_err(|_| unknown())?),
        };
        Ok(Self { class, status })
    }
}

impl TryFrom<String> for Answered {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Answered> for String {
    fn from(answered: Answered) -> Self {
        answered.to_string()
    }
}

/// Counts of requests to S3, and of the bytes that they transferred.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestCounts {
    pub requests: BTreeMap<Answered, u64>,
    /// Sum of the `Content-Length` of the responses.
    pub bytes_read: u64,
    pub bytes_written: u64,
}

impl RequestCounts {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Adds the counts of another process or another bucket.
    pub fn add(&mut self, other: &Self) {
        for (answered, count) in &other.requests {
            *self.requests.entry(*answered).or_default() += count;
        }
        self.bytes_read += other.bytes_read;
        self.bytes_written += other.bytes_written;
    }

    /// Returns the number of requests of each class.
    #[must_use]
    pub fn by_class(&self) -> BTreeMap<RequestClass, u64> {
        let mut classes = BTreeMap::new();
        for (answered, count) in &self.requests {
            *classes.entry(answered.class).or_default() += count;
        }
        classes
    }

    /// Returns the total number of requests of the given classes.
    #[must_use]
    pub fn of(&self, classes: &[RequestClass]) -> u64 {
        let counted = self.requests.iter().filter(|(answered, _)| classes.contains(&answered.class));
        counted.map(|(_, count)| count).sum()
    }

    /// Returns the number of requests that were refused or got no response.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.requests.iter().filter(|(answered, _)| answered.is_failed()).map(|(_, count)| count).sum()
    }
}

/// Counts the requests of both clients of one bucket. Clones share the counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Requests(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    counts: RequestCounts,
    /// `Date` of the server's last response to the SDK, and the moment at which the response
    /// arrived.
    clock: Option<(DateTime<Utc>, Instant)>,
}

impl Requests {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn read(&self) -> RequestCounts {
        self.seen().counts.clone()
    }

    /// Returns the current time by the server's clock; `None` if no response had a `Date` header.
    pub(super) fn server_time(&self) -> Option<DateTime<Utc>> {
        self.seen().clock.map(|(time, seen)| time + seen.elapsed())
    }

    fn add(&self, class: RequestClass, status: Option<u16>, read: u64, written: u64) {
        let counts = &mut self.seen().counts;
        *counts.requests.entry(Answered { class, status }).or_default() += 1;
        counts.bytes_read += read;
        counts.bytes_written += written;
    }
}

/// Counts the requests of the SDK.
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
        // The request itself is no longer available here, so get its class from the operation.
        let class = RequestClass::of_operation(config.load::<Metadata>().map(Metadata::name));
        let answer = context.response();
        let read = answer.map_or(0, |answer| length(answer.headers().get("content-length")));
        let date = answer.and_then(|answer| answer.headers().get("date"));
        if let Some(time) = date.and_then(|date| DateTime::parse_from_rfc2822(date).ok()) {
            self.seen().clock = Some((time.to_utc(), Instant::now()));
        }
        // The `Content-Length` of the response to a HEAD counts a body that is not sent.
        let read = if class == RequestClass::Head { 0 } else { read };
        self.add(class, answer.map(|answer| answer.status().as_u16()), read, 0);
        Ok(())
    }
}

fn length(header: Option<&str>) -> u64 {
    header.and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Creates the HTTP client of `object_store`, which counts and throttles requests.
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
        let query = request.uri().query().unwrap_or_default();
        let class = RequestClass::of_http(request.method().as_str(), query);
        let written = request.body().content_length() as u64;
        // Wait for a permit before sending, and count only requests that were sent.
        let permit = self.throttle.acquire().await;
        let answer = self.inner.execute(request).await;
        // The head of the response has arrived. A permit does not cover the transfer of the body.
        drop(permit);
        let status = answer.as_ref().ok().map(|answer| answer.status().as_u16());
        let header = answer.as_ref().ok().and_then(|answer| answer.headers().get("content-length"));
        let read = length(header.and_then(|header| header.to_str().ok()));
        self.throttle.adjust(matches!(status, Some(429 | 503)), Instant::now());
        // The `Content-Length` of the response to a HEAD counts a body that is not sent.
        let read = if class == RequestClass::Head { 0 } else { read };
        self.requests.add(class, status, read, written);
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_those_of_the_bill_and_failures_are_counted() {
        let requests = Requests::default();
        requests.add(RequestClass::of_http("GET", "list-type=2&prefix=a"), Some(200), 10, 0);
        requests.add(RequestClass::of_http("GET", ""), Some(206), 5, 0);
        requests.add(RequestClass::of_http("GET", ""), Some(503), 1, 0);
        requests.add(RequestClass::of_http("PUT", ""), None, 0, 7);
        let mut counts = requests.read();
        counts.add(&requests.read());
        let classes = [(RequestClass::Get, 4), (RequestClass::List, 2), (RequestClass::Put, 2)];
        assert_eq!(counts.by_class(), BTreeMap::from(classes));
        assert_eq!(counts.of(&[RequestClass::Get, RequestClass::Put]), 6);
        assert_eq!((counts.failed(), counts.bytes_read, counts.bytes_written), (4, 32, 14));
        assert_eq!(requests.server_time(), None);
    }

    /// S3 bills listings of versions and of uploads like listings of objects. Aborting an upload is
    /// free, like a deletion.
    #[test]
    fn operations_of_the_sdk_have_the_class_of_the_bill() {
        let cases = [
            ("GetObject", RequestClass::Get),
            ("HeadBucket", RequestClass::Head),
            ("ListObjectsV2", RequestClass::List),
            ("ListObjectVersions", RequestClass::List),
            ("ListMultipartUploads", RequestClass::List),
            ("PutObject", RequestClass::Put),
            ("AbortMultipartUpload", RequestClass::Delete),
        ];
        for (operation, class) in cases {
            assert_eq!(RequestClass::of_operation(Some(operation)), class, "{operation}");
        }
    }

    #[test]
    fn a_manifest_keeps_requests_by_class_and_status() {
        let json = r#"{"requests":{"GET -":1,"GET 206":2,"LIST 200":3},"bytes_read":4,"bytes_written":5}"#;
        let counts: RequestCounts = serde_json::from_str(json).unwrap();
        assert_eq!(counts.requests[&Answered { class: RequestClass::Get, status: None }], 1);
        assert_eq!(serde_json::to_string(&counts).unwrap(), json);
        for class in RequestClass::ALL {
            for status in [None, Some(200), Some(503)] {
                let answered = Answered { class, status };
                assert_eq!(answered.to_string().parse(), Ok(answered));
            }
        }
        for text in ["", "GET", "GET x", "GET 70000", "get 200", "TRACE 200"] {
            assert!(text.parse::<Answered>().is_err(), "{text}");
        }
    }
}

//! Applies the faults that a test plans, and logs requests.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderMap, HeaderValue};
use hyper::{Request as HttpRequest, Response, StatusCode};
use s3s::dto::{Timestamp, TimestampFormat};
use s3s::service::S3Service;

use crate::objects::Objects;

/// Time that is longer than any client's timeout.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// A fault and the requests it applies to.
#[derive(Debug, Clone)]
pub struct Fault {
    /// Method of the affected requests, such as `GET` or `PUT`.
    pub method: &'static str,
    /// Substring of the path (with query) of the affected requests; empty for all requests.
    pub path: &'static str,
    /// Number of matching requests that the fault leaves alone before it affects any.
    pub skip: usize,
    /// Maximum number of requests that the fault affects.
    pub times: usize,
    /// After the skipped requests, the fault affects one of every `every` matching requests.
    pub every: usize,
    pub harm: Harm,
}

/// Effect of a fault on a request.
#[derive(Debug, Clone, Copy)]
pub enum Harm {
    /// The request has no effect. The response has this status and this error code of S3.
    Refuse(u16, &'static str),
    /// The request takes effect, but the response has this status and this error code of S3.
    DoAndAnswer(u16, &'static str),
    /// The connection is closed in the middle of the response's body.
    Cut,
    /// The response's body stops in the middle, but the connection stays open.
    Stall,
    /// The server never responds.
    Silence,
    /// The response's body is sent in small pieces, with this pause between them.
    Drip(Duration),
    /// The response's body is shorter than requested.
    Short,
    /// A bit in the middle of the response's body is flipped.
    Flip,
    /// A bit in the middle of an uploaded body is flipped on arrival.
    FlipUpload,
    /// Another client writes this text to the object just before the request.
    Replace(&'static str),
}

/// A received request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// Path with its query.
    pub path: String,
    /// Headers for the paying requester, server-side encryption and checksums of the body. Other
    /// headers are omitted.
    pub headers: BTreeMap<String, String>,
    /// Status of the response; 0 if there was none.
    pub status: u16,
}

impl Fault {
    /// Creates a fault for every request that has this method and contains `path` in its path or
    /// query.
    #[must_use]
    pub fn new(method: &'static str, path: &'static str, harm: Harm) -> Self {
        Self { method, path, skip: 0, times: usize::MAX, every: 1, harm }
    }

    /// Limits the fault to `times` requests.
    #[must_use]
    pub fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }

    /// Limits the fault to one of every `every` matching requests.
    #[must_use]
    pub fn one_in(self, every: usize) -> Self {
        Self { every, ..self }
    }

    /// Makes the fault skip the first `skip` matching requests.
    #[must_use]
    pub fn after(self, skip: usize) -> Self {
        Self { skip, ..self }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Plan(Mutex<Planned>);

#[derive(Debug, Default)]
struct Planned {
    /// Planned faults, each with the number of requests that matched it so far.
    faults: Vec<(Fault, usize)>,
    latency: Duration,
    /// Time by which the server's clock is behind.
    clock_back: Duration,
    requests: Vec<Request>,
}

impl Plan {
    fn planned(&self) -> MutexGuard<'_, Planned> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, fault: Fault) {
        self.planned().faults.push((fault, 0));
    }

    pub(crate) fn clear(&self) {
        self.planned().faults.clear();
    }

    pub(crate) fn set_latency(&self, latency: Duration) {
        self.planned().latency = latency;
    }

    pub(crate) fn set_clock_back(&self, by: Duration) {
        self.planned().clock_back = by;
    }

    pub(crate) fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.planned().requests)
    }

    fn note(&self, request: Request) {
        self.planned().requests.push(request);
    }

    /// Returns the effect on this request, if a fault applies.
    fn harm(&self, method: &str, path: &str) -> Option<Harm> {
        let mut planned = self.planned();
        let fits = |fault: &Fault| fault.method == method && path.contains(fault.path);
        for (fault, seen) in planned.faults.iter_mut().filter(|(fault, _)| fits(fault)) {
            let number = *seen;
            *seen += 1;
            let Some(since) = number.checked_sub(fault.skip) else { continue };
            if since.is_multiple_of(fault.every) && since / fault.every < fault.times {
                return Some(fault.harm);
            }
        }
        None
    }
}

pub(crate) type Body = UnsyncBoxBody<Bytes, s3s::StdError>;

pub(crate) async fn answer(
    plan: &Plan,
    service: &S3Service,
    objects: &Objects,
    request: HttpRequest<Incoming>,
) -> Result<Response<Body>, s3s::HttpError> {
    let (method, path) = (request.method().to_string(), request.uri().to_string());
    let headers = amazon_headers(request.headers());
    let note = |status| {
        plan.note(Request { method: method.clone(), path: path.clone(), headers: headers.clone(), status });
    };
    let latency = plan.planned().latency;
    let harm = plan.harm(&method, &path);
    tokio::time::sleep(latency).await;
    let refusal = match harm {
        Some(Harm::Silence) => {
            note(0);
            tokio::time::sleep(FOR_EVER).await;
            None
        }
        Some(Harm::Refuse(status, code)) => Some((status, code)),
        _ => None,
    };
    if let Some((status, code)) = refusal {
        // Read the request's body first, because clients read the response only after sending the
        // body.
        let _ = request.into_body().collect().await;
        note(status);
        return Ok(refuse(status, code));
    }
    if let Some(Harm::Replace(content)) = harm {
        let object = path.split('?').next().unwrap_or_default().trim_start_matches('/');
        if let Some((bucket, key)) = object.split_once('/') {
            objects.put(bucket, key, Bytes::from_static(content.as_bytes()));
        }
    }
    let answer = match harm {
        Some(Harm::FlipUpload) => {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            service.call(HttpRequest::from_parts(head, s3s::Body::from(flipped(&body)))).await?
        }
        _ => service.call(request.map(s3s::Body::from)).await?,
    };
    let answer = match harm {
        None | Some(Harm::FlipUpload | Harm::Replace(_)) => answer.map(BodyExt::boxed_unsync),
        Some(Harm::DoAndAnswer(status, code)) => refuse(status, code),
        Some(harm) => spoil(answer.map(BodyExt::boxed_unsync), harm).await,
    };
    note(answer.status().as_u16());
    Ok(dated(answer, plan.planned().clock_back))
}

/// Adds a `Date` header with the current time minus `clock_back` to the response. Adds none if
/// `clock_back` is zero, because the HTTP server then adds the header.
fn dated(mut answer: Response<Body>, clock_back: Duration) -> Response<Body> {
    if !clock_back.is_zero() {
        let mut text = Vec::new();
        let time = Timestamp::from(SystemTime::now() - clock_back);
        if time.format(TimestampFormat::HttpDate, &mut text).is_ok() {
            answer.headers_mut().extend(HeaderValue::from_bytes(&text).ok().map(|date| (DATE, date)));
        }
    }
    answer
}

fn flipped(bytes: &Bytes) -> Bytes {
    let mut bytes = bytes.to_vec();
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    bytes.into()
}

fn amazon_headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    let those = headers.iter().filter(|(name, _)| {
        let name = name.as_str();
        name == "x-amz-request-payer"
            || name.starts_with("x-amz-server-side-encryption")
            || name.starts_with("x-amz-checksum")
    });
    those.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())).collect()
}

fn refuse(status: u16, code: &str) -> Response<Body> {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>as planned</Message></Error>"
    );
    let mut answer = Response::new(Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed_unsync());
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    answer
}

/// Damages the body of a response.
async fn spoil(answer: Response<Body>, harm: Harm) -> Response<Body> {
    let (mut head, body) = answer.into_parts();
    let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    head.headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    let half = bytes.slice(..bytes.len() / 2);
    let frame = |bytes: Bytes| Ok::<_, s3s::StdError>(Frame::data(bytes));
    let body = match harm {
        Harm::Drip(pause) => {
            let pieces: Vec<Bytes> =
                bytes.chunks(bytes.len().div_ceil(20).max(1)).map(Bytes::copy_from_slice).collect();
            let pieces = stream::iter(pieces).then(move |piece| async move {
                tokio::time::sleep(pause).await;
                frame(piece)
            });
            StreamBody::new(pieces.boxed()).boxed_unsync()
        }
        Harm::Stall => {
            let rest = stream::once(async move {
                tokio::time::sleep(FOR_EVER).await;
                frame(Bytes::new())
            });
            StreamBody::new(stream::iter([frame(half)]).chain(rest).boxed()).boxed_unsync()
        }
        Harm::Flip => Full::new(flipped(&bytes)).map_err(|never| match never {}).boxed_unsync(),
        Harm::Short => {
            head.headers.insert(CONTENT_LENGTH, HeaderValue::from(half.len()));
            Full::new(half).map_err(|never| match never {}).boxed_unsync()
        }
        _ => {
            let broken = Err(s3s::StdError::from("cut, as planned"));
            StreamBody::new(stream::iter([frame(half), broken]).boxed()).boxed_unsync()
        }
    };
    Response::from_parts(head, body)
}

//! What a failed request comes to, for people: the operation, the object, the status, what the server said, what to do.

use std::fmt::Display;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::error::{Error, NOT_ALLOWED, NOT_KNOWN, WRONG_CREDENTIALS};

/// The status of the answer, if there was one.
pub(super) fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|answer| answer.status().as_u16())
}

/// A failed `operation` (a verb, such as `list`) on `object` (a URL).
pub(super) fn failure<E>(operation: &str, object: impl Display, error: &SdkError<E, HttpResponse>) -> Error
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    let status = status(error);
    let code = error.code();
    let said = match (code, error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) if status.is_some() => "no reason given".to_owned(),
        (None, _) => causes(error),
    };
    let cause = match status {
        Some(status) => format!("the server answered {status} ({said})"),
        None => said,
    };
    let error = Error::storage(operation, object, cause);
    match hint(status, code) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// The error and its causes, each once; the SDK's own texts leave causes out.
fn causes(error: &dyn std::error::Error) -> String {
    // The SDK's own name for "no answer" says nothing to a user.
    let mut texts = vec![error.to_string().replace("dispatch failure", "no answer")];
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if texts.iter().all(|before| !before.contains(&text)) {
            texts.push(text);
        }
        cause = error.source();
    }
    texts.join(": ")
}

fn hint(status: Option<u16>, code: Option<&str>) -> Option<&'static str> {
    Some(match (code, status) {
        (Some("NoSuchBucket"), _) | (_, Some(404)) => {
            "there is no such bucket: look at its name, and at `endpoint` in `[storage.\"s3://bucket\"]`"
        }
        (Some(code), _) if WRONG_CREDENTIALS.contains(&code) => NOT_KNOWN,
        (_, Some(401 | 403)) => NOT_ALLOWED,
        (_, Some(301)) => "the bucket is in another region: set `region` in `[storage.\"s3://bucket\"]`",
        (_, None) => {
            "can the endpoint (and HTTPS_PROXY, if set) be reached? are there credentials (AWS_PROFILE, AWS_ACCESS_KEY_ID, `aws sso login`, …)? \
             a public bucket needs `anonymous = true` in `[storage.\"s3://bucket\"]`"
        }
        _ => return None,
    })
}

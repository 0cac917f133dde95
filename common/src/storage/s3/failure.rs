//! Errors of failed requests: the operation, the object, the status, the server's message and a
//! hint.

use std::fmt::Display;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::error::Error;

/// Hint for status 401 or 403.
const NOT_ALLOWED: &str = "the credentials do not allow it, or there are none and the bucket is not public, or its \
                           requester pays (`requester_pays`): docs/s3.md lists the actions that are needed";
/// Hint if S3 rejects the credentials or the signature.
const NOT_KNOWN: &str = "the credentials are wrong or have expired, or this machine's clock is: look at AWS_PROFILE, \
                         AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN";
/// Error codes for which [`NOT_KNOWN`] is the hint.
const WRONG_CREDENTIALS: &[&str] = &[
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "TokenRefreshRequired",
    "InvalidToken",
    "RequestTimeTooSkewed",
    "AuthorizationHeaderMalformed",
];

/// Returns the HTTP status of the response, if there was one.
pub(super) fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|answer| answer.status().as_u16())
}

/// Returns the error for a failed request. `operation` is a verb, such as `list`; `object` is a
/// URL.
pub(super) fn failure<E>(operation: &str, object: impl Display, error: &SdkError<E, HttpResponse>) -> Error
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
{
    let status = status(error);
    let code = error.code();
    let reason = match (code, error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) if status.is_some() => "no reason given".to_owned(),
        (None, _) => causes(error),
    };
    let cause = match status {
        Some(status) => format!("the server answered {status} ({reason})"),
        None => reason,
    };
    let error = Error::storage(operation, object, cause);
    match hint(status, code) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// Returns the text of the error and of its causes, without repetitions. The SDK's own texts omit
/// causes.
fn causes(error: &dyn std::error::Error) -> String {
    // "dispatch failure" is the SDK's name for "no answer" and means nothing to a user.
    let mut texts = vec![error.to_string().replace("dispatch failure", "no answer")];
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // Do not repeat a cause that an earlier text already contains.
        if texts.iter().all(|before| !before.contains(&text)) {
            texts.push(text);
        }
        cause = error.source();
    }
    texts.join(": ")
}

/// Returns a hint for an error of `object_store`; `None` for other errors.
pub(super) fn bytes_hint(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let error = error.downcast_ref::<object_store::Error>()?;
    let text = error.to_string();
    if WRONG_CREDENTIALS.iter().any(|code| text.contains(code)) {
        return Some(NOT_KNOWN);
    }
    let is_refused =
        matches!(error, object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. });
    is_refused.then_some(NOT_ALLOWED)
}

/// Returns a hint for a failed request of the SDK.
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

#[cfg(test)]
mod tests {
    use object_store::Error as StoreError;

    use super::*;

    /// Opening a bucket registers hints for errors of reading and writing bytes. Each error then
    /// has the hint that fits its reason, if there is one.
    #[test]
    fn errors_of_the_client_for_bytes_get_the_hint_for_their_reason() {
        crate::error::register_storage_hints(bytes_hint);
        let refused = |text: &str| StoreError::PermissionDenied { path: "a".to_owned(), source: text.into() };
        let unsigned = StoreError::Unauthenticated { path: "a".to_owned(), source: "401".into() };
        let missing = StoreError::NotFound { path: "a".to_owned(), source: "404".into() };
        let cases = [
            (refused("AccessDenied"), Some(NOT_ALLOWED)),
            (refused("<Code>ExpiredToken</Code>"), Some(NOT_KNOWN)),
            (unsigned, Some(NOT_ALLOWED)),
            (missing, None),
        ];
        for (error, hint) in cases {
            let shown = error.to_string();
            assert_eq!(Error::storage("read", "a", error).hint.as_deref(), hint, "{shown}");
        }
    }

    #[test]
    fn errors_of_the_sdk_get_the_hint_for_their_code_and_status() {
        let cases = [
            (Some(403), None, Some(NOT_ALLOWED)),
            (Some(401), Some("AccessDenied"), Some(NOT_ALLOWED)),
            (Some(403), Some("SignatureDoesNotMatch"), Some(NOT_KNOWN)),
            (Some(500), Some("InternalError"), None),
        ];
        for (status, code, expected) in cases {
            assert_eq!(hint(status, code), expected, "{status:?} {code:?}");
        }
    }
}

//! Errors for failed calls of the Glue service.

use aws_sdk_glue::config::http::HttpResponse;
use aws_sdk_glue::error::{ProvideErrorMetadata, SdkError};
use lakewright_common::error::Error;

/// Returns whether the service responded with this error code.
pub(super) fn is<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>, code: &str) -> bool {
    error.code() == Some(code)
}

/// Builds the error for a failed `operation` (a verb) on `what` (such as a table).
pub(super) fn failure<E: ProvideErrorMetadata>(
    operation: &str,
    what: &str,
    error: &SdkError<E, HttpResponse>,
) -> Error {
    let said = match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        // An error without a code means that no valid response was received.
        (None, _) => "the Glue service cannot be reached, or there are no credentials".to_owned(),
    };
    let hint = if is(error, "AccessDeniedException") {
        "the credentials need glue:GetDatabase, glue:CreateDatabase, glue:GetTable, glue:CreateTable and glue:UpdateTable, with \
         `--symlinks` glue:GetPartitions, glue:BatchCreatePartition, glue:BatchUpdatePartition and glue:BatchDeletePartition"
    } else {
        "look at AWS_REGION, AWS_PROFILE and, for a server of your own, AWS_ENDPOINT_URL_GLUE"
    };
    Error::storage_failure(format!("cannot {operation} {what}")).caused_by(said).hint(hint)
}

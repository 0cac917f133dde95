//! `[storage."s3://bucket"]`: access to one bucket. Every setting is optional.

use std::collections::BTreeMap;
use std::time::Duration;

use url::Url;

use super::diagnostics::Diagnostics;
use super::file::{Entry, Item, Value};
use super::location;
use super::resolved::{Bucket, Encryption};
use super::section::Section;
use super::settings::STORAGE;
use crate::printable;

/// Resolves the `[storage.*]` sections. Returns the settings of each bucket by its name.
pub(super) fn resolve(item: &Item, diagnostics: &mut Diagnostics) -> BTreeMap<String, Bucket> {
    let mut buckets = BTreeMap::new();
    let Value::Table(entries) = &item.value else {
        diagnostics.report(&item.origin, format!("`[storage]` must be a table, not {}", item.value.describe()));
        return buckets;
    };
    for Entry { key, origin, item } in entries {
        let Some(name) = bucket_name(key) else {
            diagnostics.report_with_hint(
                origin,
                format!("storage `{}` is not a bucket", printable::url(key)),
                Some("write `[storage.\"s3://bucket\"]`, without a path".to_owned()),
            );
            continue;
        };
        if let Some(bucket) = resolve_one(key, item, diagnostics) {
            buckets.insert(name, bucket);
        }
    }
    buckets
}

fn bucket_name(key: &str) -> Option<String> {
    // A bucket section applies to the whole bucket, so a path would have no effect.
    let url = Url::parse(key).ok().filter(|url| url.scheme() == "s3" && matches!(url.path(), "" | "/"))?;
    url.host_str().filter(|host| !host.is_empty()).map(str::to_owned)
}

fn resolve_one(key: &str, item: &Item, diagnostics: &mut Diagnostics) -> Option<Bucket> {
    let section = Section::open(format!("storage `{key}`: "), item, STORAGE, diagnostics)?;
    let defaults = Bucket::default();
    let text =
        |key: &str, diagnostics: &mut Diagnostics| section.text(key, diagnostics).map(|text| text.text.to_owned());
    let bucket = Bucket {
        endpoint: endpoint(&section, diagnostics),
        region: text("region", diagnostics),
        // An unset value differs from `false`: its default depends on whether there is an endpoint.
        path_style: section.get("path_style").map(|_| section.boolean("path_style", false, diagnostics)),
        profile: text("profile", diagnostics),
        role: role(&section, diagnostics),
        requester_pays: section.boolean("requester_pays", defaults.requester_pays, diagnostics),
        anonymous: section.boolean("anonymous", defaults.anonymous, diagnostics),
        encryption: encryption(&section, diagnostics),
        connect_timeout: section.duration("connect_timeout", defaults.connect_timeout, diagnostics),
        timeout: section.duration("timeout", defaults.timeout, diagnostics),
        attempts: section.count("attempts", defaults.attempts, diagnostics),
        retry_timeout: section.duration("retry_timeout", defaults.retry_timeout, diagnostics),
        checksums: section.boolean("checksums", defaults.checksums, diagnostics),
        concurrent_requests: section.count("concurrent_requests", defaults.concurrent_requests, diagnostics),
    };
    if bucket.anonymous && (bucket.profile.is_some() || bucket.role.is_some()) {
        section.report(section.origin, "`anonymous` cannot be combined with `profile` or `role`", diagnostics);
    }
    // A request is signed only once, and its retries must not outlive the signature.
    if bucket.retry_timeout >= SIGNATURE_VALID_FOR {
        section.report(section.origin, "`retry_timeout` must be less than 5 minutes", diagnostics);
    }
    Some(bucket)
}

/// Maximum age of a signature, and so of a request with its retries. AWS accepts 15 minutes; the
/// rest is a margin for wrong clocks.
const SIGNATURE_VALID_FOR: Duration = Duration::from_mins(5);

fn endpoint(section: &Section<'_>, diagnostics: &mut Diagnostics) -> Option<String> {
    let text = section.text("endpoint", diagnostics)?;
    let is_url = Url::parse(text.text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.host_str().is_some() && url.username().is_empty()
    });
    if !is_url {
        diagnostics.report_with_hint(
            text.origin,
            format!("{}`endpoint` is not the address of a server", section.at),
            Some(format!("write it like `https://s3.example.com:9000`; {}", location::secrets_hint())),
        );
    }
    // URLs are built by appending, so remove the `/` here once.
    Some(text.text.trim_end_matches('/').to_owned())
}

fn role(section: &Section<'_>, diagnostics: &mut Diagnostics) -> Option<String> {
    let text = section.text("role", diagnostics)?;
    if !(text.text.starts_with("arn:") && text.text.contains(":role/")) {
        let hint = Some("write it like `arn:aws:iam::123456789012:role/name`".to_owned());
        diagnostics.report_with_hint(text.origin, format!("{}`role` is not the ARN of a role", section.at), hint);
    }
    Some(text.text.to_owned())
}

fn encryption(section: &Section<'_>, diagnostics: &mut Diagnostics) -> Option<Encryption> {
    let kms_key = section.text("kms_key", diagnostics);
    match section.word("encryption", diagnostics) {
        Some("aws:kms") => Some(Encryption::Kms { key: kms_key.map(|key| key.text.to_owned()) }),
        // Report `kms_key` if `encryption` is missing or has another value, because the key would
        // have no effect.
        word => {
            if let Some(key) = kms_key {
                section.report(key.origin, "`kms_key` needs `encryption = \"aws:kms\"`", diagnostics);
            }
            word.map(|_| Encryption::S3)
        }
    }
}

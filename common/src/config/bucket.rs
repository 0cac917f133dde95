//! `[storage."s3://bucket"]`: how one bucket is reached. All of it is optional.

use std::collections::BTreeMap;
use std::time::Duration;

use url::Url;

use super::fault::Faults;
use super::file::{Entry, Node, Value};
use super::location;
use super::resolved::{Bucket, Encryption};
use super::section::Section;
use super::settings::STORAGE;
use crate::printable;

/// Resolves the sections, by the bucket's name.
pub(super) fn resolve(node: &Node, faults: &mut Faults) -> BTreeMap<String, Bucket> {
    let mut buckets = BTreeMap::new();
    let Value::Table(entries) = &node.value else {
        faults.report(&node.origin, format!("`[storage]` must be a table, not {}", node.value.describe()));
        return buckets;
    };
    for Entry { key, origin, node } in entries {
        let Some(name) = bucket_name(key) else {
            faults.report_with_hint(
                origin,
                format!("storage `{}` is no bucket", printable::url(key)),
                Some("write `[storage.\"s3://bucket\"]`, without a path".to_owned()),
            );
            continue;
        };
        if let Some(bucket) = resolve_one(key, node, faults) {
            buckets.insert(name, bucket);
        }
    }
    buckets
}

fn bucket_name(key: &str) -> Option<String> {
    let url = Url::parse(key).ok().filter(|url| url.scheme() == "s3" && matches!(url.path(), "" | "/"))?;
    url.host_str().filter(|host| !host.is_empty()).map(str::to_owned)
}

fn resolve_one(key: &str, node: &Node, faults: &mut Faults) -> Option<Bucket> {
    let section = Section::open(format!("storage `{key}`: "), node, STORAGE, faults)?;
    let defaults = Bucket::default();
    let text = |key: &str, faults: &mut Faults| section.text(key, faults).map(|text| text.text.to_owned());
    let bucket = Bucket {
        endpoint: endpoint(&section, faults),
        region: text("region", faults),
        path_style: section.node("path_style").map(|_| section.boolean("path_style", false, faults)),
        profile: text("profile", faults),
        role: role(&section, faults),
        requester_pays: section.boolean("requester_pays", false, faults),
        anonymous: section.boolean("anonymous", false, faults),
        encryption: encryption(&section, faults),
        connect_timeout: section.duration("connect_timeout", defaults.connect_timeout, faults),
        timeout: section.duration("timeout", defaults.timeout, faults),
        attempts: section.count("attempts", defaults.attempts, faults),
        retry_timeout: section.duration("retry_timeout", defaults.retry_timeout, faults),
        checksums: section.boolean("checksums", defaults.checksums, faults),
        concurrent_requests: section.count("concurrent_requests", defaults.concurrent_requests, faults),
    };
    if bucket.anonymous && (bucket.profile.is_some() || bucket.role.is_some()) {
        section.report(section.origin, "`anonymous` goes neither with `profile` nor with `role`", faults);
    }
    // A request is signed once, and its signature holds for so long.
    if bucket.retry_timeout >= SIGNATURE_HOLDS {
        section.report(section.origin, "`retry_timeout` must be less than 5 minutes", faults);
    }
    Some(bucket)
}

/// AWS refuses a request whose signature is older; half of its 15 minutes is left for slow clocks.
const SIGNATURE_HOLDS: Duration = Duration::from_mins(5);

fn endpoint(section: &Section<'_>, faults: &mut Faults) -> Option<String> {
    let text = section.text("endpoint", faults)?;
    let is_url = Url::parse(text.text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.host_str().is_some() && url.username().is_empty()
    });
    if !is_url {
        faults.report_with_hint(
            text.origin,
            format!("{}`endpoint` is no address of a server", section.at),
            Some(format!("write it like `https://s3.example.com:9000`; {}", location::secrets_hint())),
        );
    }
    Some(text.text.trim_end_matches('/').to_owned())
}

fn role(section: &Section<'_>, faults: &mut Faults) -> Option<String> {
    let text = section.text("role", faults)?;
    if !(text.text.starts_with("arn:") && text.text.contains(":role/")) {
        let hint = Some("write it like `arn:aws:iam::123456789012:role/name`".to_owned());
        faults.report_with_hint(text.origin, format!("{}`role` is no ARN of a role", section.at), hint);
    }
    Some(text.text.to_owned())
}

fn encryption(section: &Section<'_>, faults: &mut Faults) -> Option<Encryption> {
    let kms_key = section.text("kms_key", faults);
    match section.word("encryption", faults) {
        Some("aws:kms") => Some(Encryption::Kms { key: kms_key.map(|key| key.text.to_owned()) }),
        word => {
            if let Some(key) = kms_key {
                section.report(key.origin, "`kms_key` goes with `encryption = \"aws:kms\"`", faults);
            }
            word.map(|_| Encryption::S3)
        }
    }
}

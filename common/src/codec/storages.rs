//! Converts the locations of storages to their messages and back.

use std::time::Duration;

use lakewright_proto::v1;

use crate::codec::fields::{number, parse_url};
use crate::config::resolved::{Bucket, Encryption, Location};
use crate::error::Result;
use crate::read::wire::required;
use crate::session::Locations;

/// Converts the locations of storages to a message. A worker opens the storages from this message.
#[must_use]
pub fn encode_locations(locations: &Locations) -> v1::Storages {
    let Locations { lake, spool, sources } = locations;
    let source = |(name, location): &(String, Location)| v1::SourceLocation {
        source: name.clone(),
        location: Some(encode_location(location)),
    };
    v1::Storages {
        lake: Some(encode_location(lake)),
        spool: Some(encode_location(spool)),
        sources: sources.iter().map(source).collect(),
    }
}

/// Converts a message to the locations of storages.
///
/// # Errors
/// An internal error, if a part of the message is missing or invalid.
pub fn decode_locations(storages: v1::Storages) -> Result<Locations> {
    let source = |source: v1::SourceLocation| {
        Ok((source.source, decode_location(required(source.location, "the location of a source")?)?))
    };
    Ok(Locations {
        lake: decode_location(required(storages.lake, "the location of the lake")?)?,
        spool: decode_location(required(storages.spool, "the location of the spool")?)?,
        sources: storages.sources.into_iter().map(source).collect::<Result<_>>()?,
    })
}

fn encode_location(location: &Location) -> v1::Location {
    let Location { url, bucket } = location;
    v1::Location { url: url.to_string(), bucket: Some(encode_bucket(bucket.clone())) }
}

fn decode_location(location: v1::Location) -> Result<Location> {
    let bucket = decode_bucket(required(location.bucket, "the settings of a bucket")?)?;
    Ok(Location { url: parse_url(&location.url)?, bucket })
}

fn encode_bucket(bucket: Bucket) -> v1::Bucket {
    let Bucket {
        endpoint,
        region,
        path_style,
        profile,
        role,
        requester_pays,
        anonymous,
        encryption,
        connect_timeout,
        timeout,
        attempts,
        retry_timeout,
        checksums,
        concurrent_requests,
    } = bucket;
    let encryption = encryption.map(|encryption| match encryption {
        Encryption::S3 => v1::Encryption { is_kms: false, kms_key: None },
        Encryption::Kms { key } => v1::Encryption { is_kms: true, kms_key: key },
    });
    v1::Bucket {
        endpoint,
        region,
        path_style,
        profile,
        role,
        requester_pays,
        anonymous,
        encryption,
        connect_timeout_ns: nanoseconds(connect_timeout),
        timeout_ns: nanoseconds(timeout),
        retry_timeout_ns: nanoseconds(retry_timeout),
        attempts: attempts as u64,
        checksums,
        concurrent_requests: concurrent_requests as u64,
    }
}

fn decode_bucket(bucket: v1::Bucket) -> Result<Bucket> {
    let encryption = bucket.encryption.map(|encryption| match encryption {
        v1::Encryption { is_kms: true, kms_key } => Encryption::Kms { key: kms_key },
        v1::Encryption { is_kms: false, .. } => Encryption::S3,
    });
    Ok(Bucket {
        endpoint: bucket.endpoint,
        region: bucket.region,
        path_style: bucket.path_style,
        profile: bucket.profile,
        role: bucket.role,
        requester_pays: bucket.requester_pays,
        anonymous: bucket.anonymous,
        encryption,
        connect_timeout: Duration::from_nanos(bucket.connect_timeout_ns),
        timeout: Duration::from_nanos(bucket.timeout_ns),
        attempts: number(bucket.attempts)?,
        retry_timeout: Duration::from_nanos(bucket.retry_timeout_ns),
        checksums: bucket.checksums,
        concurrent_requests: number(bucket.concurrent_requests)?,
    })
}

/// Converts a duration to nanoseconds. Durations of more than 584 years become 584 years.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_the_same_after_encoding_and_decoding() {
        let bucket = Bucket {
            endpoint: Some("http://localhost:9000".to_owned()),
            region: Some("eu-central-1".to_owned()),
            path_style: Some(false),
            profile: Some("p".to_owned()),
            role: Some("arn:aws:iam::1:role/r".to_owned()),
            requester_pays: true,
            anonymous: true,
            encryption: Some(Encryption::Kms { key: Some("k".to_owned()) }),
            connect_timeout: Duration::from_nanos(1),
            timeout: Duration::from_millis(1500),
            attempts: 7,
            retry_timeout: Duration::from_hours(24),
            checksums: false,
            concurrent_requests: 3,
        };
        let encrypted = |encryption| Bucket { encryption, ..bucket.clone() };
        let buckets = [
            Bucket::default(),
            bucket.clone(),
            encrypted(Some(Encryption::S3)),
            encrypted(Some(Encryption::Kms { key: None })),
        ];
        for bucket in buckets {
            let location = Location { url: "s3://b/ä%2F/".parse().unwrap(), bucket };
            let folder = Location::of("file:///a%20b/".parse().unwrap());
            let sources = vec![("songs".to_owned(), folder.clone()), ("events".to_owned(), location.clone())];
            let locations = Locations { lake: location, spool: folder, sources };
            assert_eq!(decode_locations(encode_locations(&locations)).unwrap(), locations);
        }
    }

    #[test]
    fn locations_without_a_part_are_rejected() {
        let text = decode_locations(v1::Storages::default()).unwrap_err().to_string();
        assert_eq!(text, "the location of the lake is missing");
        let lake = v1::Location { url: "nowhere".to_owned(), bucket: Some(v1::Bucket::default()) };
        let text = decode_locations(v1::Storages { lake: Some(lake), ..Default::default() }).unwrap_err().to_string();
        assert!(text.starts_with("a URL is invalid: "), "{text}");
    }
}

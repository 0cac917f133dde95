//! Builds the two clients of a bucket from AWS's environment variables and configuration files. The
//! settings of the bucket in `lake.toml` override these.

use std::sync::Arc;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_types::service_config::ServiceConfigKey;
use object_store::aws::{AmazonS3Builder, Checksum};
use object_store::{ClientOptions, ObjectStore};
use url::Url;

use super::credentials::Credentials;
use super::requests::{BytesConnector, Requests};
use super::throttle::Throttle;
use crate::config::resolved::{Bucket, Encryption, Location};
use crate::error::{Error, Result};
use crate::printable;

/// Region to use if no region is configured, as in AWS's own tools.
pub(super) const DEFAULT_REGION: &str = "us-east-1";

/// Loads AWS's environment variables and configuration files. `settings` override them.
pub(super) async fn shared_config(settings: &Bucket) -> SdkConfig {
    let http = aws_smithy_http_client::Builder::new().build_with_connector_fn(|connector, _| {
        let mut builder = Connector::builder();
        builder.set_connector_settings(connector.cloned());
        // `object_store` reads the same variables: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY.
        builder.proxy_config(ProxyConfig::from_env()).tls_provider(Provider::Rustls(CryptoMode::Ring)).build()
    });
    let retries = RetryConfig::standard().with_max_attempts(u32::try_from(settings.attempts).unwrap_or(u32::MAX));
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(settings.connect_timeout)
        .read_timeout(settings.timeout)
        .operation_attempt_timeout(settings.timeout)
        // Retries end at the limit of attempts or at `retry_timeout`, whichever comes first.
        .operation_timeout(settings.retry_timeout)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .retry_config(retries)
        .timeout_config(timeouts);
    if let Some(region) = &settings.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(profile) = &settings.profile {
        // The SDK would prefer access keys in environment variables, but a profile that is
        // configured for the bucket takes precedence.
        let of_profile = ProfileFileCredentialsProvider::builder().profile_name(profile).build();
        loader = loader.profile_name(profile).credentials_provider(of_profile);
    }
    if settings.anonymous {
        loader = loader.no_credentials();
    }
    loader.load().await
}

/// Returns the SDK configuration for an AWS service other than S3. It has the account, role and
/// region that are configured for the bucket.
pub async fn sdk_config(settings: &Bucket) -> SdkConfig {
    let shared = shared_config(settings).await;
    let credentials = credentials(settings, &shared).await;
    let region = shared.region().cloned().unwrap_or_else(|| Region::new(DEFAULT_REGION));
    let mut config = shared.into_builder().region(region);
    // If a role is configured, use its credentials, not the credentials that were used to assume
    // the role.
    config.set_credentials_provider(credentials.map(SharedCredentialsProvider::new));
    config.build()
}

pub(super) async fn credentials(settings: &Bucket, shared: &SdkConfig) -> Option<Credentials> {
    let provider = match &settings.role {
        Some(role) => {
            let assumed = aws_config::sts::AssumeRoleProvider::builder(role)
                .session_name("lakewright")
                .configure(shared)
                .build()
                .await;
            SharedCredentialsProvider::new(assumed)
        }
        None => shared.credentials_provider()?,
    };
    Some(Credentials::new(provider))
}

/// Returns the first of these endpoints that is set: the bucket's setting, AWS_ENDPOINT_URL_S3, the
/// `services` section of the profile, or AWS's endpoint for all services.
pub(super) fn endpoint(settings: &Bucket, shared: &SdkConfig) -> Option<String> {
    let of_service = || {
        let key = ServiceConfigKey::builder().service_id("s3").env("AWS_ENDPOINT_URL").profile("endpoint_url").build();
        shared.service_config()?.load_config(key.ok()?).filter(|url| !url.is_empty())
    };
    let endpoint = settings.endpoint.clone().or_else(of_service);
    endpoint.or_else(|| shared.endpoint_url().map(str::to_owned)).map(|url| url.trim_end_matches('/').to_owned())
}

/// Checks the endpoint. Virtual-hosted style needs an endpoint with a host name, because the
/// bucket's name cannot precede an IP address.
pub(super) fn check_style(settings: &Bucket, endpoint: Option<&str>, location: &Location) -> Result<()> {
    let Some(endpoint) = endpoint else { return Ok(()) };
    let url = Url::parse(endpoint).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.path() == "/");
    let unusable = |what: &str| {
        let endpoint = printable::url(endpoint);
        Err(Error::configuration(format!("cannot open `{}`: the endpoint `{endpoint}` {what}", location.url)).hint(
            "`endpoint` in `[storage.\"s3://bucket\"]`, or AWS_ENDPOINT_URL_S3, is like `https://s3.example.com:9000`",
        ))
    };
    match url.as_ref().and_then(Url::host) {
        None => unusable("is not the address of a server, or has a path"),
        Some(url::Host::Domain(_)) => Ok(()),
        Some(_) if is_path_style(settings, Some(endpoint)) => Ok(()),
        Some(_) => unusable("is an IP address, which needs `path_style = true`"),
    }
}

fn is_path_style(settings: &Bucket, endpoint: Option<&str>) -> bool {
    settings.path_style.unwrap_or(endpoint.is_some())
}

pub(super) fn client(
    settings: &Bucket,
    shared: &SdkConfig,
    credentials: Option<&Credentials>,
    endpoint: Option<&str>,
    region: &str,
    requests: Requests,
) -> Client {
    let mut config = aws_sdk_s3::config::Builder::from(shared)
        .region(Region::new(region.to_owned()))
        .interceptor(requests)
        .force_path_style(is_path_style(settings, endpoint))
        // Newer SDKs send a checksum after the body, which servers other than AWS may not support.
        // `put.rs` sends a checksum in a header instead.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    config.set_endpoint_url(endpoint.map(str::to_owned));
    match credentials {
        Some(credentials) => config = config.credentials_provider(credentials.clone()),
        None => config = config.allow_no_auth(),
    }
    Client::from_conf(config.build())
}

pub(super) fn bytes_store(
    settings: &Bucket,
    bucket: &str,
    credentials: Option<Credentials>,
    endpoint: Option<&str>,
    region: &str,
    requests: Requests,
) -> object_store::Result<impl ObjectStore> {
    let client = ClientOptions::new()
        .with_connect_timeout(settings.connect_timeout)
        .with_timeout(settings.timeout)
        .with_allow_http(endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")));
    let retries = object_store::RetryConfig {
        max_retries: settings.attempts.saturating_sub(1),
        retry_timeout: settings.retry_timeout,
        ..object_store::RetryConfig::default()
    };
    let is_path_style = is_path_style(settings, endpoint);
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(region)
        .with_virtual_hosted_style_request(!is_path_style)
        .with_client_options(client)
        .with_retry(retries)
        .with_http_connector(BytesConnector { requests, throttle: Throttle::new(settings.concurrent_requests) })
        .with_request_payer(settings.requester_pays);
    if settings.checksums {
        builder = builder.with_checksum_algorithm(Checksum::SHA256);
    }
    builder = match credentials {
        Some(credentials) => builder.with_credentials(Arc::new(credentials)),
        None => builder.with_skip_signature(true),
    };
    if let Some(endpoint) = endpoint {
        // `object_store` does not prepend the bucket to the host of a configured endpoint, so do it
        // here.
        builder = match endpoint.split_once("://") {
            Some((scheme, host)) if !is_path_style => builder.with_endpoint(format!("{scheme}://{bucket}.{host}")),
            _ => builder.with_endpoint(endpoint),
        };
    }
    builder = match &settings.encryption {
        Some(Encryption::Kms { key: Some(key) }) => builder.with_sse_kms_encryption(key),
        Some(Encryption::Kms { key: None }) => with_encryption(builder, "aws:kms"),
        Some(Encryption::S3) => with_encryption(builder, "AES256"),
        None => builder,
    };
    builder.build()
}

fn with_encryption(builder: AmazonS3Builder, kind: &str) -> AmazonS3Builder {
    match "aws_server_side_encryption".parse() {
        Ok(key) => builder.with_config(key, kind),
        Err(_) => builder,
    }
}

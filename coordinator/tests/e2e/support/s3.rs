//! A prefix of a bucket for one test: on the project's own S3 server in memory, or on the server
//! that the environment names.
//!
//! `LAKEWRIGHT_TEST_S3=s3://bucket/prefix` makes every test that uses [`TestBucket::any`] run
//! there, with the usual AWS variables for the endpoint and the credentials. Each test has its own
//! prefix below it.

use std::path::Path as FilePath;
use std::sync::Arc;

use futures::TryStreamExt;
use lakewright_s3_server::{ACCESS_KEY, SECRET_KEY, Server};
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{Attribute, Attributes, ObjectMeta, ObjectStore, ObjectStoreExt, PutOptions};
use uuid::Uuid;

use super::{Lake, files_below};

/// Bucket of the server in memory.
pub(crate) const BUCKET: &str = "bucket";

/// A prefix of a bucket, and a client for it.
pub(crate) struct TestBucket {
    /// The project's own server; `None` if the test uses another server.
    pub(crate) server: Option<Server>,
    bucket: String,
    /// Prefix of all keys of the test. Ends with `/`.
    pub(crate) prefix: String,
    environment: Vec<(String, String)>,
    store: Arc<dyn ObjectStore>,
    runtime: tokio::runtime::Runtime,
}

impl TestBucket {
    /// Uses the server that the environment names, or else the project's own.
    pub(crate) fn any() -> Self {
        match std::env::var("LAKEWRIGHT_TEST_S3") {
            Ok(url) => Self::elsewhere(&url),
            Err(_) => Self::own(),
        }
    }

    /// Starts the project's own server, which can inject faults.
    pub(crate) fn own() -> Self {
        let server = Server::start(&[BUCKET]);
        let environment = [
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ENDPOINT_URL_S3", server.endpoint()),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value)).to_vec();
        Self::new(Some(server), BUCKET, String::new(), environment)
    }

    /// Uses a new prefix below `url`.
    fn elsewhere(url: &str) -> Self {
        let (bucket, prefix) = url.strip_prefix("s3://").expect("an S3 URL").split_once('/').expect("a prefix");
        let prefix = format!("{}/{}/", prefix.trim_matches('/'), Uuid::now_v7());
        let environment = std::env::vars().filter(|(name, _)| name.starts_with("AWS_")).collect();
        Self::new(None, bucket, prefix.trim_start_matches('/').to_owned(), environment)
    }

    fn new(server: Option<Server>, bucket: &str, prefix: String, environment: Vec<(String, String)>) -> Self {
        let value = |name: &str| environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let mut builder = AmazonS3Builder::new().with_bucket_name(bucket).with_allow_http(true);
        builder = builder.with_access_key_id(value("AWS_ACCESS_KEY_ID").expect("a key"));
        builder = builder.with_secret_access_key(value("AWS_SECRET_ACCESS_KEY").expect("a secret"));
        builder = builder.with_region(value("AWS_REGION").unwrap_or_else(|| "us-east-1".to_owned()));
        if let Some(token) = value("AWS_SESSION_TOKEN") {
            builder = builder.with_token(token);
        }
        if let Some(endpoint) = value("AWS_ENDPOINT_URL_S3") {
            builder = builder.with_endpoint(endpoint);
        }
        let store = Arc::new(builder.build().expect("a client"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { server, bucket: bucket.to_owned(), prefix, environment, store, runtime }
    }

    /// Returns the project's own server.
    pub(crate) fn server(&self) -> &Server {
        self.server.as_ref().expect("the project's own server")
    }

    /// Puts an object.
    pub(crate) fn put(&self, key: &str, content: &[u8]) {
        let key = Path::parse(format!("{}{key}", self.prefix)).expect("a key");
        self.runtime.block_on(self.store.put(&key, content.to_vec().into())).expect("the server accepts objects");
    }

    /// Puts an object with a `Content-Encoding`.
    pub(crate) fn put_encoded(&self, key: &str, content: &[u8], encoding: &'static str) {
        let key = Path::parse(self.key(key)).expect("a key");
        let attributes = Attributes::from_iter([(Attribute::ContentEncoding, encoding)]);
        let options = PutOptions { attributes, ..PutOptions::default() };
        self.runtime
            .block_on(self.store.put_opts(&key, content.to_vec().into(), options))
            .expect("the server accepts it");
    }

    /// Starts a multipart upload and never finishes it.
    pub(crate) fn begin_upload(&self, key: &str) {
        let key = Path::parse(self.key(key)).expect("a key");
        let upload = self.runtime.block_on(self.store.put_multipart(&key)).expect("the server accepts uploads");
        drop(upload);
    }

    /// Returns the full key of an object.
    pub(crate) fn key(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Returns the URL of a folder.
    pub(crate) fn url(&self, folder: &str) -> String {
        format!("s3://{}/{}{folder}", self.bucket, self.prefix)
    }

    /// Copies all objects into a folder.
    pub(crate) fn download(&self, folder: &FilePath) {
        let prefix = Path::parse(&self.prefix).expect("a prefix");
        let store = &self.store;
        let objects: Vec<ObjectMeta> =
            self.runtime.block_on(store.list(Some(&prefix)).try_collect()).expect("the server lists objects");
        for object in objects {
            let content = self.runtime.block_on(async { store.get(&object.location).await?.bytes().await });
            let below = object.location.as_ref().strip_prefix(&self.prefix).expect("a key below the prefix");
            let file = folder.join(below);
            std::fs::create_dir_all(file.parent().expect("a file is in a folder")).unwrap();
            std::fs::write(file, content.expect("the server has what it listed")).unwrap();
        }
    }

    /// Uploads the files below a folder.
    pub(crate) fn upload(&self, folder: &FilePath, prefix: &str) {
        for file in files_below(folder) {
            let key = file.strip_prefix(folder).unwrap().to_str().expect("a readable path");
            self.put(&format!("{prefix}/{key}"), &std::fs::read(&file).unwrap());
        }
    }
}

impl Lake {
    /// Moves the lake and its sources into a bucket, and uploads the files of the sources.
    pub(crate) fn on_s3(mut self, place: &TestBucket) -> Self {
        let text = std::fs::read_to_string(self.path("lake.toml")).unwrap();
        let mut changed = String::new();
        for line in text.lines() {
            let folder = line.strip_prefix("url = \"").and_then(|rest| rest.strip_suffix('"'));
            match folder {
                Some(folder) => {
                    if folder != "lake" {
                        place.upload(&self.path(folder), folder);
                    }
                    changed.push_str(&format!("url = \"{}\"\n", place.url(folder)));
                }
                None => changed.push_str(&format!("{line}\n")),
            }
        }
        self.write("lake.toml", changed.as_bytes());
        self.environment.clone_from(&place.environment);
        self
    }
}

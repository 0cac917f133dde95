//! An S3 server for tests: in memory, with verified signatures and atomic conditional requests.
//!
//! ```text
//!   client ─► socket ─► faults (planned faults, log of requests) ─► s3s (protocol, signatures) ─► objects
//! ```
//!
//! The server injects only the faults that a test plans.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3s::service::S3ServiceBuilder;
use tokio::net::TcpListener;

/// Buckets and objects.
mod objects;
/// Access keys.
mod keys;
/// Policies of access keys.
mod policy;
/// Planned faults and the log of requests.
mod faults;
/// Checksums of bodies.
mod checksums;

pub use faults::{Fault, Harm, Request};

use faults::Plan;
use keys::Keys;
use objects::Objects;
use policy::Policy;

/// Access key with all permissions.
pub const ACCESS_KEY: &str = "AKIATEST";
/// Secret of [`ACCESS_KEY`].
pub const SECRET_KEY: &str = "test-secret";

/// A server on a separate thread. Dropping this value stops the server.
pub struct Server {
    address: SocketAddr,
    objects: Objects,
    keys: Keys,
    plan: Arc<Plan>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Server {
    /// Starts a server on a port of the loopback interface, with empty `buckets`.
    ///
    /// # Panics
    /// If the system has no free port or thread.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test fails by panicking")]
    pub fn start(buckets: &[&str]) -> Self {
        let objects = Objects::new(buckets);
        let plan = Arc::new(Plan::default());
        let keys = Keys::new(objects.clone());
        keys.add(ACCESS_KEY, SECRET_KEY, None);
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (told, address) = std::sync::mpsc::channel();
        let (served, known, planned) = (objects.clone(), keys.clone(), Arc::clone(&plan));
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
                let _ = told.send(listener.local_addr().expect("a bound socket has an address"));
                tokio::select! {
                    () = serve(listener, served, known, planned) => {}
                    _ = stopped => {}
                }
            });
            // Wait for the threads, because detaching a thread that is just ending can crash in
            // glibc.
            runtime.shutdown_timeout(Duration::from_secs(1));
        });
        let address = address.recv().expect("the server's thread runs");
        Self { address, objects, keys, plan, stop: Some(stop) }
    }

    /// Returns the server's URL, as a value for `endpoint` or `AWS_ENDPOINT_URL_S3`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Puts an object directly, without a request.
    pub fn put(&self, bucket: &str, key: &str, content: impl Into<Bytes>) {
        self.objects.put(bucket, key, content.into());
    }

    /// Like [`Self::put`], with a storage class.
    pub fn put_as(&self, bucket: &str, key: &str, content: impl Into<Bytes>, storage_class: &str) {
        self.objects.put(bucket, key, content.into());
        self.objects.set_class(bucket, key, storage_class);
    }

    /// Moves an object to an archive, as a lifecycle rule does. The object must then be restored
    /// before it can be read.
    pub fn archive(&self, bucket: &str, key: &str) {
        self.objects.set_class(bucket, key, "GLACIER");
    }

    /// Enables versioning of the bucket.
    pub fn keep_versions(&self, bucket: &str) {
        self.objects.keep_versions(bucket);
    }

    /// Adds an access key. If `policy` (an IAM document) is given, only requests that the policy
    /// allows succeed.
    ///
    /// # Panics
    /// If the policy is invalid or contains anything that this server does not support.
    pub fn add_key(&self, access_key: &str, secret: &str, policy: Option<&str>) {
        self.keys.add(access_key, secret, policy.map(Policy::parse));
    }

    /// Marks an access key as expired.
    pub fn expire_key(&self, access_key: &str) {
        self.keys.expire(access_key);
    }

    /// Deletes an object directly, without a request.
    pub fn delete(&self, bucket: &str, key: &str) {
        self.objects.delete(bucket, key);
    }

    /// Makes all objects and uploads older by `by`.
    pub fn age(&self, by: Duration) {
        self.objects.age(by);
    }

    /// Sets the `Date` of all further responses back by `by`.
    pub fn set_clock_back(&self, by: Duration) {
        self.plan.set_clock_back(by);
    }

    /// Returns the keys of the bucket that start with `prefix`, in order.
    #[must_use]
    pub fn keys(&self, bucket: &str, prefix: &str) -> Vec<String> {
        self.objects.keys(bucket, prefix)
    }

    /// Returns the number of unfinished multipart uploads.
    #[must_use]
    pub fn unfinished_uploads(&self) -> usize {
        self.objects.unfinished_uploads()
    }

    /// Plans a fault, which applies to later requests that match it.
    pub fn plan(&self, fault: Fault) {
        self.plan.add(fault);
    }

    /// Removes all faults.
    pub fn heal(&self) {
        self.plan.clear();
    }

    /// Sets the latency that is added to every request.
    pub fn set_latency(&self, latency: Duration) {
        self.plan.set_latency(latency);
    }

    /// Returns the requests that the server received since the last call of this method.
    #[must_use]
    pub fn take_requests(&self) -> Vec<Request> {
        self.plan.take_requests()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }
}

async fn serve(listener: TcpListener, objects: Objects, keys: Keys, plan: Arc<Plan>) {
    let mut builder = S3ServiceBuilder::new(objects.clone());
    builder.set_auth(keys.clone());
    builder.set_access(keys);
    let service = builder.build();
    loop {
        let Ok((socket, _)) = listener.accept().await else { return };
        let (service, plan, objects) = (service.clone(), Arc::clone(&plan), objects.clone());
        let answer = service_fn(move |request| {
            let (service, plan, objects) = (service.clone(), Arc::clone(&plan), objects.clone());
            async move { faults::answer(&plan, &service, &objects, request).await }
        });
        tokio::spawn(async move {
            // Ignore the error of a connection that a planned fault has cut.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), answer).await;
        });
    }
}

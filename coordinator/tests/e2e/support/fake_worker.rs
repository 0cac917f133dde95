//! A worker that a test controls call by call: a stranger, a malicious worker, one that only sends
//! heartbeats.

use std::time::Duration;

use lakewright_common::codec::storages::decode_locations;
use lakewright_proto::PROCESS_HEADER;
use lakewright_proto::v1::coordinator_client::CoordinatorClient;
use lakewright_proto::v1::{Finding, HeartbeatRequest, JoinRequest, RegisterRequest, RegisterResponse};
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};
use uuid::Uuid;

/// A process that sends the calls of a worker.
pub(crate) struct FakeWorker {
    pub(crate) runtime: Runtime,
    pub(crate) channel: Channel,
    pub(crate) process: Uuid,
}

impl FakeWorker {
    /// Connects to an open coordinator on the port. It need not listen yet.
    pub(crate) fn new(port: u16) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
        let channel = runtime.block_on(async { endpoint.connect_lazy() });
        Self { runtime, channel, process: Uuid::now_v7() }
    }

    /// Returns a client of the coordinator's service.
    pub(crate) fn client(&self) -> CoordinatorClient<Channel> {
        CoordinatorClient::new(self.channel.clone())
    }

    /// Returns a request with the metadata of this process.
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert(PROCESS_HEADER, self.process.to_string().parse().unwrap());
        request
    }

    /// Returns a valid first message of this process.
    pub(crate) fn register_request(&self, vcores: u32) -> RegisterRequest {
        RegisterRequest {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            worker: "fake".to_owned(),
            process: self.process.to_string(),
            vcores,
        }
    }

    /// Registers. Retries until the coordinator has listed its sources.
    pub(crate) fn register(&self) -> RegisterResponse {
        for _ in 0..600 {
            let response = self.runtime.block_on(self.client().register(self.register_request(1)));
            match response {
                Ok(response) => return response.into_inner(),
                Err(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
        panic!("the coordinator never responded");
    }

    /// Joins with honest findings, by reading the probes on this machine.
    pub(crate) fn join(&self) -> RegisterResponse {
        let registered = self.register();
        let locations = decode_locations(registered.storages.clone().unwrap()).unwrap();
        let findings = registered.probes.iter().map(|probe| {
            let location = match probe.storage.strip_prefix("source:") {
                Some(name) => locations.sources.iter().find(|(source, _)| source == name).map(|(_, location)| location),
                None => Some(&locations.lake),
            };
            let root = location.unwrap().url.to_file_path().unwrap();
            let bytes = probe.keys.first().map(|key| std::fs::read(root.join(key)).unwrap()).unwrap_or_default();
            let content = bytes.iter().copied().take(64).collect();
            Finding { bytes: bytes.len() as u64, content, ..Finding::default() }
        });
        let join = JoinRequest { process: self.process.to_string(), findings: findings.collect() };
        let joined = self.runtime.block_on(self.client().join(Request::new(join))).unwrap().into_inner();
        assert_eq!(joined.missing, Vec::<String>::new());
        registered
    }

    /// Runs a call, which the coordinator must reject with `code`.
    pub(crate) fn is_rejected<T>(&self, code: Code, call: impl Future<Output = Result<Response<T>, Status>>) {
        match self.runtime.block_on(call) {
            Ok(_) => panic!("the call was accepted"),
            Err(status) => assert_eq!(status.code(), code, "{status}"),
        }
    }

    /// Sends heartbeats with one free vcore in the background, as long as the coordinator responds.
    pub(crate) fn heartbeat(&self) {
        let (mut client, process) = (self.client(), self.process.to_string());
        let header = process.clone();
        self.runtime.spawn(async move {
            loop {
                let heartbeat =
                    HeartbeatRequest { process: process.clone(), free_vcores: 1, ..HeartbeatRequest::default() };
                let mut request = Request::new(heartbeat);
                request.metadata_mut().insert(PROCESS_HEADER, header.parse().unwrap());
                if client.heartbeat(request).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
    }
}

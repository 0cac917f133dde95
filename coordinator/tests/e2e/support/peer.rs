//! A worker that a test plays itself, call by call: a stranger, a false worker, one that only heartbeats.

use std::time::Duration;

use lakewright_common::session::Locations;
use lakewright_proto::PROCESS_HEADER;
use lakewright_proto::v1::coordinator_client::CoordinatorClient;
use lakewright_proto::v1::{Finding, HeartbeatRequest, JoinRequest, RegisterRequest, RegisterResponse};
use tokio::runtime::Runtime;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};
use uuid::Uuid;

/// A process as the coordinator knows it.
pub(crate) struct Peer {
    pub(crate) runtime: Runtime,
    pub(crate) channel: Channel,
    pub(crate) process: Uuid,
}

impl Peer {
    /// Connects to an open coordinator on the port, which need not listen yet.
    pub(crate) fn new(port: u16) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
        let channel = runtime.block_on(async { endpoint.connect_lazy() });
        Self { runtime, channel, process: Uuid::now_v7() }
    }

    pub(crate) fn client(&self) -> CoordinatorClient<Channel> {
        CoordinatorClient::new(self.channel.clone())
    }

    /// The message in this process's name.
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert(PROCESS_HEADER, self.process.to_string().parse().unwrap());
        request
    }

    pub(crate) fn register_request(&self, vcores: u32) -> RegisterRequest {
        RegisterRequest {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            worker: "peer".to_owned(),
            process: self.process.to_string(),
            vcores,
        }
    }

    /// Registers until the coordinator has listed its sources.
    pub(crate) fn register(&self) -> RegisterResponse {
        for _ in 0..600 {
            let register = self.runtime.block_on(self.client().register(self.register_request(1)));
            match register {
                Ok(answer) => return answer.into_inner(),
                Err(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
        panic!("the coordinator never answered");
    }

    /// Registers honestly: reads the probes on this machine.
    pub(crate) fn join(&self) -> RegisterResponse {
        let register = self.register();
        let places: Locations = serde_json::from_slice(&register.storages).unwrap();
        let findings = register.probes.iter().map(|probe| {
            let place = match probe.storage.strip_prefix("source:") {
                Some(name) => places.sources.iter().find(|(source, _)| source == name).map(|(_, place)| place),
                None => Some(&places.lake),
            };
            let root = place.unwrap().url.to_file_path().unwrap();
            let bytes = probe.keys.first().map(|key| std::fs::read(root.join(key)).unwrap()).unwrap_or_default();
            let content = bytes.iter().copied().take(64).collect();
            Finding { bytes: bytes.len() as u64, content, ..Finding::default() }
        });
        let join = JoinRequest { process: self.process.to_string(), findings: findings.collect() };
        let joined = self.runtime.block_on(self.client().join(Request::new(join))).unwrap().into_inner();
        assert_eq!(joined.missing, Vec::<String>::new());
        register
    }

    /// Sends heartbeats on a thread of its own, with a free vcore, for as long as the coordinator answers.
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

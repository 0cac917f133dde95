//! Answers `PollWork`, the only method of Ballista's scheduler that workers call.
//!
//! Each request is rebuilt from the data that the worker registered with, so that Ballista never
//! sees a field that a peer left out or exaggerated. Task statuses are dropped, because the tracker
//! decides which tasks are done and because Ballista 55 panics on the status of an unknown task.

use ballista_core::BALLISTA_PROTOCOL_VERSION;
use ballista_core::serde::protobuf::executor_resource::Resource;
use ballista_core::serde::protobuf::scheduler_grpc_server::SchedulerGrpc;
use ballista_core::serde::protobuf::{
    ExecutorOperatingSystemSpecification, ExecutorRegistration, ExecutorResource, ExecutorSpecification,
    PollWorkParams, PollWorkResult,
};
use lakewright_proto::{MAX_MESSAGE_BYTES, MAX_SMALL_MESSAGE_BYTES};
use tonic::body::Body;
use tonic::codegen::BoxFuture;
use tonic::codegen::http::{Request, Response};
use tonic::server::{Grpc, UnaryService};
use tonic_prost::ProstCodec;
use uuid::Uuid;

use super::Server;

/// The queue of tasks that joined workers poll.
#[derive(Clone)]
pub(in crate::engine::cluster) struct Queue(pub(super) Server);

impl Queue {
    /// Answers a poll of a joined worker.
    pub(in crate::engine::cluster) fn poll(
        self,
        process: Uuid,
        vcores: u32,
        request: Request<Body>,
    ) -> BoxFuture<Response<Body>, std::convert::Infallible> {
        let poll = Poll { server: self.0, process, vcores };
        Box::pin(async move {
            let mut grpc = Grpc::new(ProstCodec::<PollWorkResult, PollWorkParams>::default())
                .max_decoding_message_size(MAX_SMALL_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_MESSAGE_BYTES);
            Ok(grpc.unary(poll, request).await)
        })
    }
}

struct Poll {
    server: Server,
    process: Uuid,
    vcores: u32,
}

impl UnaryService<PollWorkParams> for Poll {
    type Response = PollWorkResult;
    type Future = BoxFuture<tonic::Response<PollWorkResult>, tonic::Status>;

    fn call(&mut self, request: tonic::Request<PollWorkParams>) -> Self::Future {
        let server = self.server.clone();
        let request = request.map(|params| rebuilt(params, self.process, self.vcores));
        Box::pin(async move { server.poll_work(request).await })
    }
}

/// Rebuilds a poll from what the worker registered with: `process` and `vcores`. Of `params`, only
/// the number of free vcores is used, limited to `vcores`.
fn rebuilt(params: PollWorkParams, process: Uuid, vcores: u32) -> PollWorkParams {
    PollWorkParams {
        // Ballista hands out this many tasks at once, so it must not exceed what the worker can
        // run.
        num_free_vcores: params.num_free_vcores.min(vcores),
        // Statuses are not forwarded: see the module documentation.
        task_status: vec![],
        metadata: Some(ExecutorRegistration {
            id: process.to_string(),
            // Workers are never called, so the address is a placeholder.
            host: Some("worker".to_owned()),
            port: 0,
            grpc_port: 0,
            specification: Some(ExecutorSpecification {
                resources: vec![ExecutorResource { resource: Some(Resource::Vcores(vcores)) }],
            }),
            // Ballista 55 panics without this field.
            os_info: Some(ExecutorOperatingSystemSpecification::default()),
            ballista_protocol_version: BALLISTA_PROTOCOL_VERSION,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poll_is_limited_to_what_its_worker_registered_with() {
        let process = Uuid::from_u128(7);
        let stranger = ExecutorRegistration { id: "other".to_owned(), port: 1, ..ExecutorRegistration::default() };
        for metadata in [None, Some(stranger)] {
            let params = PollWorkParams { metadata, num_free_vcores: u32::MAX, task_status: vec![Default::default()] };
            let params = rebuilt(params, process, 2);
            let metadata = params.metadata.unwrap();
            assert_eq!((params.num_free_vcores, metadata.port), (2, 0));
            assert_eq!(metadata.id, process.to_string());
            assert!(metadata.os_info.is_some() && metadata.specification.is_some() && params.task_status.is_empty());
        }
    }
}

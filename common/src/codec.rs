//! Encodes task plans as bytes: DataFusion's own encoding, extended by the nodes of this project.
//!
//! The coordinator's engine encodes plans, and workers decode them. The messages are in
//! `proto/lakewright/v1/plan.proto`. Coordinator and worker have the same version, so no
//! compatibility is needed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::plan_err;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::physical_plan::{
    AsExecutionPlan, DefaultPhysicalExtensionCodec, PhysicalExtensionCodec, PhysicalProtoConverterExtension,
};
use datafusion_proto::protobuf;
use lakewright_proto::v1::plan_node::Node;
use lakewright_proto::v1::{self, PlanNode};
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::exchange::read_node::ExchangeReadExec;
use crate::exchange::write_node::ExchangeWriteExec;
use crate::read::scan_node::JsonScanExec;
use crate::read::split::Split;
use crate::report::spool_object::Chunk;
use crate::write::ingest_node::{IngestExec, IngestFolders};
use crate::write::table_node::TableWriteExec;
use crate::write::table_writer::TableLayout;

/// Encodes a plan.
///
/// # Errors
/// The plan has a node or an expression that neither DataFusion nor this module can encode.
pub fn encode_plan(plan: &Arc<dyn ExecutionPlan>) -> Result<Vec<u8>> {
    Ok(protobuf::PhysicalPlanNode::try_from_physical_plan(Arc::clone(plan), &PlanCodec)?.encode_to_vec())
}

/// Decodes a plan.
///
/// # Errors
/// The bytes are not a plan of this version.
pub fn decode_plan(bytes: &[u8], context: &TaskContext) -> Result<Arc<dyn ExecutionPlan>> {
    let node = protobuf::PhysicalPlanNode::decode(bytes).map_err(external)?;
    // DataFusion 55 panics on the nodes of features that are off, such as a scan of Avro files.
    let decoded = catch_unwind(AssertUnwindSafe(|| node.try_into_physical_plan(context, &PlanCodec)));
    decoded.unwrap_or_else(|_| plan_err!("the plan has a node that this build cannot decode"))
}

#[derive(Debug)]
struct PlanCodec;

impl PhysicalExtensionCodec for PlanCodec {
    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        bytes: &mut Vec<u8>,
        _: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        let node = if let Some(scan) = node.downcast_ref::<JsonScanExec>() {
            Node::JsonScan(encode_scan(scan)?)
        } else if let Some(ingest) = node.downcast_ref::<IngestExec>() {
            Node::Ingest(encode_ingest(ingest)?)
        } else if let Some(write) = node.downcast_ref::<TableWriteExec>() {
            Node::TableWrite(encode_table_write(write)?)
        } else if let Some(write) = node.downcast_ref::<ExchangeWriteExec>() {
            Node::ExchangeWrite(v1::ExchangeWrite { prefix: write.prefix().to_owned() })
        } else if let Some(read) = node.downcast_ref::<ExchangeReadExec>() {
            Node::ExchangeRead(encode_exchange_read(read)?)
        } else {
            // DataFusion calls this only for nodes that it cannot encode itself.
            return Err(DataFusionError::Internal(format!("cannot send `{}` to a worker", node.name())));
        };
        PlanNode { node: Some(node) }.encode(bytes).map_err(external)
    }

    fn try_decode(
        &self,
        bytes: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        context: &TaskContext,
        _: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let input = || {
            inputs
                .first()
                .cloned()
                .ok_or_else(|| DataFusionError::Internal("a plan has a node without its input".into()))
        };
        match PlanNode::decode(bytes).map_err(external)?.node {
            Some(Node::JsonScan(scan)) => Ok(Arc::new(decode_scan(&scan)?)),
            Some(Node::Ingest(ingest)) => Ok(Arc::new(decode_ingest(ingest, input()?)?)),
            Some(Node::TableWrite(write)) => Ok(Arc::new(decode_table_write(write, input()?)?)),
            Some(Node::ExchangeWrite(write)) => Ok(Arc::new(ExchangeWriteExec::new(input()?, write.prefix))),
            Some(Node::ExchangeRead(read)) => Ok(Arc::new(decode_exchange_read(read, context)?)),
            None => Err(DataFusionError::Internal("a plan has a node that this version does not know".into())),
        }
    }
}

fn encode_scan(scan: &JsonScanExec) -> Result<v1::JsonScan> {
    Ok(v1::JsonScan {
        source: to_json(scan.source())?,
        limits: to_json(scan.limits())?,
        partitions: scan.partitions().iter().map(|splits| to_json(&splits[..])).collect::<Result<_>>()?,
        max_records: scan.max_records(),
    })
}

fn decode_scan(scan: &v1::JsonScan) -> Result<JsonScanExec> {
    let partitions = scan.partitions.iter().map(|splits| from_json::<Vec<Split>>(splits)).collect::<Result<_>>()?;
    let node = JsonScanExec::new(from_json(&scan.source)?, partitions, from_json(&scan.limits)?);
    Ok(match scan.max_records {
        // A scan of a run has no limit; only `check --sample` sets one.
        Some(max_records) => node.sampling(max_records),
        None => node,
    })
}

fn encode_ingest(ingest: &IngestExec) -> Result<v1::Ingest> {
    let folders = ingest.folders();
    Ok(v1::Ingest {
        staging_schema: encode_schema(ingest.staging_schema())?,
        staging_folder: folders.staging.clone(),
        quarantine_folder: folders.quarantine.clone(),
        run: ingest.run().to_string(),
        target_file_bytes: ingest.target_file_bytes(),
    })
}

fn decode_ingest(ingest: v1::Ingest, input: Arc<dyn ExecutionPlan>) -> Result<IngestExec> {
    let folders = IngestFolders { staging: ingest.staging_folder, quarantine: ingest.quarantine_folder };
    let schema = decode_schema(&ingest.staging_schema)?;
    Ok(IngestExec::new(input, schema, folders, decode_run(&ingest.run)?, ingest.target_file_bytes))
}

fn encode_table_write(write: &TableWriteExec) -> Result<v1::TableWrite> {
    let layout = write.layout();
    Ok(v1::TableWrite {
        folder: layout.folder.clone(),
        schema: encode_schema(&layout.schema)?,
        partition_by: layout.partition_by.clone(),
        target_file_bytes: layout.target_file_bytes,
        max_open_files: layout.max_open_files as u64,
        run: write.run().to_string(),
    })
}

fn decode_table_write(write: v1::TableWrite, input: Arc<dyn ExecutionPlan>) -> Result<TableWriteExec> {
    let layout = TableLayout {
        folder: write.folder,
        schema: decode_schema(&write.schema)?,
        partition_by: write.partition_by,
        target_file_bytes: write.target_file_bytes,
        max_open_files: usize::try_from(write.max_open_files).map_err(external)?,
    };
    Ok(TableWriteExec::new(input, Arc::new(layout), decode_run(&write.run)?))
}

fn encode_exchange_read(read: &ExchangeReadExec) -> Result<v1::ExchangeRead> {
    let chunk = |chunk: &Chunk| v1::ExchangeChunk {
        key: chunk.key.clone(),
        offset: chunk.range.start,
        bytes: chunk.range.end - chunk.range.start,
    };
    let partitions =
        read.partitions().iter().map(|chunks| v1::ExchangePartition { chunks: chunks.iter().map(chunk).collect() });
    Ok(v1::ExchangeRead { shape: encode_plan(read.shape())?, partitions: partitions.collect() })
}

fn decode_exchange_read(read: v1::ExchangeRead, context: &TaskContext) -> Result<ExchangeReadExec> {
    let chunk = |chunk: v1::ExchangeChunk| {
        let end = chunk.offset.checked_add(chunk.bytes);
        let end = end.ok_or_else(|| DataFusionError::Internal("a chunk ends beyond 2^64".into()))?;
        Ok(Chunk { key: chunk.key, range: chunk.offset..end })
    };
    let partition = |partition: v1::ExchangePartition| partition.chunks.into_iter().map(chunk).collect();
    let partitions = read.partitions.into_iter().map(partition).collect::<Result<_>>()?;
    // A shape contains none of our nodes. Decoding it without them also rules out shapes nested in
    // shapes.
    let shape = protobuf::PhysicalPlanNode::decode(read.shape.as_slice()).map_err(external)?;
    let shape = shape.try_into_physical_plan(context, &DefaultPhysicalExtensionCodec {})?;
    Ok(ExchangeReadExec::from_shape(shape, partitions))
}

fn encode_schema(schema: &Schema) -> Result<Vec<u8>> {
    Ok(protobuf::Schema::try_from(schema).map_err(external)?.encode_to_vec())
}

fn decode_schema(bytes: &[u8]) -> Result<SchemaRef> {
    let schema = protobuf::Schema::decode(bytes).map_err(external)?;
    Ok(Arc::new(Schema::try_from(&schema).map_err(external)?))
}

fn decode_run(text: &str) -> Result<Uuid> {
    Uuid::parse_str(text).map_err(external)
}

fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(external)
}

fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(external)
}

fn external(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> DataFusionError {
    DataFusionError::External(error.into())
}

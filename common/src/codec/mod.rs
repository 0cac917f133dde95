//! Encodes task plans as bytes, in DataFusion's own encoding with additional nodes of this project.
//! Also converts the locations of storages to messages.
//!
//! The coordinator's engine encodes plans, and workers decode them. The messages are in
//! `proto/lakewright/v1/plan.proto`. Coordinator and worker have the same program version, so
//! encodings of other versions need not be supported.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::compute::SortOptions;
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
use uuid::Uuid;

use crate::codec::fields::number;
use crate::codec::scan::{decode_scan, encode_scan};
use crate::error::{Context, Error};
use crate::exchange::read_node::ExchangeReadExec;
use crate::exchange::write_node::ExchangeWriteExec;
use crate::first_row::keys::Keys;
use crate::first_row::node::FirstRowExec;
use crate::read::scan_node::JsonScanExec;
use crate::report::spool_object::Chunk;
use crate::write::ingest_node::{IngestExec, IngestFolders};
use crate::write::table_node::TableWriteExec;
use crate::write::table_writer::TableLayout;

/// The declared fields of a source as messages.
mod declared_fields;
/// Converts and checks fields of messages.
mod fields;
/// Converts a scan to its message and back: the source, the limits and the splits.
mod scan;
/// Converts the locations of storages to their messages and back.
pub mod storages;

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
/// The bytes are not a plan that this version of the program can decode.
pub fn decode_plan(bytes: &[u8], context: &TaskContext) -> Result<Arc<dyn ExecutionPlan>> {
    let node = protobuf::PhysicalPlanNode::decode(bytes).context(unreadable)?;
    // DataFusion 55 panics on the nodes of features that are off, such as a scan of Avro files.
    // A panic must not end the worker that received the plan.
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
            Node::JsonScan(encode_scan(scan))
        } else if let Some(ingest) = node.downcast_ref::<IngestExec>() {
            Node::Ingest(encode_ingest(ingest)?)
        } else if let Some(write) = node.downcast_ref::<TableWriteExec>() {
            Node::TableWrite(encode_table_write(write)?)
        } else if let Some(write) = node.downcast_ref::<ExchangeWriteExec>() {
            Node::ExchangeWrite(v1::ExchangeWrite { prefix: write.prefix().to_owned() })
        } else if let Some(read) = node.downcast_ref::<ExchangeReadExec>() {
            Node::ExchangeRead(encode_exchange_read(read)?)
        } else if let Some(first) = node.downcast_ref::<FirstRowExec>() {
            Node::FirstRow(encode_first_row(first)?)
        } else {
            // DataFusion calls this only for nodes that it cannot encode itself.
            return Err(DataFusionError::Internal(format!("cannot send `{}` to a worker", node.name())));
        };
        Ok(PlanNode { node: Some(node) }.encode(bytes).context(|| Error::internal("cannot encode a plan"))?)
    }

    fn try_decode(
        &self,
        bytes: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        context: &TaskContext,
        _: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        // A node that needs an input must not panic in `inputs[0]`: the bytes may come from an
        // untrusted process.
        let input = || {
            inputs
                .first()
                .cloned()
                .ok_or_else(|| DataFusionError::Internal("a plan has a node without its input".into()))
        };
        match PlanNode::decode(bytes).context(unreadable)?.node {
            Some(Node::JsonScan(scan)) => Ok(Arc::new(decode_scan(scan).context(unreadable)?)),
            Some(Node::Ingest(ingest)) => Ok(Arc::new(decode_ingest(ingest, input()?)?)),
            Some(Node::TableWrite(write)) => Ok(Arc::new(decode_table_write(write, input()?)?)),
            Some(Node::ExchangeWrite(write)) => Ok(Arc::new(ExchangeWriteExec::new(input()?, write.prefix))),
            Some(Node::ExchangeRead(read)) => Ok(Arc::new(decode_exchange_read(read, context)?)),
            Some(Node::FirstRow(first)) => Ok(Arc::new(FirstRowExec::try_new(input()?, decode_keys(&first))?)),
            None => Err(DataFusionError::Internal("a plan has a node that this version does not know".into())),
        }
    }
}

fn encode_first_row(first: &FirstRowExec) -> Result<v1::FirstRow> {
    let Keys { partition, order, options } = first.keys();
    let number = |i: &usize| u32::try_from(*i).context(|| Error::internal("a plan has too many columns"));
    Ok(v1::FirstRow {
        partition: partition.iter().map(number).collect::<crate::error::Result<_>>()?,
        order: number(order)?,
        is_descending: options.descending,
        nulls_first: options.nulls_first,
    })
}

fn decode_keys(first: &v1::FirstRow) -> Keys {
    Keys {
        partition: first.partition.iter().map(|i| *i as usize).collect(),
        order: first.order as usize,
        options: SortOptions::new(first.is_descending, first.nulls_first),
    }
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
        max_open_files: number(write.max_open_files).context(unreadable)?,
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
        // Check for overflow, because an end that wraps around would make the range empty or
        // reversed.
        let end = chunk.offset.checked_add(chunk.bytes);
        let end = end.ok_or_else(|| DataFusionError::Internal("a chunk ends beyond 2^64".into()))?;
        Ok(Chunk { key: chunk.key, range: chunk.offset..end })
    };
    let partition = |partition: v1::ExchangePartition| partition.chunks.into_iter().map(chunk).collect();
    let partitions = read.partitions.into_iter().map(partition).collect::<Result<_>>()?;
    // The shape of an `ExchangeReadExec` is a plan of DataFusion's own nodes. Decoding only such
    // nodes also rules out a shape nested in a shape.
    let shape = protobuf::PhysicalPlanNode::decode(read.shape.as_slice()).context(unreadable)?;
    let shape = shape.try_into_physical_plan(context, &DefaultPhysicalExtensionCodec {})?;
    Ok(ExchangeReadExec::from_shape(shape, partitions))
}

fn encode_schema(schema: &Schema) -> Result<Vec<u8>> {
    Ok(protobuf::Schema::try_from(schema).context(|| Error::internal("cannot encode a schema"))?.encode_to_vec())
}

fn decode_schema(bytes: &[u8]) -> Result<SchemaRef> {
    let schema = protobuf::Schema::decode(bytes).context(unreadable)?;
    Ok(Arc::new(Schema::try_from(&schema).context(unreadable)?))
}

fn decode_run(text: &str) -> Result<Uuid> {
    Ok(Uuid::parse_str(text).context(unreadable)?)
}

fn unreadable() -> Error {
    Error::internal("cannot decode a plan")
}

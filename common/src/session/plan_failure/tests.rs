//! Tests of the errors that users get for failures of the engine.

use std::io;
use std::sync::Arc;

use super::*;
use crate::error::Kind;

fn store(source: impl Into<Box<dyn StdError + Send + Sync>>) -> StoreError {
    StoreError::Generic { store: "LocalFileSystem", source: source.into() }
}

fn from_system(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

fn parquet(error: ParquetError) -> DataFusionError {
    DataFusionError::ParquetError(Box::new(error))
}

fn arrow(error: ArrowError) -> DataFusionError {
    DataFusionError::ArrowError(Box::new(error), None)
}

fn metadata(text: &str) -> DataFusionError {
    parquet(ParquetError::General(format!("Failed to fetch metadata for file songs/a.parquet: {text}")))
}

/// Returns the error of our store for a damaged file.
fn ours() -> StoreError {
    let error = Error::storage_failure("`file:///lake/songs/a.parquet` is damaged: bytes 0 to 65536").hint(DAMAGED);
    StoreError::Generic { store: STORE_NAME, source: Box::new(error) }
}

/// Name of the case, failure as the engine reports it, expected kind, and texts that message and
/// hint must contain.
type Case = (&'static str, DataFusionError, Kind, &'static [&'static str]);

fn damaged_files() -> Vec<Case> {
    const DAMAGED: &[&str] = &["damaged", "check --deep"];
    const OURS: &[&str] = &["songs/a.parquet` is damaged", "check --deep"];
    let utf8 = String::from_utf8(vec![0xff]).unwrap_err();
    let zstd = io::Error::other("Data corruption detected");
    let external = |error: Box<dyn StdError + Send + Sync>| parquet(ParquetError::External(error));
    let as_text = |text: &str| parquet(ParquetError::ArrowError(text.to_owned()));
    let storage = Kind::Storage;
    vec![
        ("ours, in a read of pages", external(Box::new(ours())), storage, OURS),
        ("ours, in a read of a footer", metadata(&format!("Object Store error: {}", ours())), storage, OURS),
        ("a footer", metadata("Parquet error: Corrupt footer"), storage, OURS),
        ("a page", parquet(ParquetError::General("Page CRC checksum mismatch".into())), storage, DAMAGED),
        ("a page that ends early", parquet(ParquetError::EOF("eof".into())), storage, DAMAGED),
        ("Thrift", parquet(ParquetError::NYI("union".into())), storage, DAMAGED),
        ("a page, as text", as_text("Parquet argument error: Parquet error: bad"), storage, DAMAGED),
        ("a page, from Arrow", arrow(ArrowError::ParquetError("Parquet error: bad".into())), storage, DAMAGED),
        ("decompression", external(Box::new(zstd)), storage, DAMAGED),
        ("text that is no text", external(Box::new(utf8)), storage, DAMAGED),
    ]
}

fn faults_of_machines() -> Vec<Case> {
    const READ: &str = "Object Store error: Generic lake error: cannot read `file:///lake/songs/a.parquet`: ";
    let spill = |code| DataFusionError::IoError(from_system(code));
    let in_read = |code| parquet(ParquetError::External(Box::new(store(from_system(code)))));
    let too_large = "The used disk space during the spilling process has exceeded the allowable limit of 100.0 GB.";
    let storage = Kind::Storage;
    vec![
        ("no descriptor, in a read", in_read(libc::EMFILE), storage, &["lake", "ulimit -n"]),
        (
            "no descriptor, in a footer",
            metadata(&format!("{READ}Unable to open file: Too many open files (os error 24)")),
            storage,
            &["cannot read `file:///lake/songs/a.parquet`", "ulimit -n"],
        ),
        (
            "a file that is gone",
            metadata(&format!("{READ}not found")),
            storage,
            &["cannot read `file:///lake/songs/a.parquet`"],
        ),
        (
            "a full disk, in the lake",
            DataFusionError::ObjectStore(Box::new(store(from_system(libc::ENOSPC)))),
            storage,
            &["lake", "vacuum --delete"],
        ),
        ("a full disk, in a spill", spill(libc::ENOSPC), storage, &["scratch folder", "[limits] scratch"]),
        (
            "a full disk, in a spill, by Arrow",
            arrow(ArrowError::IoError("full".into(), from_system(libc::ENOSPC))),
            storage,
            &["scratch folder", "[limits] scratch"],
        ),
        (
            "a spill that is too large",
            DataFusionError::ResourcesExhausted(too_large.into()),
            storage,
            &["scratch folder", "[limits] scratch"],
        ),
        ("no descriptor, in a spill", spill(libc::EMFILE), storage, &["scratch folder", "ulimit -n"]),
        (
            "memory",
            DataFusionError::ResourcesExhausted("Failed to allocate".into()),
            Kind::Configuration,
            &["[limits] memory"],
        ),
    ]
}

fn faults_of_data_and_bugs() -> Vec<Case> {
    let overflow = Box::new(ArrowError::ComputeError("overflow".into()));
    vec![
        ("a cast", arrow(ArrowError::CastError("Cannot cast string 'x'".into())), Kind::Data, &["'x'"]),
        ("a division", arrow(ArrowError::DivideByZero), Kind::Data, &["Divide by zero"]),
        ("a filter in a read", parquet(ParquetError::External(overflow)), Kind::Data, &["overflow"]),
        (
            "a filter in a read, as text",
            parquet(ParquetError::ArrowError("Compute error: overflow".into())),
            Kind::Data,
            &["overflow"],
        ),
        ("an execution", DataFusionError::Execution("no".into()), Kind::Data, &["no"]),
        ("the engine's own", DataFusionError::Internal("impossible".into()), Kind::Internal, &["impossible"]),
    ]
}

#[test]
fn every_failure_of_the_engine_has_the_kind_of_its_cause_and_names_it() {
    for (name, error, kind, expected) in
        damaged_files().into_iter().chain(faults_of_machines()).chain(faults_of_data_and_bugs())
    {
        let shown = error.to_string();
        for error in wrapped(error) {
            let error = Error::from_engine(error, stage_error);
            let text = format!("{error}\nhint: {}", error.hint.as_deref().unwrap_or_default());
            assert_eq!(error.kind, kind, "{name}: {shown}\n{text}");
            for part in expected {
                assert!(text.contains(part), "{name} does not have `{part}`:\n{text}");
            }
        }
    }
}

/// Returns the error in the forms in which operators pass it on, including one that partitions
/// share.
fn wrapped(error: DataFusionError) -> Vec<DataFusionError> {
    let shared = Arc::new(error);
    let again = Arc::clone(&shared);
    let context =
        DataFusionError::Context("while joining".into(), Box::new(DataFusionError::Shared(Arc::clone(&shared))));
    vec![DataFusionError::Shared(again), context, DataFusionError::Shared(shared)]
}

#[test]
fn a_panic_of_the_reader_is_known_by_its_place() {
    let registry = "/home/user/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f";
    assert!(is_in_reader(&format!("{registry}/parquet-59.3.2/src/arrow/record_reader/buffer.rs")));
    assert!(!is_in_reader(&format!("{registry}/parquet-59.3.2/src/arrow/arrow_writer/mod.rs")));
    assert!(!is_in_reader(&format!("{registry}/datafusion-datasource-parquet-55.2.0/src/opener.rs")));
    assert!(!is_in_reader("common/src/write/file.rs"));
    assert_eq!(panic_error("a test").kind, Kind::Internal);
}

#[test]
fn the_scratch_folder_is_named() {
    let parent = tempfile::tempdir().unwrap();
    let scratch = crate::process::scratch::Scratch::create(parent.path()).unwrap();
    let error = stage_error(DataFusionError::IoError(from_system(libc::ENOSPC)));
    assert!(error.message.contains("the scratch folder `"), "{error}");
    drop(scratch);
}

//! The error type of this project. It has a few kinds, one for each thing that the user can do
//! next.
//!
//! The code that fails adds the facts it knows (object, field, setting) to the message. The
//! coordinator turns the kind into an exit code and prints message and hint. Inside a plan an
//! `Error` travels as `DataFusionError::External`; `Error::from_engine` extracts it again.

use std::fmt;
use std::sync::OnceLock;

use datafusion::error::DataFusionError;

use crate::printable;

/// Hint if the process has too many files or connections open.
const TOO_MANY_FILES: &str = "too many files are open: raise the limit (`ulimit -n`, `LimitNOFILE` of a systemd unit), or lower `[limits]` \
                              `concurrent_reads`, `max_open_files` or `threads` (of a worker: --vcores)";
/// Hint if a disk is full.
const DISK_FULL: &str = "the disk is full: free some space; `coordinator vacuum --delete` deletes the files of a lake that no version needs";
/// Maximum number of names that one message lists.
const MAX_LISTED: usize = 10;

/// Function that returns a hint for an error, or `None` if it does not know the error's type.
pub type HintOf = fn(&(dyn std::error::Error + 'static)) -> Option<&'static str>;

/// Function that returns hints for errors of S3. `storage` registers it, because this module cannot
/// import the types of these errors.
static STORAGE_HINTS: OnceLock<HintOf> = OnceLock::new();

/// Registers the function from which [`Error::storage`] gets hints. Only the first call has an
/// effect.
pub fn register_storage_hints(hint_of: HintOf) {
    STORAGE_HINTS.get_or_init(|| hint_of);
}

/// Kind of a failure, by what the user must do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A key or a check is violated, or too many records were rejected. The user must look at the
    /// input.
    Data,
    /// The user must correct `lake.toml`, a model or the command line.
    Configuration,
    /// The user must check the storage (permissions, network, space) and run again.
    Storage,
    /// Another run committed first. The user must run again.
    Conflict,
    /// The user must start workers, or find out why they ended.
    Workers,
    /// A bug, which the user should report.
    Internal,
}

/// A failure as the user sees it: one sentence, a hint, and the cause.
#[derive(Debug)]
pub struct Error {
    pub kind: Kind,
    /// One sentence in lower case without a full stop; may be followed by lines of detail.
    pub message: String,
    /// Hint: what the user can do about the failure.
    pub hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
    /// Failures that were found together with this error; each is reported separately.
    further: Vec<Error>,
}

/// Result of the fallible functions of this project.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, source: None, further: vec![] }
    }

    pub fn data(message: impl Into<String>) -> Self {
        Self::new(Kind::Data, message)
    }

    pub fn configuration(message: impl Into<String>) -> Self {
        Self::new(Kind::Configuration, message)
    }

    /// Returns a storage error, such as "cannot read `s3://bucket/key`". `operation` is a verb,
    /// such as `read`, and `object` is a URL or a key.
    pub fn storage(
        operation: &str,
        object: impl fmt::Display,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        let source = source.into();
        // Prefer the specific hints of S3, because an error of S3 may also contain an error of the
        // system.
        let hint = STORAGE_HINTS.get().and_then(|hint_of| hint_of(&*source)).or_else(|| os_hint(&*source));
        let object = object.to_string();
        let message = format!("cannot {operation} `{}`", printable::line(&object));
        let error = Self::new(Kind::Storage, message).caused_by(source);
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }

    /// Returns the error for a failed system call. The kind of the error is storage, because the
    /// machine is at fault.
    pub fn of_system(message: impl Into<String>, source: std::io::Error) -> Self {
        let hint = os_hint(&source);
        let error = Self::new(Kind::Storage, message).caused_by(source);
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }

    /// Returns a storage failure without a cause, such as one that another process reported.
    pub fn storage_failure(message: impl Into<String>) -> Self {
        Self::new(Kind::Storage, message)
    }

    pub fn workers(message: impl Into<String>) -> Self {
        Self::new(Kind::Workers, message)
    }

    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, message)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, message)
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Joins failures that were found together, such as all faults of a configuration. `None` if
    /// there are none. The kind of the first failure decides the exit code.
    pub fn join(failures: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut failures = failures.into_iter();
        let mut first = failures.next()?;
        // Flat, so that every failure is printed with its own hint.
        first.further.extend(failures.flat_map(|mut failure| {
            let further = std::mem::take(&mut failure.further);
            std::iter::once(failure).chain(further)
        }));
        Some(first)
    }

    /// Returns this failure and all failures that were found together with it, in order.
    pub fn each(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.further)
    }

    /// Returns the message with its causes, without the failures that were found together with it.
    pub fn text(&self) -> String {
        Alone(self).to_string()
    }

    /// Returns a copy whose message includes the causes, because a cause cannot be cloned.
    fn flattened(&self) -> Self {
        let further = self.further.iter().map(Self::flattened).collect();
        Self { kind: self.kind, message: self.text(), hint: self.hint.clone(), source: None, further }
    }

    /// Wraps this error in an error of the query engine; [`Error::from_engine`] unwraps it.
    pub fn into_engine(self) -> DataFusionError {
        self.into()
    }

    /// Returns the project's own error inside `error`. If there is none, converts `error` with
    /// `otherwise`.
    pub fn from_engine(error: DataFusionError, otherwise: impl FnOnce(DataFusionError) -> Self) -> Self {
        match unwrap_engine(error) {
            Ok(ours) => ours,
            // The Parquet reader wraps errors of a store in errors of its own.
            Err(theirs) => find_ours(&theirs).unwrap_or_else(|| otherwise(theirs)),
        }
    }
}

/// Returns a hint for an error of the operating system among `error` and its causes.
pub(crate) fn os_hint(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    match os_error(error)? {
        libc::EMFILE | libc::ENFILE => Some(TOO_MANY_FILES),
        libc::ENOSPC | libc::EDQUOT => Some(DISK_FULL),
        _ => None,
    }
}

/// Returns the OS error code (`errno`) of `error` or one of its causes. Also finds the code in a
/// text such as `No space left on device (os error 28)`.
pub(crate) fn os_error(error: &(dyn std::error::Error + 'static)) -> Option<i32> {
    let mut next = Some(error);
    while let Some(cause) = next {
        let io = cause.downcast_ref::<std::io::Error>();
        if let Some(code) = io.and_then(std::io::Error::raw_os_error) {
            return Some(code);
        }
        // `io::Error::source` skips the error that it wraps and returns that error's source.
        if let Some(code) = io.and_then(std::io::Error::get_ref).and_then(|inner| os_error(inner)) {
            return Some(code);
        }
        next = cause.source();
    }
    // Some libraries keep only the text of an error.
    let text = error.to_string();
    let (_, code) = text.rsplit_once("(os error ")?;
    code.split_once(')')?.0.parse().ok()
}

impl From<Error> for DataFusionError {
    /// Wraps an error in an error of the query engine, so that `?` converts it.
    fn from(error: Error) -> Self {
        Self::External(Box::new(error))
    }
}

/// Removes the contexts that the engine wraps around a project error. Returns the engine's error as
/// `Err` if it does not contain a project error.
fn unwrap_engine(error: DataFusionError) -> std::result::Result<Error, DataFusionError> {
    match error {
        DataFusionError::External(inner) => match inner.downcast::<Error>() {
            Ok(ours) => Ok(*ours),
            Err(inner) => match inner.downcast::<DataFusionError>() {
                Ok(nested) => unwrap_engine(*nested),
                Err(other) => Err(DataFusionError::External(other)),
            },
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => unwrap_engine(*inner),
        DataFusionError::ArrowError(inner, trace) => match *inner {
            arrow::error::ArrowError::ExternalError(inner) => unwrap_engine(DataFusionError::External(inner)),
            other => Err(DataFusionError::ArrowError(Box::new(other), trace)),
        },
        DataFusionError::Shared(shared) => match std::sync::Arc::try_unwrap(shared) {
            Ok(inner) => unwrap_engine(inner),
            // Several partitions share the error, so copy its kind, message and hint.
            Err(shared) => find_ours(&*shared).ok_or(DataFusionError::Shared(shared)),
        },
        other => Err(other),
    }
}

/// Returns a copy of the first project error among `error` and its causes; the causes of the copied
/// error become text.
fn find_ours(error: &(dyn std::error::Error + 'static)) -> Option<Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(ours) = error.downcast_ref::<Error>() {
            return Some(ours.flattened());
        }
        next = error.source();
    }
    None
}

/// Lists the first ten names and counts the rest: "`a`, `b` and 3 more".
pub fn listed<T: fmt::Display>(names: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>) -> String {
    let names = names.into_iter();
    let more = names.len().saturating_sub(MAX_LISTED);
    let named: Vec<String> =
        names.take(MAX_LISTED).map(|name| format!("`{}`", printable::line(&name.to_string()))).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", named.join(", "))
}

/// Displays a failure without the failures that were found together with it.
struct Alone<'a>(&'a Error);

impl fmt::Display for Alone<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let error = self.0;
        f.write_str(&error.message)?;
        let mut cause = error.source.as_deref().map(|e| e as &dyn std::error::Error);
        while let Some(next) = cause {
            // Text of servers and values may contain line feeds and is escaped. Errors of queries
            // are not escaped, because the engine shows the place of an error in several lines.
            match error.kind {
                Kind::Configuration => write!(f, ": {next}")?,
                _ => write!(f, ": {}", printable::line(&next.to_string()))?,
            }
            // Do not repeat a cause that the text of the error already contains.
            cause = next.source().filter(|below| !next.to_string().contains(&below.to_string()));
        }
        Ok(())
    }
}

/// Prints the message with its causes. Failures that were found together are separated by
/// semicolons.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Alone(self))?;
        self.further.iter().try_for_each(|further| write!(f, "; {}", Alone(further)))
    }
}

/// Replaces a failure by an error that says what was attempted. The failure becomes its cause.
pub trait Context<T> {
    /// Replaces the failure by `error`, with the failure as its cause.
    ///
    /// # Errors
    /// `error`, if there was a failure.
    fn context(self, error: impl FnOnce() -> Error) -> Result<T>;

    /// Replaces the failure by a storage error, such as "cannot read `s3://bucket/key`", with the
    /// failure as its cause. `operation` is a verb, such as `read`, and `object` is a URL or a key.
    ///
    /// # Errors
    /// A storage error that names `object`, if there was a failure.
    fn storage_context<D: fmt::Display>(self, operation: &str, object: impl FnOnce() -> D) -> Result<T>;
}

impl<T, E: Into<Box<dyn std::error::Error + Send + Sync>>> Context<T> for std::result::Result<T, E> {
    fn context(self, error: impl FnOnce() -> Error) -> Result<T> {
        self.map_err(|cause| error().caused_by(cause))
    }

    fn storage_context<D: fmt::Display>(self, operation: &str, object: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|cause| Error::storage(operation, object(), cause))
    }
}

/// Converts a failure of the query engine.
pub trait EngineContext<T> {
    /// Replaces the failure by the project's own error inside it. If there is none, `otherwise`
    /// converts the failure.
    ///
    /// # Errors
    /// The replacement, if there was a failure.
    fn engine_context(self, otherwise: impl FnOnce(DataFusionError) -> Error) -> Result<T>;
}

impl<T> EngineContext<T> for std::result::Result<T, DataFusionError> {
    fn engine_context(self, otherwise: impl FnOnce(DataFusionError) -> Error) -> Result<T> {
        self.map_err(|error| Error::from_engine(error, otherwise))
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_project_error_inside_a_shared_engine_error_is_found() {
        let ours = Error::data("the key is null").hint("look at the input").caused_by("row 7");
        let engine = DataFusionError::Context("while building".into(), Box::new(ours.into_engine()));
        let shared = Arc::new(engine);
        let held = Arc::clone(&shared);
        let found = Error::from_engine(DataFusionError::Shared(shared), |e| Error::internal(e.to_string()));
        assert_eq!(found.kind, Kind::Data);
        assert_eq!(found.to_string(), "the key is null: row 7");
        assert_eq!(found.hint.as_deref(), Some("look at the input"));
        drop(held);
    }

    #[test]
    fn a_cause_cannot_forge_a_line() {
        let error = Error::data("a query failed").caused_by("cannot cast 'a\nerror: forged\u{1b}'");
        assert_eq!(error.to_string(), "a query failed: cannot cast 'a\\nerror: forged\\u{1b}'");
        assert!(Error::storage("read", "a\nb", "x\ny").to_string().lines().count() == 1);
    }
}

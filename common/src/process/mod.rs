//! Setup that every process does once, and notifications to the service manager.

/// Logs on standard error, as text or JSON.
pub mod telemetry;
/// Notifications to the service manager (`sd_notify`).
pub mod systemd;
/// Checks and limits that both programs apply before anything else.
pub mod start;
/// The folder that queries spill to.
pub mod scratch;
/// The limit on open files.
pub mod descriptors;
/// Configures how soon the allocator returns memory to the system.
pub mod allocator;
/// TLS settings for the coordinator's port.
pub mod tls;
/// The secret of a run, for workers on the same machine.
pub mod secret;
/// Named points at which a test can kill the process.
pub mod failpoint;

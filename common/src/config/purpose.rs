//! Purpose for which a configuration is loaded. It matters because some rules apply only to runs.

/// Purpose for which a configuration is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A run, or a check whether a run is possible.
    Run,
    /// A command that only reads the lake. No worker connects, so the rules for connections are not
    /// checked.
    Look,
}

//! One visit of a listener.

use crate::user::User;

/// One visit of a listener.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Session {
    pub(crate) session_id: u64,
    pub(crate) user: User,
    pub(crate) logged_in: bool,
    /// Number of the session's next event, from 0.
    pub(crate) item: u64,
}

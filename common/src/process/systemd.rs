//! Notifies the service manager by systemd's protocol (`sd_notify(3)`). Does nothing if no service
//! manager started this process.

use sd_notify::NotifyState;

/// Reports that this process has started. The service manager then starts the units that depend on
/// it.
pub fn ready() {
    notify(&NotifyState::Ready);
}

/// Reports the current activity in one line, which `systemctl status` shows.
pub fn status(text: &str) {
    notify(&NotifyState::Status(text));
}

/// Reports that this process was asked to end and will end after its current work.
pub fn stopping() {
    notify(&NotifyState::Stopping);
}

fn notify(state: &NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        tracing::debug!(%error, "cannot notify the service manager");
    }
}

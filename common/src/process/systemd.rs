//! Notifies the service manager by systemd's protocol (`sd_notify(3)`). Does nothing if none
//! started this process.

use sd_notify::NotifyState;

/// Reports that this process has started; units that wait for it continue.
pub fn ready() {
    notify(&NotifyState::Ready);
}

/// Reports the current activity, one line, for `systemctl status`.
pub fn status(text: &str) {
    notify(&NotifyState::Status(text));
}

/// Reports that this process was asked to end and will do so after its work.
pub fn stopping() {
    notify(&NotifyState::Stopping);
}

fn notify(state: &NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        tracing::debug!(%error, "cannot notify the service manager");
    }
}

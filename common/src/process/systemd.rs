//! What the service manager is told, by systemd's protocol (`sd_notify(3)`); nothing where none started this process.

use sd_notify::NotifyState;

/// This process is set up: whoever waits for its unit goes on.
pub fn ready() {
    tell(&NotifyState::Ready);
}

/// What it does at the moment, in a line, for `systemctl status`.
pub fn status(text: &str) {
    tell(&NotifyState::Status(text));
}

/// It was told to end, and does so when its work is done.
pub fn stopping() {
    tell(&NotifyState::Stopping);
}

fn tell(state: &NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        tracing::debug!(%error, "the service manager cannot be told");
    }
}

//! The mode of the user's terminal.
//!
//! A line editor switches echo and line mode off while it waits for a key. A process that is
//! terminated in that moment would leave the terminal unusable.

use std::io::stdin;

use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};

/// The mode that the terminal of standard input had when this value was created. Restored on drop.
pub(super) struct TerminalMode {
    /// `None` if standard input is no terminal.
    saved: Option<Termios>,
}

impl TerminalMode {
    /// Saves the current mode.
    pub(super) fn save() -> Self {
        Self { saved: tcgetattr(stdin()).ok() }
    }
}

impl Drop for TerminalMode {
    fn drop(&mut self) {
        if let Some(saved) = &self.saved {
            // The terminal may be gone.
            let _ = tcsetattr(stdin(), SetArg::TCSADRAIN, saved);
        }
    }
}

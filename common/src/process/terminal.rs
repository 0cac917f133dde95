//! The mode of the user's terminal.
//!
//! A line editor switches echo and line mode off while it waits for a key. A process that is
//! terminated in that moment would leave the terminal unusable.

use std::mem::MaybeUninit;

/// The mode that the terminal of standard input had when this value was created. Restored on drop.
pub struct TerminalMode {
    /// `None` if standard input is no terminal.
    saved: Option<libc::termios>,
}

impl TerminalMode {
    /// Saves the current mode.
    #[must_use]
    pub fn save() -> Self {
        let mut mode = MaybeUninit::uninit();
        #[expect(unsafe_code, reason = "tcgetattr(3) writes the mode if it returns 0")]
        let saved =
            unsafe { (libc::tcgetattr(libc::STDIN_FILENO, mode.as_mut_ptr()) == 0).then(|| mode.assume_init()) };
        Self { saved }
    }
}

impl Drop for TerminalMode {
    fn drop(&mut self) {
        if let Some(saved) = &self.saved {
            #[expect(unsafe_code, reason = "tcsetattr(3) only reads the mode")]
            unsafe {
                libc::tcsetattr(libc::STDIN_FILENO, libc::TCSADRAIN, saved);
            }
        }
    }
}

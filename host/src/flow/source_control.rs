//! How the coordinator reaches a source, which reads in a thread of its own.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Barrier, Waker};

/// What a source is told.
pub enum SourceCommand {
    /// Send a barrier; with `hold` read no further after it.
    Barrier {
        /// What to send.
        barrier: Barrier,
        /// Whether to stop reading.
        hold: bool,
    },
    /// Read again.
    Resume,
    /// End in good order.
    Finish,
}

/// Commands on their way to a source.
#[derive(Default)]
pub struct SourceControl {
    /// Whether there are any: the one thing that a step looks at.
    waiting: AtomicBool,
    commands: Mutex<VecDeque<SourceCommand>>,
    waker: Waker,
}

impl SourceControl {
    /// For the source that `waker` wakes.
    pub fn new(waker: Waker) -> Self {
        Self { waker, ..Self::default() }
    }

    /// Sends a command.
    pub fn send(&self, command: SourceCommand) {
        self.commands.lock().expect("nobody panics with this lock").push_back(command);
        self.waiting.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// The next command, if one waits.
    pub(super) fn take(&self) -> Option<SourceCommand> {
        if !self.waiting.load(Ordering::Acquire) {
            return None;
        }
        let mut commands = self.commands.lock().expect("nobody panics with this lock");
        let command = commands.pop_front();
        self.waiting.store(!commands.is_empty(), Ordering::Release);
        command
    }
}

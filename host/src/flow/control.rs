//! How the coordinator reaches a task, which works in a thread of its own: commands that the task
//! takes between two steps.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Barrier, Waker};
use crate::operator::Shadow;

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

/// What a partition of an operator is told.
pub enum OperatorCommand {
    /// Its new function stays: what was kept for the one before can go.
    ConfirmSwap,
    /// Run another function beside its own.
    Shadow(Box<Shadow>),
}

/// Commands on their way to a task.
pub struct Control<C> {
    /// Whether there are any: the one thing that a step looks at.
    waiting: AtomicBool,
    commands: Mutex<VecDeque<C>>,
    waker: Waker,
}

/// Commands on their way to a source.
pub type SourceControl = Control<SourceCommand>;

/// Commands on their way to a partition of an operator.
pub type OperatorControl = Control<OperatorCommand>;

impl<C> Control<C> {
    /// For the task that `waker` wakes.
    pub fn new(waker: Waker) -> Self {
        Self { waiting: AtomicBool::new(false), commands: Mutex::default(), waker }
    }

    /// Sends a command.
    pub fn send(&self, command: C) {
        self.commands.lock().expect("nobody panics with this lock").push_back(command);
        self.waiting.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// The next command, if one waits.
    pub(super) fn take(&self) -> Option<C> {
        if !self.waiting.load(Ordering::Acquire) {
            return None;
        }
        let mut commands = self.commands.lock().expect("nobody panics with this lock");
        let command = commands.pop_front();
        self.waiting.store(!commands.is_empty(), Ordering::Release);
        command
    }
}

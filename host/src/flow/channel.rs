//! A bounded channel between two tasks that never blocks either: whoever cannot go on returns from
//! its step, and is woken when the other side has changed that.

use std::sync::mpsc::{self, TryRecvError, TrySendError};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;

use super::{CHANNEL_ITEMS_MAX, Item};

/// Wakes the thread that drives a task. Does nothing while no thread does.
#[derive(Debug, Clone, Default)]
pub struct Waker {
    thread: Arc<OnceLock<Thread>>,
}

impl Waker {
    /// The calling thread is the one to wake from now on.
    pub fn attach_current_thread(&self) {
        // A task is driven by one thread for its whole life.
        let _ = self.thread.set(std::thread::current());
    }

    /// Makes the thread's current or next park return.
    pub fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

/// The sending end.
#[derive(Debug)]
pub struct Sender {
    items: mpsc::SyncSender<Item>,
    receiver: Waker,
}

/// The receiving end.
#[derive(Debug)]
pub struct Receiver {
    items: mpsc::Receiver<Item>,
    sender: Waker,
}

/// Connects the task that `sender` wakes to the task that `receiver` wakes.
pub fn channel(sender: &Waker, receiver: &Waker) -> (Sender, Receiver) {
    let (tx, rx) = mpsc::sync_channel(CHANNEL_ITEMS_MAX);
    (
        Sender { items: tx, receiver: receiver.clone() },
        Receiver { items: rx, sender: sender.clone() },
    )
}

impl Sender {
    /// Sends an item, or gives it back if there is no room.
    ///
    /// An item for a task that is gone is dropped: the task failed, and the job is about to end.
    pub fn try_send(&self, item: Item) -> Result<(), Item> {
        match self.items.try_send(item) {
            Ok(()) => {
                self.receiver.wake();
                Ok(())
            }
            Err(TrySendError::Full(item)) => Err(item),
            Err(TrySendError::Disconnected(_)) => Ok(()),
        }
    }
}

impl Receiver {
    /// The next item, if one waits. None also if the sender is gone without an `End`: it failed,
    /// and the job is about to end.
    pub fn try_receive(&self) -> Option<Item> {
        match self.items.try_recv() {
            Ok(item) => {
                self.sender.wake();
                Some(item)
            }
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => None,
        }
    }
}

//! The exports of a component: one function for each of the contract's, on the one instance there
//! is.

use super::operator::Adaptor;

/// Makes sure at compile time, on every target, that what is exported is a function.
pub const fn check<A: Adaptor>() {}

#[cfg(target_family = "wasm")]
pub use exports::*;

#[cfg(target_family = "wasm")]
mod exports {
    //! What only a component has: a place for its instance, and a host to tell of panics.

    use std::cell::RefCell;
    use std::sync::Once;

    use crate::bindings::exports::tidegate::function::function::OpenContext;
    use crate::bindings::exports::tidegate::function::migrations::{Migrated, Migration};
    use crate::bindings::tidegate::function::declarations::Declaration;
    use crate::bindings::tidegate::function::types::{
        Batch, Effects, Fault, Packed, PollRequest, Polled, TimerBatch,
    };
    use crate::log;
    use crate::runtime::instance::{self, Instance};
    use crate::runtime::operator::Adaptor;

    thread_local! {
        static INSTANCE: RefCell<Option<Instance>> = const { RefCell::new(None) };
    }

    /// What a function declares. The contract's `describe` cannot fail, so what is wrong with a
    /// declaration ends in a trap with the message in the log.
    ///
    /// # Panics
    /// If the function cannot be described.
    pub fn describe<A: Adaptor>() -> Declaration {
        match instance::describe::<A>() {
            Ok(declaration) => declaration,
            Err(error) => panic!("{error}"),
        }
    }

    /// The steps that a function can take, as [`describe`] tells the rest.
    ///
    /// # Panics
    /// If the function cannot be described.
    pub fn describe_migrations<A: Adaptor>() -> Vec<Migration> {
        match instance::describe_migrations::<A>() {
            Ok(migrations) => migrations,
            Err(error) => panic!("{error}"),
        }
    }

    pub fn open<A: Adaptor>(context: OpenContext) -> Result<(), Fault> {
        let instance = Instance::open::<A>(context)?;
        INSTANCE.with(|place| place.replace(Some(instance)));
        Ok(())
    }

    pub fn process(batch: Batch) -> Result<Effects, Fault> {
        with_instance(|instance| instance.process(batch))
    }

    pub fn fire(timers: TimerBatch) -> Result<Effects, Fault> {
        with_instance(|instance| instance.fire(timers))
    }

    pub fn poll(poll: PollRequest) -> Result<Polled, Fault> {
        with_instance(|instance| instance.poll(poll))
    }

    pub fn migrate(
        state: &str,
        from: u32,
        keys: &Packed,
        values: &Packed,
    ) -> Result<Migrated, Fault> {
        with_instance(|instance| instance.migrate(state, from, keys, values))
    }

    pub fn extract_keys<A: Adaptor>(values: Packed) -> Result<Packed, Fault> {
        instance::extract_keys::<A>(&values)
    }

    pub fn close() {
        if let Some(instance) = INSTANCE.with(|place| place.take()) {
            instance.close();
        }
    }

    fn with_instance<T>(call: impl FnOnce(&mut Instance) -> T) -> T {
        let is_open = "the host opens an instance before it calls it";
        INSTANCE.with(|place| call(place.borrow_mut().as_mut().expect(is_open)))
    }

    /// Sends the message of a panic to the host, which shows it with the trap.
    pub fn hook_panics() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            std::panic::set_hook(Box::new(|panic| {
                let message = panic.payload_as_str().unwrap_or("(no message)");
                match panic.location() {
                    Some(at) => log::error(format_args!(
                        "panicked at {}:{}: {message}",
                        at.file(),
                        at.line()
                    )),
                    None => log::error(format_args!("panicked: {message}")),
                }
            }));
        });
    }
}

//! [`export!`](crate::export): makes a component of a function.

/// Makes the crate a component that runs the given function.
///
/// Stands once in a crate, which has `crate-type = ["cdylib", "rlib"]`. On targets other than wasm
/// it only checks the type, so that `cargo test` works.
///
/// ```
/// use tidegate_sdk::prelude::*;
///
/// struct Shout;
///
/// impl ProcessFunction for Shout {
///     type In<'a> = &'a str;
///     type Out = String;
///
///     fn open(_setup: &mut Setup) -> Result<Self> {
///         Ok(Shout)
///     }
///     fn process_element(
///         &mut self,
///         line: &str,
///         ctx: &mut ProcessContext<'_, String>,
///     ) -> Result<()> {
///         ctx.collect(line.to_uppercase());
///         Ok(())
///     }
/// }
///
/// tidegate_sdk::export!(process: Shout);
/// # fn main() {}
/// ```
///
/// The kinds stand in the [table](crate#kinds-of-functions) of the crate. A kind with keys and one
/// keyed input may bring a [`KeySelector`](crate::function::KeySelector):
/// `export!(keyed_process: MyFunction, key_by: MyKey)`.
#[macro_export]
macro_rules! export {
    (keyed_process: $function:ty) => {
        $crate::__export!($crate::runtime::KeyedProcess<$function>);
    };
    (keyed_process: $function:ty, key_by: $key:ty) => {
        $crate::__export!($crate::runtime::KeyedBy<$crate::runtime::KeyedProcess<$function>, $key>);
    };
    (keyed_co_process: $function:ty) => {
        $crate::__export!($crate::runtime::KeyedCoProcess<$function>);
    };
    (process: $function:ty) => {
        $crate::__export!($crate::runtime::Process<$function>);
    };
    (rich_flat_map: $function:ty) => {
        $crate::__export!($crate::runtime::RichFlatMap<$function>);
    };
    (rich_flat_map: $function:ty, key_by: $key:ty) => {
        $crate::__export!($crate::runtime::KeyedBy<$crate::runtime::RichFlatMap<$function>, $key>);
    };
    (rich_map: $function:ty) => {
        $crate::__export!($crate::runtime::RichMap<$function>);
    };
    (rich_map: $function:ty, key_by: $key:ty) => {
        $crate::__export!($crate::runtime::KeyedBy<$crate::runtime::RichMap<$function>, $key>);
    };
    (rich_filter: $function:ty) => {
        $crate::__export!($crate::runtime::RichFilter<$function>);
    };
    (rich_filter: $function:ty, key_by: $key:ty) => {
        $crate::__export!($crate::runtime::KeyedBy<$crate::runtime::RichFilter<$function>, $key>);
    };
    (flat_map_with_state: $function:ty) => {
        $crate::__export!($crate::runtime::FlatMapWithState<$function>);
    };
    (flat_map_with_state: $function:ty, key_by: $key:ty) => {
        $crate::__export!(
            $crate::runtime::KeyedBy<$crate::runtime::FlatMapWithState<$function>, $key>
        );
    };
    (reduce: $function:ty) => {
        $crate::__export!($crate::runtime::Reduce<$function>);
    };
    (reduce: $function:ty, key_by: $key:ty) => {
        $crate::__export!($crate::runtime::KeyedBy<$crate::runtime::Reduce<$function>, $key>);
    };
    (aggregate: $function:ty) => {
        $crate::__export!($crate::runtime::RollingAggregate<$function>);
    };
    (aggregate: $function:ty, key_by: $key:ty) => {
        $crate::__export!(
            $crate::runtime::KeyedBy<$crate::runtime::RollingAggregate<$function>, $key>
        );
    };
    (keyed_broadcast_process: $function:ty) => {
        $crate::__export!($crate::runtime::KeyedBroadcastProcess<$function>);
    };
    (keyed_broadcast_process: $function:ty, key_by: $key:ty) => {
        $crate::__export!(
            $crate::runtime::KeyedBy<$crate::runtime::KeyedBroadcastProcess<$function>, $key>
        );
    };
    (broadcast_process: $function:ty) => {
        $crate::__export!($crate::runtime::BroadcastProcess<$function>);
    };
    (sink: $function:ty) => {
        $crate::__export!($crate::runtime::Sink<$function>);
    };
    (source: $function:ty) => {
        $crate::__export!($crate::runtime::Source<$function>);
    };
    (window: $function:ty) => {
        $crate::__export!($crate::runtime::Window<$function>);
    };
    (window: $function:ty, key_by: $key:ty) => {
        $crate::__export!($crate::runtime::KeyedBy<$crate::runtime::Window<$function>, $key>);
    };
}

/// The component of an adaptor: what [`export!`](crate::export) comes down to.
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($adaptor:ty) => {
        const _: () = $crate::runtime::check::<$adaptor>();

        /// The function for a program that calls it without a sandbox.
        #[cfg(not(target_family = "wasm"))]
        #[doc(hidden)]
        #[allow(dead_code)]
        pub fn native_function() -> $crate::runtime::Native {
            $crate::runtime::Native::of::<$adaptor>()
        }

        #[cfg(target_family = "wasm")]
        const _: () = {
            use $crate::bindings::exports::tidegate::function::function as contract;
            use $crate::bindings::exports::tidegate::function::migrations;

            struct Component;

            impl contract::Guest for Component {
                fn describe() -> contract::Declaration {
                    $crate::runtime::hook_panics();
                    $crate::runtime::describe::<$adaptor>()
                }
                fn open(
                    context: contract::OpenContext,
                ) -> ::core::result::Result<(), contract::Fault> {
                    $crate::runtime::hook_panics();
                    $crate::runtime::open::<$adaptor>(context)
                }
                fn process(
                    batch: contract::Batch,
                ) -> ::core::result::Result<contract::Effects, contract::Fault> {
                    $crate::runtime::process(batch)
                }
                fn fire(
                    timers: contract::TimerBatch,
                ) -> ::core::result::Result<contract::Effects, contract::Fault> {
                    $crate::runtime::fire(timers)
                }
                fn poll(
                    poll: contract::PollRequest,
                ) -> ::core::result::Result<contract::Polled, contract::Fault> {
                    $crate::runtime::poll(poll)
                }
                fn extract_keys(
                    _input: u32,
                    values: contract::Packed,
                ) -> ::core::result::Result<contract::Packed, contract::Fault> {
                    $crate::runtime::extract_keys::<$adaptor>(values)
                }
                fn close() {
                    $crate::runtime::close();
                }
            }

            impl migrations::Guest for Component {
                fn describe_migrations() -> ::std::vec::Vec<migrations::Migration> {
                    $crate::runtime::hook_panics();
                    $crate::runtime::describe_migrations::<$adaptor>()
                }
                fn migrate(
                    state: ::std::string::String,
                    from_version: u32,
                    keys: contract::Packed,
                    values: contract::Packed,
                ) -> ::core::result::Result<migrations::Migrated, contract::Fault> {
                    $crate::runtime::migrate(&state, from_version, &keys, &values)
                }
            }

    $crate::bindings::export_operator!(Component with_types_in $crate::bindings);
        };
    };
}

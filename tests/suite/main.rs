//! The promises of Tidegate, one file each. They run the real binary on real components, which
//! `cargo xtask test` builds before; `cargo xtask guests` builds them alone.

mod bad_checkpoints;
mod batches_are_invisible;
mod batches_of_operator_state;
mod checkpoint_commands;
mod cli;
mod control;
mod ctrl_c;
mod examples_match_expected;
mod faults;
mod function_faults;
mod function_kinds;
mod job_files;
mod kill;
mod large_state;
mod malformed_input;
mod new_function;
mod operator_state;
mod random_jobs;
mod real_data;
mod recovery;
mod savepoints;
mod simulation;
mod sockets;
mod swap;
mod swap_kill;
mod swap_matrix;
mod tidy;
mod ttl;
mod unseen_jobs;

//! Sealpost: arguments, environment, settings file; wires, nothing else.

mod command;
mod running;
mod settings;

use clap::Parser;
use std::process::ExitCode;

/// The C library's allocator keeps what one thread has freed for that thread: each
/// that once computed a password hash would hold its 19 MiB for good.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = command::Arguments::parse();
    match command::run(arguments) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("sealpost: {failure}");
            ExitCode::FAILURE
        }
    }
}

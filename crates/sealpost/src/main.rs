//! Sealpost: arguments, environment, settings file; wires, nothing else.

mod command;
mod running;
mod settings;

use clap::Parser;
use std::process::ExitCode;

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

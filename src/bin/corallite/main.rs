//! The command line tool: runs, inspects and checks models, lists Edge TPUs and tells why one does not work.
//!
//! Results go to stdout or to files, one line with the reason of a failure to stderr. Exit codes: 0 success, 1 failure,
//! 2 wrong usage. `RUST_LOG=debug` shows what the library logs.

mod args;
mod arrays;
mod batch;
mod bench;
mod check;
mod clock;
mod devices;
mod doctor;
mod failure;
mod help;
mod inspect;
mod output;
mod qat;
mod rules;
mod run;
mod session;
mod table;

use args::Command;
use corallite::delegate::VERBOSITY_VARIABLE;
use failure::Failure;
use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(target_os = "linux")]
    corallite::delegate::isolated::worker_main();
    // A defect of ours is told in one line, too.
    std::panic::set_hook(Box::new(|info| {
        output::complain(&format!("internal error, please report it: {info}"));
    }));
    let filter = match std::env::var_os(VERBOSITY_VARIABLE) {
        Some(_) => "error,libedgetpu=info",
        None => "error",
    };
    let filter = env_logger::Env::default().default_filter_or(filter);
    env_logger::Builder::from_env(filter)
        .format_timestamp(None)
        .init();
    match args::parse(lexopt::Parser::from_env()).and_then(execute) {
        Ok(code) => code,
        Err(failure) => {
            output::complain(&failure.to_string());
            ExitCode::from(failure.exit_code())
        }
    }
}

fn execute(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Print(text) => output::print(&text)?,
        Command::Run(options) => run::run(&options)?,
        Command::Bench(options) => bench::bench(&options)?,
        Command::Inspect(options) => inspect::inspect(&options)?,
        Command::Devices(options) => devices::devices(&options)?,
        Command::Doctor(options) => {
            if !doctor::doctor(&options)? {
                return Ok(ExitCode::FAILURE);
            }
        }
        Command::Qat(command) => return qat::execute(&command),
        Command::Check(options) => {
            if !check::check(&options.model, options.json)? {
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

//! The `paddock` program: composition root and command line.

mod cli;
mod config;
mod serve;
mod tasks;
mod up;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    // The one place that chooses a cryptography provider: the HTTP clients have none of their own.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("paddock: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let json = cli.json;
    match runtime.block_on(cli::dispatch(cli)) {
        Ok(code) => code,
        Err(error) => cli::report(&error, json),
    }
}

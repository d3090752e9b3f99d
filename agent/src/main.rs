//! The `weir` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = weir::ledger::answer_probe(std::env::args_os()) {
        return code;
    }
    weir::cli::main(weir::daemon::run)
}

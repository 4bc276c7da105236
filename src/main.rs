//! The `lazaret` binary: allocator and exit code. Everything else is the library.

use std::process::ExitCode;

/// Media bodies are many short-lived buffers of 64 KiB on several threads; glibc's allocator keeps them, and so the
/// process grows with its busiest hour.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    lazaret::cli::main()
}

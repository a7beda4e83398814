//! The `pydebug` binary: allocator, arguments, exit code.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    pydebug::cli::main()
}

//! The `pydebug` binary: allocator, arguments, exit code.

#[global_allocator]
static ALLOCATOR: pydebug::sys::Allocator = pydebug::sys::Allocator;

fn main() -> std::process::ExitCode {
    pydebug::sys::refuse_huge_pages();
    pydebug::cli::main()
}

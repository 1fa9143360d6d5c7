//! The program `taskhub`.

fn main() -> std::process::ExitCode {
    taskhub_server::cli::main()
}

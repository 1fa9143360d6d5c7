//! `cargo xtask bench`: measures this hub and its peers side by side; builds the peers itself.

use crate::steps::{Outcome, Step, run as run_steps};

pub(crate) fn run(arguments: &[String]) -> Outcome {
    let advice =
        "see `cargo xtask bench --help`; the peers need pkg-config, libssl-dev, python3-venv";
    let line = "cargo run --release --quiet --manifest-path bench/Cargo.toml --";
    run_steps("cargo xtask bench", &[Step::new(line, advice).with_words(arguments)])
}

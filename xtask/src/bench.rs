//! `cargo xtask bench`: measures this hub and its peers side by side; builds the peers itself.

use crate::setup;
use crate::steps::{Outcome, Step, run as run_steps};

pub(crate) fn run(arguments: &[String]) -> Outcome {
    setup::peers()?;
    if arguments.iter().any(|argument| argument == "--postgres") {
        setup::postgres()?;
    }
    let advice = "see `cargo xtask bench --help`; what a system needs comes from the network";
    let line = "cargo run --release --quiet --manifest-path bench/Cargo.toml --";
    run_steps("cargo xtask bench", &[Step::new(line, advice).with_words(arguments)])
}

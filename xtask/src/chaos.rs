//! `cargo xtask chaos`: a hub of real processes under load, in trouble for as long as one likes.

use crate::setup;
use crate::steps::{Outcome, Step, run as run_steps};

pub(crate) fn run(arguments: &[String]) -> Outcome {
    setup::run()?;
    let line = "cargo run --release --quiet --package chaos -- run";
    let advice = "what is wrong, the seed, and the folder with all logs and ledgers are above";
    run_steps("cargo xtask chaos", &[Step::new(line, advice).with_words(arguments)])
}

//! `cargo xtask sim`: many seeds, each a whole cluster, against the promises; or one, told aloud.

use crate::steps::{Outcome, Step, run as run_steps};

pub(crate) fn run(arguments: &[String]) -> Outcome {
    let line = "cargo run --release --quiet --package taskhub-sim --bin sim --";
    let advice = "the promise, the seed and a shortened workload are above; with \
                  `--seed N --trace` that seed tells its story";
    run_steps("cargo xtask sim", &[Step::new(line, advice).with_words(arguments)])
}

//! `cargo xtask fix`: everything a machine can correct, corrected.

use crate::steps::{Outcome, Step, run as run_steps};

pub(crate) fn run() -> Outcome {
    let clippy = "cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged";
    let steps = [
        Step::new(clippy, "the code has to compile before it can be corrected"),
        Step::new("cargo fmt", "rustfmt says above which file it could not read"),
    ];
    run_steps("cargo xtask fix", &steps)
}

//! `cargo xtask deny`: the rules of deny.toml, checked over every dependency.

use crate::steps::{Outcome, Step, run as run_steps, succeeds};

pub(crate) fn run() -> Outcome {
    if !succeeds("cargo deny --version") {
        return Err("cargo-deny is missing: cargo install --locked cargo-deny".to_owned());
    }
    let advice = "replace the dependency named above, or allow it in deny.toml with the reason; \
                  the advisories are fetched, so this needs the network";
    run_steps("cargo xtask deny", &[Step::new("cargo deny check", advice)])
}

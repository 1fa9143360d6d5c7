//! `cargo xtask test`: every check a change has to pass, on any machine.

use crate::steps::{Outcome, Step, run as run_steps};
use crate::{sdk, setup};

pub(crate) fn run() -> Outcome {
    setup::run()?;
    let checked = run_steps("cargo xtask test", &checks())?;
    let driven = sdk::run()?;
    Ok(format!("{checked}\n{driven}"))
}

fn checks() -> [Step; 5] {
    // With the examples, as the features of dependencies are then those of the tests; without
    // them all dependencies would be checked once more.
    let doc = Step::new(
        "cargo doc --workspace --no-deps --lib --examples",
        "every warning above is an error; most are links to items that do not exist",
    );
    [
        Step::new("cargo fmt --check", "`cargo xtask fix` formats the code"),
        Step::new(
            "cargo clippy --workspace --all-targets -- -D warnings",
            "`cargo xtask fix` applies what clippy can apply by itself",
        ),
        Step::new(
            "cargo test --workspace",
            "the failing test is named above; run it alone with `cargo test -p CRATE NAME`",
        ),
        Step::new(
            // With the whole workspace chosen, its dependencies are those of the step before.
            "cargo test --workspace --features taskhub-sim/mutations --test mutations",
            "the simulator does not find the mistakes named above any more: a law went blind",
        ),
        doc.with_env("RUSTDOCFLAGS", "-D warnings"),
    ]
}

//! `cargo xtask fuzz`: coverage-guided fuzzing of what parses bytes, with the ordinary toolchain.

use crate::steps::{Outcome, Step, run as run_steps};

/// What `cargo fuzz` would pass, less the sanitizers: those need another toolchain.
const INSTRUMENT: &str = "--cfg fuzzing -Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Ccodegen-units=1 -Cdebug-assertions";

pub(crate) fn run(seconds: u32) -> Outcome {
    // With a target named, the flags are kept away from build scripts.
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let seconds = seconds.div_ceil(4);
    let words = [format!("--target={target}"), "--".into(), format!("-max_total_time={seconds}")];
    let advice = "the bytes that did it are in the file named above; it needs Linux and g++";
    let steps = ["codec", "wire", "triggers", "http"].map(|reader| {
        let line = "cargo run --release --quiet --manifest-path fuzz/Cargo.toml --bin";
        let line = format!("{line} {reader}");
        Step::new(&line, advice).with_words(&words).with_env("RUSTFLAGS", INSTRUMENT)
    });
    run_steps("cargo xtask fuzz", &steps)
}

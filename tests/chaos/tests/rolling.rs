//! An update of a cluster: one node after another is restarted, and nobody notices.

use std::time::Duration;

use chaos::{Options, Trouble};

#[test]
fn a_rolling_restart_loses_no_request() {
    let options = Options {
        program: env!("CARGO_BIN_EXE_chaos").into(),
        trouble: Trouble::Restarts(10.0),
        seed: 1,
        nodes: 3,
        clients: 16,
        patience: Duration::from_mins(1),
    };
    match chaos::run(&options) {
        Ok(seen) => println!("{seen}"),
        Err(wrong) => panic!("{wrong}"),
    }
}

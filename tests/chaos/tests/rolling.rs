//! An update of a cluster: one node after another is restarted, and nobody notices.

use chaos::{Options, Trouble};

#[test]
fn a_rolling_restart_loses_no_request() {
    let options = Options::small(env!("CARGO_BIN_EXE_chaos"), Trouble::Restarts(10.0));
    println!("{}", chaos::run(&options).unwrap_or_else(|wrong| panic!("{wrong}")));
}

//! Three nodes, each kind of trouble, about 40 seconds: nothing is lost, nothing counts twice.

use chaos::{Options, Trouble};

#[test]
fn a_hub_of_processes_keeps_its_promises_in_trouble() {
    let options = Options::small(env!("CARGO_BIN_EXE_chaos"), Trouble::Each);
    println!("{}", chaos::run(&options).unwrap_or_else(|wrong| panic!("{wrong}")));
}

//! Three nodes, each kind of trouble, about 40 seconds: nothing is lost, nothing counts twice.

use std::time::Duration;

use chaos::{Options, Trouble};

#[test]
fn a_hub_of_processes_keeps_its_promises_in_trouble() {
    let options = Options {
        program: env!("CARGO_BIN_EXE_chaos").into(),
        trouble: Trouble::Each,
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

//! Three nodes, a minute of trouble: nothing is lost, nothing counts twice.

use chaos::Options;

#[test]
fn a_hub_of_processes_keeps_its_promises_in_trouble() {
    let options = Options {
        program: env!("CARGO_BIN_EXE_chaos").into(),
        seconds: 40.0,
        seed: 1,
        nodes: 3,
        clients: 16,
        only_restarts: false,
    };
    match chaos::run(&options) {
        Ok(seen) => println!("{seen}"),
        Err(wrong) => panic!("{wrong}"),
    }
}

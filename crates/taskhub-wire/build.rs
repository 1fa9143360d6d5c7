//! Compiles the protocol, without `protoc`, and keeps its descriptors for reflection.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(["service.proto"], ["proto"])?;
    let file = PathBuf::from(env::var("OUT_DIR")?).join("descriptors.bin");
    fs::write(file, descriptors.encode_to_vec())?;
    // Apart, so that the protocol stays what the SDKs know.
    let all = protox::compile(["service.proto", "results.proto"], ["proto"])?;
    // The order of a map is seen by those who compare bytes.
    tonic_prost_build::configure().btree_map(".").compile_fds(all)?;
    let others = protox::compile(["cluster.proto", "keys.proto"], ["proto"])?;
    tonic_prost_build::configure().compile_fds(others)?;
    Ok(())
}

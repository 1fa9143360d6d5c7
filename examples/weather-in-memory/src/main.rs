//! The weather API as a map of one-shot channels.
fn main() {}

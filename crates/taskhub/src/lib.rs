//! A durable task hub for Rust programs.

pub mod trigger;

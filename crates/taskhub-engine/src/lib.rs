//! A running node: what turns the core's decisions into threads, disks and answers.

pub mod store;

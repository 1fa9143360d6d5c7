//! The patterns of durable orchestrations, one file each, with its test.
//!
//! | pattern | what it is for |
//! |---|---|
//! | [`chaining`] | one step after another |
//! | [`fan_out`] | many steps at a time, and one result of them all |
//! | [`async_http`] | work that takes longer than a request: 202, and a place to ask |
//! | [`monitor`] | looking at something until it is as it should be |
//! | [`approval`] | waiting for a person, and for the next one when nobody answers |
//! | [`aggregator`] | adding up what comes from many sides, and reporting now and then |
//! | [`actor`] | many small objects that do one thing at a time |
//! | [`saga`] | undoing what was done when a later step fails |

pub mod actor;
pub mod aggregator;
pub mod approval;
pub mod async_http;
pub mod chaining;
pub mod fan_out;
pub mod monitor;
pub mod saga;

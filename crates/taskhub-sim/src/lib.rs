//! One seed, one whole cluster: the simulator and the laws that every store must keep.

#[expect(clippy::missing_panics_doc, reason = "a law that is broken panics")]
pub mod conformance;

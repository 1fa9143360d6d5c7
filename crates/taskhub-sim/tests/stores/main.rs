//! The stores of one process keep every law of the stores, and a folder stands what is done to it.

mod embedded;
mod files;
mod lists;
mod memory;

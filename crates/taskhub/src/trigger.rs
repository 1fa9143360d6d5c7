//! Starts work because something happened outside: a time came, or a file arrived.

mod field;
mod ncrontab;
mod pattern;

pub use ncrontab::{Ncrontab, ScheduleError};
pub use pattern::{Captures, Pattern, PatternError};

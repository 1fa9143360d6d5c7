//! Starts work because something happened outside: a time came, or a file arrived.

mod field;
mod ncrontab;

pub use ncrontab::{Ncrontab, ScheduleError};

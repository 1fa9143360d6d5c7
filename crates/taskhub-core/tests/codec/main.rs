//! The stored encoding: what was written once is read for ever.

mod bytes;
mod stored;

//! A partition alone, handed inputs by tests: what it decides, keeps and forgets.

mod ahead;
mod bench;
mod entities;
mod failures;
mod found;
mod given_up;
mod kept;
mod large;
mod panics;
mod parked;
mod rewind;
mod rewind_children;
mod rewind_elsewhere;
mod unread;

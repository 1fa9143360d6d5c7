//! The store in a folder loses nothing that it acknowledged: not by `kill -9`, not by a power
//! cut, not by a disk that takes no more.

mod kill;
mod power;
mod workload;

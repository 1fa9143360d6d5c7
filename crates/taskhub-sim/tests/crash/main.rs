//! The store in a folder loses nothing that it acknowledged: not by `kill -9`, not by a power
//! cut, not by a disk that fails or takes no more.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod faulty;
mod kill;
mod power;
mod workload;

//! The works of the benchmark, and what a system implements to be measured by them.
//!
//! A system runs each work in a process of its own. The benchmark starts that process with an
//! [`Order`] as its argument, and reads [`Figures`] from the last line it prints.
mod callers;
mod child;
mod http;
mod load;
mod order;
mod process;
mod system;
mod work;

pub use callers::call;
pub use child::obey;
pub use http::{Answer, Connection};
pub use order::{Door, Figures, Order, Pace, Place, Task};
pub use system::{Api, Error, Holding, Job, Published, Result, Steps, System};

//! What most programs use: `use taskhub::prelude::*;`.

pub use futures::future::{join_all, try_join_all};

pub use crate::{
    ActivityContext, Client, Context, Event, External, Failure, Filter, InstanceRef, Result, Retry,
    RuntimeStatus, State, Timestamp, activity, handle, orchestration, testing::Run,
};

//! What most programs use: `use taskhub::prelude::*;`.

pub use futures::future::{join_all, try_join_all};

pub use crate::{
    ActivityContext, Client, Context, Event, External, Failure, InstanceRef, Result, Retry, State,
    Timestamp, activity, handle, orchestration, testing::Run,
};

//! An activity keeps something across an await that cannot change its thread.
use std::rc::Rc;
use taskhub::prelude::*;

async fn pause() {}

//~ cannot be sent between threads safely
#[activity]
async fn charge(amount: u64) -> Result<u64> {
    let shared = Rc::new(amount);
    pause().await;
    Ok(*shared)
}

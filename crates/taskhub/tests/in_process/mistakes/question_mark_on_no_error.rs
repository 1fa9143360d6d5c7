//! `?` stands behind what fails with something that is no error.
use taskhub::prelude::*;

fn check(amount: u64) -> Result<u64, String> {
    if amount > 0 { Ok(amount) } else { Err("nothing to pay".to_owned()) }
}

#[activity]
async fn charge(amount: u64) -> Result<u64> {
    //~ `String: std::error::Error` is not satisfied
    Ok(check(amount)?)
}

//! The output of an activity cannot be stored.
use taskhub::prelude::*;

struct Receipt {
    number: u64,
}

#[activity]
//~ derive both: #[derive(serde::Serialize
async fn charge(amount: u64) -> Result<Receipt> {
    Ok(Receipt { number: amount })
}

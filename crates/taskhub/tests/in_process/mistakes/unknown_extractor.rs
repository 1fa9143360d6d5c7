//! An activity asks for a state that is not marked as one.
use taskhub::prelude::*;

#[derive(Clone)]
struct Shop;

#[activity]
//~ those before it are `State<T>`
async fn charge(shop: Shop, amount: u64) -> Result<u64> {
    drop(shop);
    Ok(amount)
}

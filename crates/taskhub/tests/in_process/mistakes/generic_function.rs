//! An activity is generic.
use taskhub::prelude::*;

#[activity]
//~ cannot be generic
async fn store<T: ToString>(value: T) -> Result<()> {
    drop(value);
    Ok(())
}

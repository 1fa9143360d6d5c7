//! An activity borrows its input.
use taskhub::prelude::*;

#[activity]
//~ take it by value
async fn greet(name: &str) -> Result<String> {
    Ok(format!("Hello, {name}"))
}

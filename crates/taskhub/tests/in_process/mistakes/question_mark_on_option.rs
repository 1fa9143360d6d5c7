//! `?` stands behind an option.
use taskhub::prelude::*;

#[orchestration]
async fn first(_ctx: Context, amounts: Vec<u64>) -> Result<u64> {
    //~ use `.ok_or(...)?`
    Ok(*amounts.first()?)
}

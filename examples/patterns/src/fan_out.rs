//! Fan-out and fan-in: many calls at a time, one result of them all.

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use taskhub::prelude::*;

/// The names of the files in a folder.
#[activity]
pub async fn list(folder: String) -> Result<Vec<String>> {
    Ok((1..=3).map(|file| format!("{folder}/{file}")).collect()) // .. look ..
}

/// Copies a file; says how many bytes it has. Ten at a time in each process.
#[activity(retry = Retry::exponential(5), limit = 10)]
pub async fn copy(file: String) -> Result<u64> {
    Ok(file.len() as u64) // .. copy it ..
}

/// Copies a folder, all files at once; gives the bytes of all.
#[orchestration]
pub async fn back_up(ctx: Context, folder: String) -> Result<u64> {
    let files = ctx.call(list, folder).await?;
    let copies = files.into_iter().map(|file| ctx.call(copy, file));
    Ok(try_join_all(copies).await?.into_iter().sum())
}

/// The same, with so many calls out at a time.
#[orchestration]
pub async fn back_up_gently(ctx: Context, (folder, at_once): (String, usize)) -> Result<u64> {
    let files = ctx.call(list, folder).await?;
    let copies = stream::iter(files.into_iter().map(|file| ctx.call(copy, file)));
    copies.buffer_unordered(at_once).try_fold(0, async |sum, bytes| Ok(sum + bytes)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> Vec<String> {
        ["a", "b", "c"].map(str::to_owned).into()
    }

    #[test]
    fn the_results_are_added_up_in_whatever_order_they_come() {
        let mut run = Run::of(back_up).input("docs".to_owned());
        run.expect(list).returns(files());
        assert_eq!(run.open_calls().len(), 3);
        for (file, bytes) in [("c", 1), ("a", 10), ("b", 100)] {
            run.expect(copy).given(file.to_owned()).returns(bytes);
        }
        assert_eq!(run.output(), Ok(111));
    }

    #[test]
    fn one_failure_fails_the_whole_and_gives_up_the_rest() {
        let mut run = Run::of(back_up).input("docs".to_owned());
        run.expect(list).returns(files());
        run.expect(copy).given("b".to_owned()).fails(Failure::terminal("unreadable"));
        assert_eq!(run.output().unwrap_err().message(), "unreadable");
        assert!(run.open_calls().is_empty());
    }

    #[test]
    fn a_call_begins_when_another_one_ends() {
        let mut run = Run::of(back_up_gently).input(("docs".to_owned(), 2));
        run.expect(list).returns(files());
        assert_eq!(run.open_calls().len(), 2);
        run.expect(copy).given("b".to_owned()).returns(100);
        run.expect(copy).given("c".to_owned()).returns(1);
        run.expect(copy).given("a".to_owned()).returns(10);
        assert_eq!(run.output(), Ok(111));
    }
}

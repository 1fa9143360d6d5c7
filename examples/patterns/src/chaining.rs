//! Chaining: each step takes what the one before it gave.

use taskhub::prelude::*;

/// Reads the text on a scanned page.
#[activity(retry = Retry::exponential(3))]
pub async fn recognise(page: String) -> Result<String> {
    Ok(page.to_lowercase()) // .. ask the service that reads ..
}

/// Translates a text.
#[activity(retry = Retry::exponential(3))]
pub async fn translate(text: String) -> Result<String> {
    Ok(text.replace("hallo", "hello")) // .. ask the service that translates ..
}

/// Files a text away; says where.
#[activity]
pub async fn file(text: String) -> Result<String> {
    Ok(format!("archive/{}.txt", text.len())) // .. write it ..
}

/// A scanned page becomes a translated text in the archive. After a crash it goes on with the step
/// that had no result.
#[orchestration]
pub async fn digest(ctx: Context, page: String) -> Result<String> {
    let text = ctx.call(recognise, page).await?;
    let translated = ctx.call(translate, text).await?;
    ctx.call(file, translated).await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_step_takes_the_result_of_the_one_before() {
        let mut run = Run::of(digest).input("HALLO".to_owned());
        run.expect(recognise).given("HALLO".to_owned()).returns("hallo".to_owned());
        run.expect(translate).given("hallo".to_owned()).returns("hello".to_owned());
        run.expect(file).given("hello".to_owned()).returns("archive/1.txt".to_owned());
        assert_eq!(run.output(), Ok("archive/1.txt".to_owned()));
    }

    #[test]
    fn a_step_that_fails_is_tried_again_and_not_those_before_it() {
        let mut run = Run::of(digest).input("HALLO".to_owned());
        run.expect(recognise).returns("hallo".to_owned());
        run.expect(translate).fails(Failure::new("Busy", "come back later"));
        run.advance(Duration::from_secs(1));
        run.expect(translate).returns("hello".to_owned());
        assert_eq!(run.expect(file).input(), "hello");
    }
}

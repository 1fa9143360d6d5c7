//! Approval by a person: asked, reminded, and passed on to the next one when nobody answers.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use taskhub::prelude::*;

/// How long somebody is given before he is reminded, and again before the next one is asked.
pub const PATIENCE: Duration = Duration::from_hours(24);

/// The answer, raised by whoever received it.
pub const DECIDED: Event<Decision> = Event::new("decided");

/// What somebody decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Who decided.
    pub by: String,
    /// Whether he agrees.
    pub agreed: bool,
}

/// A request, and who may decide it, in the order in which they are asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Request {
    /// What is asked for.
    pub what: String,
    /// Who may decide.
    pub deciders: Vec<String>,
}

/// Sends somebody a message.
#[activity(retry = Retry::exponential(5))]
pub async fn tell((whom, message): (String, String)) -> Result<()> {
    println!("to {whom}: {message}"); // .. send a mail with a link that raises the event ..
    Ok(())
}

/// Asks one after the other. The first answer counts, whoever gives it; none at all is a no.
#[orchestration]
pub async fn approval(ctx: Context, request: Request) -> Result<Option<Decision>> {
    for decider in request.deciders {
        for message in ["please decide on", "a reminder: please decide on"] {
            let message = format!("{message} {}", request.what);
            ctx.call(tell, (decider.clone(), message)).await?;
            match ctx.event(DECIDED).timeout(PATIENCE).await {
                Err(failure) if failure.is_timeout() => {}
                decision => return decision.map(Some),
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> Run<approval> {
        let deciders = ["Ada", "Grace"].map(str::to_owned).into();
        Run::of(approval).input(Request { what: "a new lathe".to_owned(), deciders })
    }

    #[track_caller]
    fn told(run: &mut Run<approval>, whom: &str, message: &str) {
        let call = run.expect(tell);
        assert_eq!(call.input(), (whom.to_owned(), format!("{message} a new lathe")));
        call.returns(());
    }

    fn yes(by: &str) -> Decision {
        Decision { by: by.to_owned(), agreed: true }
    }

    #[test]
    fn the_first_answer_counts() {
        let mut run = run();
        told(&mut run, "Ada", "please decide on");
        run.raise(DECIDED, yes("Ada"));
        assert_eq!(run.output(), Ok(Some(yes("Ada"))));
    }

    #[test]
    fn who_does_not_answer_is_reminded_and_then_passed_over() {
        let mut run = run();
        told(&mut run, "Ada", "please decide on");
        run.advance(PATIENCE);
        told(&mut run, "Ada", "a reminder: please decide on");
        run.advance(PATIENCE);
        told(&mut run, "Grace", "please decide on");
        run.raise(DECIDED, yes("Grace"));
        assert_eq!(run.output(), Ok(Some(yes("Grace"))));
    }

    #[test]
    fn an_answer_that_comes_while_another_one_is_asked_still_counts() {
        let mut run = run();
        told(&mut run, "Ada", "please decide on");
        run.advance(PATIENCE);
        run.raise(DECIDED, yes("Ada")); // while the reminder is on its way
        told(&mut run, "Ada", "a reminder: please decide on");
        assert_eq!(run.output(), Ok(Some(yes("Ada"))));
    }

    #[test]
    fn no_answer_at_all_is_a_no() {
        let mut run = run();
        for _ in 0..4 {
            run.expect(tell).returns(());
            run.advance(PATIENCE);
        }
        assert_eq!(run.output(), Ok(None));
    }
}

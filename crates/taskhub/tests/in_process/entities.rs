//! Entities on a whole hub in virtual time: called, signaled, locked, and seen from outside.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use taskhub::{
    Client, EntityFilter, External, HostBuilder, RegistryError, SignalError,
    prelude::*,
    testing::{TestHub, chaos},
};

/// Only a hang can reach it.
const LONG: Duration = Duration::from_hours(24);
/// Operations that nobody has.
const BORROW: External<i64, i64, handle::Operation> = External::operation("borrow");
const PAY_IN: External<i64, i64, handle::Operation> = External::operation("DEPOSIT");

#[derive(Debug, Clone)]
struct Rules {
    limit: i64,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Account {
    balance: i64,
}

#[entity]
impl Account {
    async fn deposit(&mut self, amount: i64) -> Result<i64> {
        self.balance += amount;
        Ok(self.balance)
    }

    /// Changes first and checks then: the failure takes it back.
    async fn withdraw(&mut self, State(rules): State<Rules>, amount: i64) -> Result<i64> {
        self.balance -= amount;
        if self.balance < -rules.limit {
            return Err(Failure::terminal("not enough money"));
        }
        Ok(self.balance)
    }

    async fn balance(&self) -> Result<i64> {
        Ok(self.balance)
    }

    async fn explode(&mut self) -> Result<()> {
        self.balance = 1_000_000;
        panic!("boom");
    }

    /// Sends money, then finds out whether it has any.
    async fn send(
        &mut self,
        ctx: EntityContext,
        State(rules): State<Rules>,
        (to, amount): (String, i64),
    ) -> Result<()> {
        ctx.entity::<Self>(to).signal(Self::deposit, amount)?;
        ctx.start_as(format!("note-{amount}"), note, amount)?;
        self.withdraw(State(rules), amount).await?;
        Ok(())
    }

    async fn close(&mut self, ctx: EntityContext) -> Result<String> {
        ctx.delete_state();
        Ok(format!("{} by {:?}", ctx.id(), ctx.caller().map(ToString::to_string)))
    }
}

#[orchestration]
async fn note(ctx: Context, amount: i64) -> Result<i64> {
    ctx.entity::<Account>("notes").call(Account::deposit, amount).await
}

#[orchestration]
async fn pay(ctx: Context, amounts: Vec<i64>) -> Result<i64> {
    let account = ctx.entity::<Account>("a");
    for amount in amounts {
        account.signal(Account::deposit, amount)?;
    }
    account.call(Account::balance, ()).await
}

fn bank() -> HostBuilder {
    Host::builder()
        .state(Rules { limit: 0 })
        .entity::<Account>()
        .orchestration(note)
        .orchestration(pay)
        .orchestration(transfer)
        .orchestration(errand)
}

async fn balance(hub: &Client, key: &str) -> Option<i64> {
    let state = hub.entity::<Account>(key).state().await;
    state.expect("it can be read").map(|account| account.balance)
}

/// What an orchestration does with entities, by name.
#[orchestration]
async fn errand(ctx: Context, what: String) -> Result<String> {
    let (a, b) = (ctx.entity::<Account>("a"), ctx.entity::<Account>("b"));
    let gave = match &*what {
        "overdraw" => a.call(Account::withdraw, 1_000).await?.to_string(),
        "explode" => format!("{:?}", a.call(Account::explode, ()).await?),
        "send" => format!("{:?}", a.call(Account::send, ("b".to_owned(), 10)).await?),
        "close" => a.call(Account::close, ()).await?,
        "delete" => format!("{:?}", a.delete().await?),
        "unknown" => a.call(BORROW, 5).await?.to_string(),
        "by name" => ctx.entity_by_name("aCCount", "a").call(PAY_IN, 5).await?.to_string(),
        "nobody" => ctx.entity_by_name("nobody", "a").call(PAY_IN, 5).await?.to_string(),
        "bad key" => ctx.entity::<Account>("\n").call(Account::balance, ()).await?.to_string(),
        "nested lock" => {
            let _held = ctx.lock(&a).await?;
            let _again = ctx.lock(&b).await?;
            String::new()
        }
        "signal a locked one" => {
            let _held = ctx.lock([&a, &b]).await?;
            format!("{:?}", a.signal(Account::deposit, 1)?)
        }
        "call another one" => {
            let _held = ctx.lock((&a, &b)).await?;
            ctx.entity::<Account>("c").call(Account::balance, ()).await?.to_string()
        }
        "call a child" => {
            let _held = ctx.lock(vec![a]).await?;
            ctx.call(note, 5).await?.to_string()
        }
        "lock nothing" => format!("{:?}", ctx.lock([(); 0].map(|()| a.clone())).await?),
        "one after another" => {
            let held = ctx.lock(&a).await?;
            a.call(Account::deposit, 1).await?;
            drop(held);
            ctx.call(note, 7).await?;
            let _held = ctx.lock([b, a.clone()]).await?;
            a.call(Account::deposit, 1).await?.to_string()
        }
        _ => return Err(Failure::terminal("what?")),
    };
    Ok(gave)
}

async fn run(hub: &Client, what: &str) -> Result<String, Failure> {
    let run = hub.start(errand, what.to_owned()).await.expect("it starts");
    let ended = run.ended(LONG).await.expect("it ends");
    ended.output::<String>().expect("it has ended")
}

/// A bank in which `a` has 5.
async fn opened() -> Client {
    let host = TestHub::new().open(bank()).expect("it opens");
    let run = host.client().start(pay, vec![1, 2, 2]).await.expect("it starts");
    assert_eq!(run.wait(LONG).await, Ok(5), "the call comes behind the signals");
    host.client().clone()
}

#[tokio::test(start_paused = true)]
async fn an_operation_is_asked_for_and_answers_with_the_types_of_its_method() {
    let host = TestHub::new().open(bank()).unwrap();
    let hub = host.client();
    let run = hub.start(pay, vec![5, 7]).await.unwrap();
    let paid: i64 = run.wait(LONG).await.unwrap();
    let state: Option<Account> = hub.entity("a").state().await.unwrap();
    assert_eq!((paid, state), (12, Some(Account { balance: 12 })));
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_failed_operation_leaves_nothing_behind() {
    let hub = opened().await;
    let failure = run(&hub, "overdraw").await.unwrap_err();
    assert_eq!(failure.message(), "not enough money");
    let failure = run(&hub, "explode").await.unwrap_err();
    assert!(failure.kind() == Failure::PANIC && failure.message().contains("boom"), "{failure}");
    run(&hub, "send").await.unwrap_err();
    assert_eq!(balance(&hub, "a").await, Some(5));
    assert_eq!(balance(&hub, "b").await, None);
    assert!(hub.instance("note-10").status().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_operation_signals_others_and_starts_orchestrations() {
    let hub = opened().await;
    hub.entity::<Account>("a").signal(Account::deposit, 5).await.unwrap();
    run(&hub, "send").await.unwrap();
    let noted = hub.instance("note-10").of(note).wait(LONG).await;
    assert_eq!(noted, Ok(10));
    assert_eq!((balance(&hub, "a").await, balance(&hub, "b").await), (Some(0), Some(10)));
}

#[tokio::test(start_paused = true)]
async fn a_state_is_deleted_from_within_and_from_without() {
    let hub = opened().await;
    let closed = run(&hub, "close").await.unwrap();
    assert!(closed.starts_with("@account@a by Some("), "{closed}");
    assert_eq!(hub.entity::<Account>("a").status().await, Ok(None));
    run(&hub, "by name").await.unwrap();
    run(&hub, "delete").await.unwrap();
    assert_eq!(balance(&hub, "a").await, None);
    hub.entity::<Account>("a").signal(Account::deposit, 1).await.unwrap();
    hub.entity::<Account>("a").delete().await.unwrap();
    tokio::time::sleep(LONG).await;
    assert_eq!(hub.entity::<Account>("a").status().await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_can_do_fails_for_callers_and_is_passed_over_for_signals() {
    let hub = opened().await;
    let failure = run(&hub, "unknown").await.unwrap_err();
    assert_eq!(failure.kind(), "UnknownOperation");
    assert!(failure.message().contains("no operation `borrow`"), "{failure}");
    assert_eq!(run(&hub, "nobody").await.unwrap_err().kind(), "EntityTaskNotFound");
    assert!(run(&hub, "bad key").await.unwrap_err().is_terminal());
    hub.entity::<Account>("a").signal(BORROW, 5).await.unwrap();
    assert_eq!(run(&hub, "by name").await, Ok("10".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn breaking_the_rules_of_a_critical_section_is_a_failure() {
    let hub = opened().await;
    for (what, advice) in [
        ("nested lock", "lock all its entities at once"),
        ("signal a locked one", "call it instead"),
        ("call another one", "lock it together with the others"),
        ("call a child", "before or after the section"),
        ("lock nothing", "name the entities"),
    ] {
        let failure = run(&hub, what).await.unwrap_err();
        assert_eq!(failure.kind(), Failure::CRITICAL_SECTION, "{what}");
        assert!(failure.message().contains(advice), "{failure}");
    }
    let status = hub.entity::<Account>("a").status().await.unwrap().expect("it is there");
    assert_eq!(status.locked_by, None);
    assert_eq!(run(&hub, "one after another").await, Ok("7".to_owned()));
}

/// Moves money between two accounts; the second one may refuse it.
#[orchestration]
async fn transfer(ctx: Context, (from, to, amount): (String, String, i64)) -> Result<bool> {
    let (from, to) = (ctx.entity::<Account>(from), ctx.entity::<Account>(to));
    let _both = ctx.lock([&from, &to]).await?;
    if from.call(Account::balance, ()).await? < amount {
        return Ok(false);
    }
    futures::try_join!(from.call(Account::withdraw, amount), to.call(Account::deposit, amount))?;
    Ok(true)
}

#[tokio::test(start_paused = true)]
async fn no_money_is_lost_between_two_accounts_wherever_the_process_dies() {
    let there = chaos(async |hub| {
        let host = hub.open(bank()).expect("it opens");
        let hub = host.client();
        hub.entity::<Account>("a").signal(Account::deposit, 10).await.unwrap();
        let mut runs = Vec::new();
        for (from, to) in [("a", "b"), ("b", "a"), ("b", "a"), ("a", "b")] {
            let input = (from.to_owned(), to.to_owned(), 10);
            runs.push(hub.start(transfer, input).await.unwrap());
        }
        for run in &runs {
            run.wait(LONG).await.unwrap();
        }
        for key in ["a", "b"] {
            let status = hub.entity::<Account>(key).status().await.unwrap();
            assert!(status.is_none_or(|it| it.locked_by.is_none() && it.backlog == 0), "{key}");
        }
        balance(hub, "a").await.unwrap_or(0) + balance(hub, "b").await.unwrap_or(0)
    });
    assert_eq!(there.await, 10);
}

#[tokio::test(start_paused = true)]
async fn a_signal_for_later_comes_at_its_time() {
    let hub = opened().await;
    let account = hub.entity::<Account>("a");
    let hour = Duration::from_hours(1);
    account.signal_at(hub.now() + hour, Account::deposit, 1).await.unwrap();
    tokio::time::sleep(hour.saturating_sub(Duration::from_secs(1))).await;
    let status = account.status().await.unwrap().expect("it is there");
    assert_eq!((status.backlog, balance(&hub, "a").await), (1, Some(5)));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(balance(&hub, "a").await, Some(6));
}

#[tokio::test(start_paused = true)]
async fn entities_are_listed_by_name_key_and_time() {
    let hub = opened().await;
    let (before, mut keys) = (hub.now(), Vec::new());
    tokio::time::sleep(LONG).await;
    for key in ["b1", "b2", "b3", "c"] {
        hub.entity::<Account>(key).signal(Account::deposit, 1).await.unwrap();
    }
    hub.entity::<Account>("later")
        .signal_at(hub.now() + LONG + LONG, Account::deposit, 1)
        .await
        .unwrap();
    tokio::time::sleep(LONG).await;
    let listed = async |filter: EntityFilter| {
        let page = hub.entities(filter).await.expect("it can be listed");
        page.entities.iter().map(|entity| entity.key().to_owned()).collect::<Vec<_>>()
    };
    let all = || EntityFilter::new().of::<Account>();
    assert_eq!(listed(all().key_prefix("b")).await, ["b1", "b2", "b3"]);
    assert_eq!(listed(all().modified_from(before + Duration::from_secs(1))).await.len(), 4);
    assert_eq!(listed(all().modified_before(before + Duration::from_secs(1))).await, ["a"]);
    assert_eq!(listed(all().with_transient()).await.len(), 6);
    assert_eq!(listed(EntityFilter::new().name("other")).await.len(), 0);
    let mut next = Some(all().limit(2));
    while let Some(filter) = next {
        let page = hub.entities(filter).await.unwrap();
        keys.extend(page.entities.iter().map(|entity| entity.key().to_owned()));
        next = page.next;
    }
    assert_eq!(keys, ["a", "b1", "b2", "b3", "c"]);
    let cleaned = hub.clean_entities().await.unwrap();
    assert_eq!((cleaned.removed, cleaned.released), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_state_that_cannot_be_read_fails_its_operations_and_stays() {
    #[derive(Default, Serialize, Deserialize)]
    struct Changed {
        currency: String,
    }

    #[entity(name = "Account")]
    impl Changed {
        async fn deposit(&mut self, currency: String) -> Result<()> {
            self.currency = currency;
            Ok(())
        }
    }

    let hub = TestHub::new();
    let host = hub.open(bank()).expect("it opens");
    host.client().start(pay, vec![5]).await.unwrap().wait(LONG).await.unwrap();
    host.stop().await;
    let host = hub.open(Host::builder().entity::<Changed>()).expect("it opens");
    let changed = host.client().entity::<Changed>("a");
    changed.signal(Changed::deposit, "EUR".to_owned()).await.unwrap();
    tokio::time::sleep(LONG).await;
    assert!(changed.state().await.is_err());
    assert_eq!(balance(host.client(), "a").await, Some(5));
}

#[tokio::test]
async fn an_entity_that_misses_a_state_is_refused_by_name() {
    let missing = taskhub::Registry::new().entity::<Account>().build().unwrap_err();
    assert!(
        matches!(missing, RegistryError::MissingState { activity, .. } if activity == "Account")
    );
    let twice = taskhub::Registry::new().entity::<Account>().entity::<Account>();
    assert_eq!(twice.build().unwrap_err(), RegistryError::Twice("Account"));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_is_refused() {
    let hub = opened().await;
    let bad = hub.entity::<Account>("x".repeat(300)).signal(Account::deposit, 1).await;
    assert!(matches!(bad, Err(SignalError::Hub(_))), "{bad:?}");
}

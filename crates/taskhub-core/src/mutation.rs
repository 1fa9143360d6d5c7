//! Deliberate mistakes, to show that the simulator would find them; never in a normal build.
//!
//! Without the feature `mutations` every hook is the constant `false`, and nothing is left of it.

/// A mistake that can be switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Mutation {
    /// The store no longer asks whether the writer still owns the partition.
    DropFence,
    /// Whoever says that an id is fresh is believed.
    BelieveFresh,
    /// What a turn adds to a history replaces it.
    RewriteHistory,
    /// A turn is written without the messages that it sends.
    SplitTurn,
    /// What a turn called before it panicked, or before it left its history, is kept.
    KeepHalfTurn,
    /// Answers leave before what they tell is durable.
    AnswerEarly,
    /// Activities start before their call is durable.
    DispatchEarly,
    /// A message that is delivered again is taken again.
    SkipDedupe,
    /// An event that nobody waits for yet is forgotten when the instance is read again.
    ForgetBuffered,
    /// A result counts though its call has one.
    TakeTwice,
    /// A result counts though it was dispatched by an earlier owner.
    TakeStale,
    /// Timers fire half a second early.
    FireEarly,
    /// A timer that fired stays open.
    FireTwice,
    /// One poll may take two completions.
    ReleaseTwo,
    /// A call is tried again though its time is over.
    RetryLate,
    /// The pauses between attempts do not grow.
    PauseAlike,
    /// Calls are matched with history by their place alone.
    MatchBlindly,
    /// Nobody tells those who wait that the instance has ended.
    ForgetWaiter,
    /// There is no bound on how many activities are out.
    Unbounded,
    /// A result may be as large as it likes.
    KeepLarge,
    /// Early events are kept for any number of instances.
    KeepForAll,
    /// Early events are forgotten half a second before their time.
    KeepBriefly,
    /// What is not durable may be dropped from memory.
    EvictUncommitted,
    /// The lane loses the second turn of a batch.
    LoseMiddle,
    /// Activities that found no room are forgotten.
    ForgetStarved,
    /// What code elsewhere called and did not wait for is forgotten with its end.
    ForgetOwed,
    /// What an instance shows is never written.
    NeverShow,
    /// Nobody looks for timers.
    ForgetTimer,
    /// A new owner does not look for work that was outstanding.
    ForgetBusy,
    /// A worker's answer counts for another turn than the one that it was given.
    TakeOtherTurn,
    /// What arrived during a turn elsewhere is lost when that goes on as a new execution.
    ForgetLater,
    /// Operations of a batch are performed again.
    PerformAgain,
    /// A later signal overtakes an earlier one.
    Overtake,
    /// The log does not say when what was asked for later took its place in line.
    ForgetPlace,
    /// Whoever asks a locked entity has his operation performed.
    PerformLocked,
    /// Who ends keeps what he has locked.
    KeepLocks,
    /// An unlocking does not go on to the next entity.
    UnlockFirst,
    /// Whatever has its time is looked at twenty seconds late.
    FireLate,
    /// A start that joins begins anew what has ended.
    JoinAnew,
    /// Delayed operations are performed half a second early.
    PerformEarly,
    /// A partition is given away before its last commit is durable.
    LeaveEarly,
    /// A message goes to another lane before it is durable.
    PassEarly,
    /// A message that comes by itself overtakes those that stand in the inbox.
    PassBy,
    /// A node that has too much keeps it.
    KeepShare,
    /// Nodes share with those that they cannot ask.
    ShareBlindly,
    /// Who is rewound does again what was done.
    RewindAll,
    /// Who is rewound does not tell the children that failed.
    RewindAlone,
    /// A new execution forgets the children of earlier ones.
    Disinherit,
    /// A new execution has no labels.
    DropTags,
    /// A restart has no input.
    RestartBare,
    /// An event that code sends arrives twice.
    SendTwice,
    /// A worker is given more than it has room for.
    OverCredit,
    /// A worker that leaves is given more.
    GiveLeaving,
    /// Work goes to whoever has its name, in whatever version.
    GiveAnyVersion,
    /// Work counts for each worker that has done it.
    CountAgain,
    /// What a lost worker had is given to nobody else.
    ForgetLost,
    /// What takes too long is given to nobody else.
    ForgetSlow,
    /// Work that takes every worker down is given out again for ever.
    PoisonForever,
    /// An entity without a state, of which nobody wants anything, stays.
    KeepEmpty,
    /// A clean-up gives back every lock, whoever holds it.
    FreeAll,
    /// A clean-up gives back no lock.
    KeepOrphans,
    /// A purge forgets parents before their children.
    PurgeOldest,
    /// A purge forgets only the children of the latest execution.
    PurgeLatest,
    /// A purge forgets whoever has the id of a child.
    PurgeStrangers,
    /// What comes for an instance whose history cannot be read is forgotten.
    ForgetUnread,
    /// Who is suspended cannot be resumed while too much waits for it, nor a lock be given back.
    RefuseRelief,
    /// A call is tried again whatever its policy says of such failures.
    RetryUnwanted,
    /// Whoever comes back keeps nothing of what it has in hand.
    ForgetHands,
    /// Whoever comes back keeps what nobody waits for.
    AdoptAll,
    /// Another instance is parked than the one whose turn the store does not take.
    ParkOther,
    /// An instance whose turn the store does not take is not parked.
    ForgetGiant,
    /// Such an instance is tried again whenever it is read.
    TryGiants,
    /// A turn that was run ahead counts though something came before the result that it took.
    TakeAheadOfOthers,
    /// A turn that was run ahead counts behind another turn than the one it was run behind.
    TakeAnyAhead,
}

impl Mutation {
    /// All of them, each with the number of the promise that it breaks first of all.
    pub const ALL: [(Self, u8); 74] = [
        (Self::DropFence, 1),
        (Self::BelieveFresh, 2),
        (Self::RewriteHistory, 2),
        (Self::EvictUncommitted, 2),
        (Self::SplitTurn, 3),
        (Self::KeepHalfTurn, 3),
        (Self::ForgetUnread, 3),
        (Self::NeverShow, 3),
        (Self::AnswerEarly, 4),
        (Self::DispatchEarly, 4),
        (Self::SkipDedupe, 5),
        (Self::LoseMiddle, 5),
        (Self::ForgetLater, 5),
        (Self::LeaveEarly, 5),
        (Self::PassEarly, 5),
        (Self::PassBy, 5),
        (Self::SendTwice, 5),
        (Self::JoinAnew, 5),
        (Self::Disinherit, 5),
        (Self::PurgeOldest, 5),
        (Self::PurgeLatest, 5),
        (Self::PurgeStrangers, 5),
        (Self::TakeTwice, 6),
        (Self::TakeStale, 6),
        (Self::TakeOtherTurn, 6),
        (Self::PerformAgain, 6),
        (Self::Overtake, 6),
        (Self::ForgetPlace, 6),
        (Self::PerformLocked, 6),
        (Self::KeepLocks, 6),
        (Self::UnlockFirst, 6),
        (Self::FreeAll, 6),
        (Self::KeepOrphans, 6),
        (Self::RewindAll, 6),
        (Self::CountAgain, 6),
        (Self::ForgetHands, 6),
        (Self::AdoptAll, 6),
        (Self::FireEarly, 7),
        (Self::FireTwice, 7),
        (Self::FireLate, 7),
        (Self::PerformEarly, 7),
        (Self::ForgetBuffered, 8),
        (Self::ReleaseTwo, 8),
        (Self::MatchBlindly, 8),
        (Self::RetryLate, 8),
        (Self::RetryUnwanted, 8),
        (Self::ParkOther, 8),
        (Self::PauseAlike, 8),
        (Self::DropTags, 8),
        (Self::RestartBare, 8),
        (Self::GiveAnyVersion, 8),
        (Self::TakeAheadOfOthers, 8),
        (Self::TakeAnyAhead, 8),
        (Self::ForgetWaiter, 9),
        (Self::Unbounded, 10),
        (Self::KeepLarge, 10),
        (Self::KeepForAll, 10),
        (Self::KeepBriefly, 10),
        (Self::OverCredit, 10),
        (Self::ForgetStarved, 11),
        (Self::ForgetOwed, 11),
        (Self::ForgetTimer, 11),
        (Self::ForgetBusy, 11),
        (Self::KeepShare, 11),
        (Self::ShareBlindly, 11),
        (Self::KeepEmpty, 11),
        (Self::RefuseRelief, 11),
        (Self::ForgetGiant, 11),
        (Self::TryGiants, 11),
        (Self::RewindAlone, 11),
        (Self::GiveLeaving, 11),
        (Self::ForgetLost, 11),
        (Self::ForgetSlow, 11),
        (Self::PoisonForever, 11),
    ];
}

#[cfg(feature = "mutations")]
thread_local! {
    static CHOSEN: std::cell::Cell<Option<Mutation>> = const { std::cell::Cell::new(None) };
}

/// Switches a mistake on for this thread, or all of them off.
#[cfg(feature = "mutations")]
pub fn mutate(mutation: Option<Mutation>) {
    CHOSEN.with(|chosen| chosen.set(mutation));
}

/// Whether this mistake is switched on.
#[cfg(feature = "mutations")]
#[must_use]
pub fn mutated(mutation: Mutation) -> bool {
    CHOSEN.with(|chosen| chosen.get() == Some(mutation))
}

/// Whether this mistake is switched on: never.
#[cfg(not(feature = "mutations"))]
#[inline]
#[must_use]
pub const fn mutated(_: Mutation) -> bool {
    false
}

//! Draws the workers elsewhere: what each serves, and how much at once.

use std::time::Duration;

use taskhub_core::Text;
use taskhub_engine::{Names, Patience, Serves, WorkerOptions};

use crate::{
    crew::{FAR_ACTIVITIES, worker},
    program::{NEXT, Program},
    random::Random,
};

/// How patient the nodes are.
pub(super) fn draw_patience(random: &mut Random) -> Patience {
    let mut seconds = |max: u64| Duration::from_secs(1 + random.below(max));
    let (turn, activity) = (seconds(10), seconds(20));
    let losses_max = if random.chance(500) { 1 + random.below(3) } else { 20 };
    Patience { turn, activity, losses_max: u32::try_from(losses_max).unwrap_or(20) }
}

/// The workers of a run; in some there are none. One serves whatever there is.
pub(super) fn draw_workers(random: &mut Random, programs: &[Program]) -> Vec<WorkerOptions> {
    if random.chance(400) {
        return Vec::new();
    }
    let room = |random: &mut Random| 1 + random.index(3);
    let mut workers = vec![worker(room(random))];
    for _ in 0..random.index(4) {
        let mut one = worker(room(random));
        one.keeps_code = random.chance(500);
        if random.chance(700) {
            let orchestrations = programs.iter().map(|it| it.name.clone()).collect::<Vec<_>>();
            one.serves = Serves {
                activities: draw_names(random, &FAR_ACTIVITIES.map(Text::from), &[]),
                orchestrations: draw_names(random, &orchestrations, &["", NEXT]),
                entities: draw_names(random, &["cell".into()], &[]),
            };
        }
        workers.push(one);
    }
    workers
}

/// Some of these names, in any case, each in some of these versions or in all.
fn draw_names(random: &mut Random, names: &[Text], versions: &[&str]) -> Names {
    let mut only = Vec::new();
    for name in names {
        if random.chance(600) {
            let name = if random.chance(200) { name.to_uppercase().into() } else { name.clone() };
            let versions = versions.iter().filter(|_| random.chance(500));
            only.push((name, versions.map(|it| Text::from(*it)).collect()));
        }
    }
    Names::Only(only)
}

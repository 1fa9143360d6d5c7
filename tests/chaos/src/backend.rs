//! The world that weather requests go out to: it reads the journals, and replies to each of them,
//! each time with another text.

use std::{
    collections::HashMap,
    fs::{File, read_dir},
    io::{Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::sleep;

use crate::{
    chance::Chance,
    clients::{Shared, anywhere},
    journal::{self, Ran},
    ledger::Line,
};

/// How often it looks for new requests.
const LOOK: Duration = Duration::from_millis(20);

/// How long it rests before it tries a reply again.
const REST: Duration = Duration::from_millis(100);

/// Replies for ever; `open` counts what it still has to reply to.
pub(crate) async fn run(shared: Arc<Shared>, folder: PathBuf, open: Arc<AtomicUsize>) {
    let mut read = HashMap::new();
    for number in 0.. {
        for ran in new_lines(&folder, &mut read) {
            if ran.activity == "publish" {
                open.fetch_add(1, Ordering::SeqCst);
                let chance = Chance::new(shared.seed, 1_000_000 + number);
                let replying = reply(shared.clone(), ran, chance);
                let open = open.clone();
                tokio::spawn(async move {
                    replying.await;
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        }
        sleep(LOOK).await;
    }
}

/// What stands in the journals since the last look.
fn new_lines(folder: &Path, read: &mut HashMap<PathBuf, u64>) -> Vec<Ran> {
    let mut lines = Vec::new();
    for entry in read_dir(folder).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with("journal-") {
            continue;
        }
        let place = read.entry(entry.path()).or_default();
        let mut text = String::new();
        let rest = File::open(entry.path()).and_then(|mut file| {
            file.seek(SeekFrom::Start(*place))?;
            file.read_to_string(&mut text)
        });
        if rest.is_ok_and(|read| read > 0) {
            // A line that is not whole yet is read again.
            let whole = text.rfind('\n').map_or(0, |end| end + 1);
            *place += u64::try_from(whole).unwrap_or_default();
            lines.extend(text[..whole].lines().filter_map(journal::line));
        }
    }
    lines
}

async fn reply(shared: Arc<Shared>, ran: Ran, mut chance: Chance) {
    sleep(chance.millis(0, 400)).await;
    let Ran { instance, mark, .. } = ran;
    for number in 1.. {
        let text = format!("the weather for {instance}: {mark} {number}");
        shared.ledger.note(&Line::Replies { instance: instance.clone(), text: text.clone() });
        let path = format!("reply/{instance}");
        let answer = anywhere(&shared, &mut chance, &path, None, &text).await;
        match answer.map(|answer| (answer.status, answer.text)) {
            Some((200, _)) => return shared.ledger.note(&Line::Replied { instance, text }),
            // Another reply was first.
            Some((409, _)) => return,
            Some((status, text)) if status != 503 => {
                let orchestration = "reply".to_owned();
                let wrong = Line::Wrong { orchestration, key: instance, status, text };
                return shared.ledger.note(&wrong);
            }
            _ => sleep(REST).await,
        }
        if shared.giving_up.load(Ordering::Relaxed) {
            return;
        }
    }
}

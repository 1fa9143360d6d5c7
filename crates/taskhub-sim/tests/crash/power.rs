//! Power cuts: of what was written since the last sync, any sector may be there or not.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::workload::{Chance, check, check_file, commit, committed, open};

/// What a disk writes whole.
const SECTOR_BYTES: usize = 512;

/// The two files of a hub as they were at one moment.
#[derive(Clone)]
struct Files {
    db: Vec<u8>,
    log: Vec<u8>,
}

impl Files {
    /// The database first: what is moved from the log into it stays in the log meanwhile.
    fn of(folder: &Path) -> Self {
        let db = fs::read(folder.join("hub.db")).expect("the disk works");
        Self { db, log: fs::read(folder.join("hub.db-wal")).expect("the disk works") }
    }

    fn put(&self, folder: &Path) {
        fs::write(folder.join("hub.db"), &self.db).expect("the disk works");
        fs::write(folder.join("hub.db-wal"), &self.log).expect("the disk works");
    }

    /// The random numbers in the log's head, new whenever the log begins anew.
    fn salt(&self) -> Option<&[u8]> {
        self.log.get(16..24)
    }
}

#[test]
fn whatever_was_acknowledged_outlives_a_power_cut() {
    let home = TempDir::new().unwrap();
    let hub = open(home.path());
    let mut chance = Chance::new();
    let mut number = 0;
    let (mut with, mut without, mut restarts) = (0, 0, 0);
    let mut earlier: Option<Files> = None;
    for _ in 0..30 {
        for _ in 0..chance.below(40) {
            number += 1;
            commit(&hub, number).unwrap();
        }
        number += 1;
        commit(&hub, number).unwrap();
        let before = Files::of(home.path());
        number += 1;
        commit(&hub, number).unwrap();
        let after = Files::of(home.path());

        let disk = TempDir::new().unwrap();
        if before.salt() == after.salt() {
            cut(&mut chance, earlier.as_ref(), &before, &after.log).put(disk.path());
            let count = survived(disk.path());
            assert!((number - 1..=number).contains(&count), "{count}, {number} was being written");
            *(if count == number { &mut with } else { &mut without }) += 1;
        } else {
            restarts += 1;
        }
        // With rubbish behind what is durable, nothing at all is missing.
        let mut tail = after.clone();
        tail.log.extend((0..chance.below(10_000)).map(|n| n.to_le_bytes()[0]));
        tail.put(disk.path());
        assert_eq!(survived(disk.path()), number);
        earlier = Some(before);
    }
    println!("the batch being written was there {with} times, gone {without} times; the log");
    println!("began anew {restarts} times meanwhile; {number} batches");
    assert!(with > 0 && without > 0, "cuts came both early and late");
}

/// The disk after a cut while `log` was written over `durable`: any sector of what was not yet
/// synced is old or new, and one is torn.
fn cut(chance: &mut Chance, earlier: Option<&Files>, durable: &Files, log: &[u8]) -> Files {
    let mut disk = durable.clone();
    // Pages that were moved since an earlier moment may not have reached the database: the log
    // has them as long as it has not begun anew.
    if let Some(earlier) = earlier.filter(|earlier| earlier.salt() == durable.salt()) {
        mix(chance, &mut disk.db, &earlier.db, 2);
    }
    let share = [0, 1, 2, 500][chance.index(4)];
    let mut new = log.to_vec();
    if share == 0 {
        // In order up to an arbitrary byte.
        let grown = new.len().saturating_sub(durable.log.len());
        new.truncate(new.len() - chance.index(grown + 1));
    } else {
        mix(chance, &mut new, &durable.log, share);
    }
    if chance.below(4) == 0 && new.len() > durable.log.len() {
        let torn = durable.log.len() + chance.index(new.len() - durable.log.len());
        let end = new.len().min(torn.next_multiple_of(SECTOR_BYTES));
        new[torn..end].fill(0x5A);
    }
    disk.log = new;
    disk
}

/// Puts about one in `share` of the sectors of `old` that differ back into `new`.
fn mix(chance: &mut Chance, new: &mut [u8], old: &[u8], share: u64) {
    for (index, sector) in new.chunks_mut(SECTOR_BYTES).enumerate() {
        let start = index * SECTOR_BYTES;
        let was = old.get(start..(start + sector.len()).min(old.len())).unwrap_or_default();
        let mut former = was.to_vec();
        former.resize(sector.len(), 0);
        if former != *sector && chance.below(share) == 0 {
            sector.copy_from_slice(&former);
        }
    }
}

/// Opens what a cut left, checks it, and tells how many batches are there.
fn survived(folder: &Path) -> u64 {
    // The shared index over the log is rebuilt from the log after a cut.
    for stale in ["hub.db-shm", "hub.lock"] {
        let path: PathBuf = folder.join(stale);
        drop(fs::remove_file(path));
    }
    let hub = open(folder);
    let count = committed(&hub);
    check(&hub, count);
    for number in count + 1..count + 4 {
        commit(&hub, number).expect("the disk works");
    }
    check(&hub, count + 3);
    drop(hub);
    check_file(folder);
    count
}

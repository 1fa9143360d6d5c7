//! What histories were while they were written: whatever was seen once must stand for good.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use taskhub_postgres::testing::Server;
use tokio::time::sleep;

/// How often it looks.
const LOOK: Duration = Duration::from_millis(500);

/// How many pieces it remembers.
const PIECES_MAX: usize = 50_000;

/// How many instances are asked for at once in the end.
const INSTANCES: usize = 500;

const PIECES: &str = "SELECT instance || '.' || first_event || ' ' || md5(events) \
    FROM taskhub.history WHERE instance IN ";

/// An instance's key with the number of a piece's first event, and a digest of the piece.
type Pieces = BTreeMap<String, String>;

/// The pieces of histories that were seen.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    server: Arc<Server>,
    pieces: Arc<Mutex<Pieces>>,
}

impl Seen {
    pub(crate) fn new(server: Arc<Server>) -> Self {
        Self { server, pieces: Arc::default() }
    }

    /// Looks at what is under way, again and again. While the database is down, it sees nothing.
    pub(crate) async fn watch(self) {
        while self.count() < PIECES_MAX {
            let server = self.server.clone();
            let look = move || {
                let open = "(SELECT key FROM taskhub.instance \
                    WHERE (busy OR due IS NOT NULL) AND id NOT LIKE '@%' LIMIT 500)";
                server.psql(&format!("{PIECES}{open}"))
            };
            if let Ok(Ok(rows)) = tokio::task::spawn_blocking(look).await {
                self.lock().extend(pieces(&rows));
            }
            sleep(LOOK).await;
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// The pieces that are not what they were.
    pub(crate) fn changed(&self) -> Result<Vec<String>, String> {
        let seen = self.lock();
        let mut keys: Vec<_> = seen.keys().filter_map(|it| Some(it.split_once('.')?.0)).collect();
        keys.dedup();
        let mut wrong = Vec::new();
        for keys in keys.chunks(INSTANCES) {
            let rows = self.server.psql(&format!("{PIECES}({})", keys.join(",")));
            let now = pieces(&rows.map_err(|error| error.to_string())?).collect::<Pieces>();
            let of = |it: &str| it.split_once('.').is_some_and(|(key, _)| keys.contains(&key));
            let of_these = seen.iter().filter(|(place, _)| of(place));
            wrong.extend(of_these.filter_map(|piece| gone(piece, &now)));
        }
        Ok(wrong)
    }

    fn lock(&self) -> MutexGuard<'_, Pieces> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is wrong if a piece does not stand as it was seen.
fn gone((place, digest): (&String, &String), now: &Pieces) -> Option<String> {
    let stands = now.get(place) == Some(digest);
    (!stands).then(|| format!("the piece {place} of a history was {digest}, and is gone"))
}

fn pieces(rows: &str) -> impl Iterator<Item = (String, String)> {
    let pairs = rows.lines().filter_map(|line| line.split_once(' '));
    pairs.map(|(place, digest)| (place.to_owned(), digest.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_that_is_rewritten_or_gone_is_found() {
        let seen = (&"7.0".to_owned(), &"digest".to_owned());
        let wrong = |rows: &str| gone(seen, &pieces(rows).collect()).is_some();
        assert!(!wrong("7.0 digest\n7.4 another"));
        assert!(wrong("7.0 rewritten") && wrong("7.4 digest"));
    }
}

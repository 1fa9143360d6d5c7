//! A pretend backend: reads request files, and answers each with a result file after a while.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use uuid::Uuid;

/// How often the backend looks for requests.
const LOOK: Duration = Duration::from_millis(100);

/// Answers every request within `at_most` milliseconds, until the process ends.
pub(crate) fn backend(requests: PathBuf, results: PathBuf, at_most: u64) {
    tokio::spawn(async move {
        loop {
            for request in fs::read_dir(&requests).into_iter().flatten().flatten() {
                take(&request.path(), &results, at_most);
            }
            tokio::time::sleep(LOOK).await;
        }
    });
}

/// Takes one request off the folder and answers it later. What was taken when the process dies is
/// never answered: such are backends.
fn take(request: &Path, results: &Path, at_most: u64) {
    let wanted = request.extension().is_some_and(|extension| extension == "json");
    let Some(id) = request.file_stem().and_then(|stem| stem.to_str()).filter(|_| wanted) else {
        return;
    };
    let body = fs::read(request).unwrap_or_default();
    let city =
        serde_json::from_slice::<serde_json::Value>(&body).unwrap_or_default()["city"].take();
    if fs::remove_file(request).is_err() {
        return;
    }
    let delay = Duration::from_millis(Uuid::now_v7().as_u64_pair().1 % at_most.max(1));
    let (draft, place) = (results.join(format!(".{id}.tmp")), results.join(format!("{id}.txt")));
    let text = format!("{}: sunny, 21 degrees\n", city.as_str().unwrap_or("somewhere"));
    tokio::spawn(async move {
        tokio::time::sleep(delay).await;
        if let Err(error) = fs::write(&draft, text).and_then(|()| fs::rename(draft, place)) {
            eprintln!("the pretend backend could not answer: {error}");
        }
    });
}

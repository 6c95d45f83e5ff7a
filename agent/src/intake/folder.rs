//! A watched folder. In: what is put into it: archives, files and folders. Out: each as an upload, once it is whole, and
//! again whenever it has changed; what became of it stands in `.weft/NAME.txt`. Refuses nothing by itself; names that
//! begin with a dot are left alone.
//!
//! It is looked at, not listened to: a folder may be on a network or be swapped as a whole, and then the kernel tells of
//! nothing. What is the same at two looks is whole.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::Upload;
use super::inbox::{Inbox, NotDeployed};

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// Uploads in the folder; more are not looked at.
const UPLOADS_MAX: usize = 256;
/// Files of one upload whose state is looked at.
const FILES_MAX: usize = 50_000;
/// Where answers stand.
const ANSWERS: &str = ".weft";

/// Watches a folder until the inbox closes. The folder need not be there yet.
pub async fn watch(folder: PathBuf, inbox: Inbox) {
    let mut seen = Seen::default();
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let looked = folder.clone();
        let Ok(states) = tokio::task::spawn_blocking(move || states(&looked)).await else { return };
        for name in seen.whole(states) {
            let upload = Upload { name: name.clone(), source: folder.join(&name) };
            let answer = match inbox.deploy(upload, None).await {
                Err(NotDeployed::Ending) => return,
                // It is tried again at one of the next looks.
                Err(NotDeployed::Busy) => {
                    seen.forget(&name);
                    continue;
                }
                Err(refused) => {
                    tracing::warn!(upload = %name, %refused, "an upload of the watched folder is refused");
                    format!("refused: {refused}\n")
                }
                Ok(answer) => format!("deployed: {answer}\n"),
            };
            let answers = folder.join(ANSWERS);
            let written = fs::create_dir_all(&answers)
                .and_then(|()| fs::write(answers.join(format!("{name}.txt")), answer));
            if let Err(error) = written {
                tracing::warn!(upload = %name, %error, "the answer cannot be written into the watched folder");
            }
        }
    }
}

/// What was seen at the last look, and what was handed in.
#[derive(Debug, Default)]
struct Seen {
    last: BTreeMap<String, u64>,
    taken: BTreeMap<String, u64>,
}

impl Seen {
    /// What is whole and was not handed in as it is.
    fn whole(&mut self, states: BTreeMap<String, u64>) -> Vec<String> {
        let calm = |name: &String, state: &u64| self.last.get(name) == Some(state);
        let news: Vec<_> = states
            .iter()
            .filter(|(name, state)| calm(name, state) && self.taken.get(*name) != Some(state))
            .map(|(name, state)| (name.clone(), *state))
            .collect();
        self.taken.retain(|name, _| states.contains_key(name));
        self.last = states;
        self.taken.extend(news.iter().cloned());
        news.into_iter().map(|(name, _)| name).collect()
    }

    fn forget(&mut self, name: &str) {
        self.taken.remove(name);
    }
}

/// The uploads of a folder, each with a number that changes with it.
fn states(folder: &Path) -> BTreeMap<String, u64> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let named = entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())));
    let shown = named.filter(|(name, _)| !name.starts_with('.'));
    shown.take(UPLOADS_MAX).map(|(name, path)| (name, state(&path))).collect()
}

/// Of the names, sizes and times of all files below a path.
fn state(path: &Path) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hash = DefaultHasher::new();
    let mut open = vec![path.to_owned()];
    let mut files = 0;
    while let Some(path) = open.pop() {
        files += 1;
        let Ok(metadata) = path.symlink_metadata() else { continue };
        (&path, metadata.len(), metadata.mtime(), metadata.mtime_nsec(), metadata.ino()).hash(&mut hash);
        if metadata.is_dir() && files < FILES_MAX {
            let mut below: Vec<_> =
                fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
            below.sort();
            open.extend(below);
        }
    }
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::inbox::inbox;

    #[test]
    fn what_still_grows_is_waited_for_and_what_is_the_same_is_taken_once() {
        let mut seen = Seen::default();
        let at = |state| BTreeMap::from([("a.zip".to_owned(), state)]);
        assert!(seen.whole(at(1)).is_empty());
        assert!(seen.whole(at(2)).is_empty(), "it has grown");
        assert_eq!(seen.whole(at(2)), ["a.zip"]);
        assert!(seen.whole(at(2)).is_empty(), "it was taken");
        assert!(seen.whole(at(3)).is_empty());
        assert_eq!(seen.whole(at(3)), ["a.zip"], "it is new");
    }

    #[test]
    fn what_was_sent_away_is_tried_again_and_what_came_back_is_new() {
        let mut seen = Seen::default();
        let one = || BTreeMap::from([("a".to_owned(), 1)]);
        seen.whole(one());
        assert_eq!(seen.whole(one()), ["a"]);
        seen.forget("a");
        assert_eq!(seen.whole(one()), ["a"]);
        seen.whole(BTreeMap::new());
        seen.whole(one());
        assert_eq!(seen.whole(one()), ["a"]);
    }

    #[tokio::test]
    async fn a_file_that_is_put_there_is_deployed_and_its_answer_is_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path().to_owned();
        let (inbox, mut waiting) = inbox();
        let watching = tokio::spawn(watch(folder.clone(), inbox));
        fs::write(folder.join("cart.py"), "def handler(event): pass").unwrap();
        fs::write(folder.join(".hidden"), "x").unwrap();
        let received = waiting.recv().await.unwrap();
        assert_eq!(
            (received.upload.name.as_str(), &received.upload.source),
            ("cart.py", &folder.join("cart.py"))
        );
        received.answer(Err("line 1: no".to_owned()));
        fs::write(folder.join("cart.py"), "def handler(event): return 1").unwrap();
        waiting.recv().await.unwrap().answer(Ok("cart at 10.0.0.1:80".to_owned()));
        // The second answer is written after it is told, so the third upload comes after it.
        fs::write(folder.join("other.py"), "").unwrap();
        let third = waiting.recv().await.unwrap();
        let answer = fs::read_to_string(folder.join(".weft/cart.py.txt")).unwrap();
        assert_eq!(answer, "deployed: cart at 10.0.0.1:80\n");
        drop(waiting);
        third.answer(Ok(String::new()));
        fs::write(folder.join("last.py"), "").unwrap();
        watching.await.unwrap();
    }
}

//! Where uploads arrive. In: what the folder, the endpoint and the command line have received. Out: one after the other,
//! each with a way to answer. Refuses more than [`WAITING_MAX`] that wait: the sender is told to come again.

use tokio::sync::{mpsc, oneshot};

use super::{Stage, Upload};

/// Uploads that wait to be made.
pub const WAITING_MAX: usize = 16;

/// An upload that waits for its answer. Its files go with it.
#[derive(Debug)]
pub struct Received {
    /// What came.
    pub upload: Upload,
    stage: Option<Stage>,
    answer: oneshot::Sender<Outcome>,
}

/// What a sender is told: where it is served, or why not.
pub type Outcome = Result<String, String>;

/// Where uploads are handed in.
#[derive(Debug, Clone)]
pub struct Inbox(mpsc::Sender<Received>);

/// Why an upload was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotDeployed {
    /// Too many wait.
    #[error("{WAITING_MAX} uploads are waiting already; send it again in a minute")]
    Busy,
    /// The agent ends.
    #[error("the agent is ending; send it again when it is back")]
    Ending,
    /// It was refused.
    #[error("{0}")]
    Refused(String),
}

/// An inbox and its other end.
pub fn inbox() -> (Inbox, mpsc::Receiver<Received>) {
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    (Inbox(sender), receiver)
}

impl Inbox {
    /// Hands an upload in and waits until it is served or refused. `stage` is kept until then.
    ///
    /// # Errors
    /// [`NotDeployed`].
    pub async fn deploy(&self, upload: Upload, stage: Option<Stage>) -> Result<String, NotDeployed> {
        let (answer, answered) = oneshot::channel();
        self.0.try_send(Received { upload, stage, answer }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => NotDeployed::Busy,
            mpsc::error::TrySendError::Closed(_) => NotDeployed::Ending,
        })?;
        answered.await.map_err(|_| NotDeployed::Ending)?.map_err(NotDeployed::Refused)
    }
}

impl Received {
    /// Tells the sender, and lets go of what was sent.
    pub fn answer(self, outcome: Outcome) {
        drop(self.stage);
        // A sender that has gone away need not be told.
        let _ = self.answer.send(outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload(name: &str) -> Upload {
        Upload { name: name.to_owned(), source: "/nowhere".into() }
    }

    #[tokio::test]
    async fn a_sender_gets_the_answer_to_its_own_upload() {
        let (inbox, mut waiting) = inbox();
        let sent = tokio::spawn(async move { inbox.deploy(upload("cart"), None).await });
        let received = waiting.recv().await.unwrap();
        assert_eq!(received.upload.name, "cart");
        received.answer(Err("no".to_owned()));
        assert_eq!(sent.await.unwrap(), Err(NotDeployed::Refused("no".to_owned())));
    }

    #[tokio::test]
    async fn one_more_than_may_wait_is_sent_away_at_once_and_an_ended_agent_says_so() {
        let (inbox, waiting) = inbox();
        let tasks: Vec<_> = (0..WAITING_MAX)
            .map(|_| {
                let inbox = inbox.clone();
                tokio::spawn(async move { inbox.deploy(upload("a"), None).await })
            })
            .collect();
        while inbox.0.capacity() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(inbox.deploy(upload("late"), None).await, Err(NotDeployed::Busy));
        drop(waiting);
        for task in tasks {
            assert_eq!(task.await.unwrap(), Err(NotDeployed::Ending));
        }
        assert_eq!(inbox.deploy(upload("after"), None).await, Err(NotDeployed::Ending));
    }
}

//! How this node's member starts, what its end means, and when it is ready.

use std::time::Duration;

use super::{Member, lock};
use crate::backend::{Fault, Readiness};
use crate::etcd::data::{Content, DataDir};
use crate::etcd::decision::{self, Start};
use crate::etcd::ending::ending;
use crate::etcd::health::{Health, Local, Verdict};
use crate::etcd::record::{Identity, Read, Record};
use crate::etcd::{Error, restore};

/// A disk that does not answer for so long counts as gone for now.
const DISK: Duration = Duration::from_secs(10);

/// How etcd is to be started now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// The whole command line, the program first: [`Settings::command`](crate::etcd::Settings::command) and what only this
    /// start needs.
    pub command: Vec<String>,
    /// How it starts.
    pub start: Start,
    /// Something that the operator should know.
    pub notes: Vec<String>,
}

impl Member {
    /// Asks the guards whether etcd may start, and how. To be asked before every start.
    ///
    /// # Errors
    /// Refused if the data directory is not what it should be, until somebody has acted; passing if the disk does not answer.
    pub async fn prepare(&self) -> Result<Prepared, Fault> {
        if let Some(why) = *lock(&self.hopeless) {
            return Err(Fault::refused(why));
        }
        let (data, read) = self.look().await?;
        let start =
            decision::decide(&self.settings.data_dir, &data, &read.record).map_err(|no| {
                Fault::refused(match &read.moved_aside {
                    Some(aside) => {
                        format!("{no} (etcd.json made no sense: it is now {})", aside.display())
                    }
                    None => no.to_string(),
                })
            })?;
        if data.content == Content::Missing {
            restore::create(&self.settings.data_dir)
                .map_err(|why| Fault::passing(why.to_string()))?;
        }
        let mut notes = Vec::new();
        if let Some(aside) = read.moved_aside {
            notes.push(format!("etcd.json made no sense: it is now {}", aside.display()));
        }
        if let Start::Restart { note } = &start {
            notes.extend(note.clone());
        }
        let mut command = self.settings.command();
        command.extend(self.settings.first_flags(&start));
        Ok(Prepared { command, start, notes })
    }

    /// What etcd's last words mean, after it has ended by itself; `None` if they say nothing known. Where another start would
    /// end the same way, [`Self::prepare`] refuses until an operator has made something else of this node.
    pub fn ended(&self, last_words: &str) -> Option<String> {
        let ending = ending(last_words)?;
        if ending.lasting {
            *lock(&self.hopeless) = Some(ending.words);
        }
        Some(ending.words.to_owned())
    }

    /// Asks once whether the member serves: it follows a leader and has a vote. Remembers which member it is.
    pub async fn readiness(&self) -> Readiness {
        let status = match self.ask().await {
            Ok(status) => status,
            Err(why) => return Readiness::NotReady(why.to_string()),
        };
        if let Err(why) = self.settle().await {
            return Readiness::NotReady(why.to_string());
        }
        match Health::judge(&Local::from(&status), None).verdict {
            Verdict::Well => Readiness::Ready,
            Verdict::Degraded(why) | Verdict::NoQuorum(why) => Readiness::NotReady(why),
        }
    }

    /// Remembers which member this is, once its data says so.
    async fn settle(&self) -> Result<(), Error> {
        if self.known().is_some() {
            return Ok(());
        }
        let (data, read) = self.look_or_error().await?;
        if let Record::Member(identity) = read.record {
            self.know(Some(identity));
            return Ok(());
        }
        if let Content::Member { cluster, member } = data.content {
            self.remember(Record::Member(Identity { cluster, member, place: data.place })).await?;
        }
        Ok(())
    }

    async fn look(&self) -> Result<(DataDir, Read), Fault> {
        match tokio::time::timeout(DISK, self.look_or_error()).await {
            Ok(looked) => looked.map_err(|why| Fault::passing(why.to_string())),
            Err(_) => Err(Fault::passing(format!(
                "the disk of {} does not answer: see the kernel's log (dmesg)",
                self.settings.data_dir.display()
            ))),
        }
    }
}

//! Events that the service acknowledged: each has to be under a checkpoint in time, and be the one it was.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};

use jiff::Timestamp;
use uuid::Uuid;

use super::log::Log;
use super::state::State;
use super::{IN_TIME, late};
use crate::audit::{Failure, read};

/// An acknowledged event that is not under a checkpoint yet.
#[derive(Debug, Clone)]
pub struct Awaited {
    position: u64,
    /// Where it is given, the event at the position has to be this one.
    id: Option<Uuid>,
    since: Timestamp,
}

impl Awaited {
    /// `POSITION [EVENT_ID] [TIME]`; `now` stands for a time that is not there.
    pub fn parse(line: &str, now: Option<Timestamp>) -> Result<Self, Failure> {
        let invalid = || format!("{line:?} is not POSITION [EVENT_ID] [TIME]");
        let mut words = line.split_whitespace().peekable();
        let position = words.next().and_then(|word| word.parse().ok()).ok_or_else(invalid)?;
        let id = words.peek().and_then(|word| word.parse::<Uuid>().ok());
        if id.is_some() {
            words.next();
        }
        let since = words.next().map(|word| word.parse().map_err(|_| invalid())).transpose()?;
        let since = since.or(now).ok_or_else(invalid)?;
        if words.next().is_some() {
            return Err(invalid().into());
        }
        Ok(Self { position, id, since })
    }

    fn key(&self) -> (u64, Option<Uuid>) {
        (self.position, self.id)
    }
}

impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.position)?;
        if let Some(id) = self.id {
            write!(f, " {id}")?;
        }
        write!(f, " {}", self.since)
    }
}

/// Where the lines come from.
enum Source {
    Nothing,
    File(PathBuf),
    /// Read to its end already, or line by line while the monitor runs.
    Lines(Receiver<String>),
}

pub struct Acknowledged {
    source: Source,
    awaited: BTreeMap<(u64, Option<Uuid>), Awaited>,
    seen: HashSet<(u64, Option<Uuid>)>,
}

impl Acknowledged {
    pub fn new(from: Option<&Path>, once: bool, awaited: Vec<Awaited>) -> Result<Self, Failure> {
        let source = match from {
            None => Source::Nothing,
            Some(path) if path == Path::new("-") => Source::Lines(standard_input(once)?),
            Some(path) => Source::File(path.to_owned()),
        };
        let awaited = awaited.into_iter().map(|awaited| (awaited.key(), awaited)).collect();
        Ok(Self { source, awaited, seen: HashSet::new() })
    }

    /// How many are still awaited.
    pub async fn look(&mut self, log: &mut Log, state: &State, now: Timestamp) -> Result<usize, Failure> {
        let size = log.size();
        for line in self.lines()? {
            let new = Awaited::parse(&line, Some(now))?;
            if !self.seen.contains(&new.key()) {
                self.awaited.entry(new.key()).or_insert(new);
            }
        }
        if self.awaited.is_empty() {
            return Ok(0);
        }
        // Whatever comes of this look, how long each has been awaited is known to the next.
        state.keep_awaited(self.awaited.values())?;
        for awaited in self.awaited.values().filter(|awaited| awaited.position < size) {
            let Some(id) = awaited.id else { continue };
            let found = log.header(awaited.position).await?.id;
            if found != id {
                let position = awaited.position;
                return Err(late(format!("event {id} was acknowledged at {position}, where {found} is")));
            }
        }
        self.seen.extend(self.awaited.keys().filter(|(at, _)| *at < size));
        self.awaited.retain(|(at, _), _| *at >= size);
        state.keep_awaited(self.awaited.values())?;
        let overdue = self.awaited.values().find(|awaited| now.duration_since(awaited.since) > IN_TIME);
        match overdue {
            None => Ok(self.awaited.len()),
            Some(Awaited { position, since, .. }) => {
                let missing = self.awaited.len();
                Err(late(format!(
                    "missing: position {position} was acknowledged at {since}, and the checkpoint covers {size} \
                     events; {missing} are awaited"
                )))
            }
        }
    }

    /// Whole lines that are there now.
    fn lines(&self) -> Result<Vec<String>, Failure> {
        let lines = match &self.source {
            Source::Nothing => Vec::new(),
            Source::Lines(lines) => lines.try_iter().collect(),
            Source::File(path) => {
                let text = String::from_utf8(read(path)?)?;
                // The last line may be half written.
                let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
                whole.lines().map(str::to_owned).collect()
            }
        };
        Ok(lines.into_iter().filter(|line| !line.trim().is_empty()).collect())
    }
}

fn standard_input(once: bool) -> Result<Receiver<String>, Failure> {
    let (sender, lines) = mpsc::channel();
    if once {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        text.lines().try_for_each(|line| sender.send(line.to_owned()))?;
        return Ok(lines);
    }
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    Ok(lines)
}

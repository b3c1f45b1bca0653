//! The population compared with a list that somebody else keeps: a registry, a cluster, a cloud's audit log.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::population::{ReadRow, Standing};
use crate::value::{Digest, Line, List, Name};

/// Most entries of a list that comes with a request.
pub const ENTRIES_MAX: usize = 10_000;

/// One deployment as the other side lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ListedDeployment {
    pub product: Name,
    pub environment: Name,
    pub digest: Digest,
    pub at: Timestamp,
    /// Where the other side has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Line>,
}

/// How the two lists relate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reconciled {
    /// How far apart two times may lie.
    pub tolerance_s: u64,
    pub listed: u64,
    pub changes: u64,
    #[cfg_attr(feature = "openapi", schema(max_items = 10_000))]
    pub matched: Vec<Matched>,
    /// Listed by the other side, and not in the population: what the record does not know of.
    #[cfg_attr(feature = "openapi", schema(max_items = 10_000))]
    pub only_there: Vec<ListedDeployment>,
    /// How many changes the other side does not list.
    pub only_here: u64,
    /// Of them, those recorded first.
    #[cfg_attr(feature = "openapi", schema(max_items = 10_000))]
    pub only_here_changes: Vec<u64>,
    /// Nothing is only there.
    pub complete: bool,
}

/// An entry of the list and the change it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Matched {
    /// The place in the list, from 0; the entries in their order.
    pub entry: u64,
    pub change: u64,
    /// How far the list's time is behind the record's.
    pub apart_s: i64,
    /// By digest, or by environment and time alone where no digest of the change is known.
    pub by_digest: bool,
}

/// A list as it was given.
pub type Listed = List<ListedDeployment, ENTRIES_MAX>;

/// A change to which an entry of the list could go.
#[derive(Debug)]
struct Near {
    change: u64,
    digests: Vec<Digest>,
    /// The entries' places in the list, and how far apart they are in seconds.
    entries: Vec<(usize, i64)>,
}

/// Each entry goes to the nearest change of its environment that has its digest, within the tolerance; then what is left
/// to the nearest change without a known digest. A change takes one entry, and the entry listed first goes first where
/// two are as near. A deployment of several artifacts is listed once for each; they all go to it.
///
/// Changes come one by one, and those to which no entry can go are only counted.
#[derive(Debug)]
pub struct Comparison {
    list: Vec<ListedDeployment>,
    tolerance_s: u64,
    /// The entries' places in the list, by time.
    entries: BTreeMap<(Name, Name), Vec<usize>>,
    near: Vec<Near>,
    changes: u64,
    alone: Alone,
}

#[derive(Debug, Default)]
struct Alone {
    count: u64,
    first: BTreeSet<u64>,
}

impl Alone {
    fn add(&mut self, change: u64) {
        self.count += 1;
        self.first.insert(change);
        if self.first.len() > ENTRIES_MAX {
            self.first.pop_last();
        }
    }
}

impl Comparison {
    pub fn new(list: Vec<ListedDeployment>, tolerance_s: u64) -> Self {
        let mut entries: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut by_time: Vec<_> = list.iter().enumerate().collect();
        by_time.sort_by_key(|(place, entry)| (entry.at, *place));
        for (place, entry) in by_time {
            entries.entry((entry.product.clone(), entry.environment.clone())).or_default().push(place);
        }
        Self { list, tolerance_s, entries, near: Vec::new(), changes: 0, alone: Alone::default() }
    }

    pub fn take(&mut self, row: ReadRow) {
        let ReadRow { change, standing, product, environment, at, digests, .. } = row;
        // An orphan that was found to be none is no deployment that another list would have.
        if standing == Standing::Excluded {
            return;
        }
        self.changes += 1;
        let entries = self.entries.get(&(product, environment)).map(Vec::as_slice).unwrap_or_default();
        let tolerance = SignedDuration::from_secs(i64::try_from(self.tolerance_s).unwrap_or(i64::MAX));
        let earliest = at.saturating_sub(tolerance).unwrap_or(Timestamp::MIN);
        let from = entries.partition_point(|place| self.list[*place].at < earliest);
        let near = entries[from..].iter().map(|place| (*place, &self.list[*place]));
        let near = near.map(|(place, entry)| (place, entry, entry.at.duration_since(at)));
        let near = near.take_while(|(.., apart)| *apart <= tolerance);
        let possible = near.filter(|(_, entry, _)| digests.is_empty() || digests.contains(&entry.digest));
        let entries: Vec<_> = possible.map(|(place, _, apart)| (place, apart.as_secs())).collect();
        if entries.is_empty() {
            self.alone.add(change);
        } else {
            self.near.push(Near { change, digests, entries });
        }
    }

    pub fn finish(self) -> Reconciled {
        let Self { list, tolerance_s, near, changes, mut alone, .. } = self;
        // Every possible pair, nearest first; the order is total, so that it is the same whoever compares.
        let mut pairs = Vec::new();
        for (at, change) in near.iter().enumerate() {
            for (place, apart_s) in &change.entries {
                pairs.push((change.digests.is_empty(), apart_s.unsigned_abs(), *place, at, *apart_s));
            }
        }
        pairs.sort_unstable();
        let mut entries: BTreeMap<usize, Matched> = BTreeMap::new();
        // Which digests of each change were listed; a change without one takes one entry.
        let mut taken: BTreeMap<usize, Vec<&Digest>> = BTreeMap::new();
        for (by_time, _, place, at, apart_s) in pairs {
            let digest = &list[place].digest;
            let free = match taken.get(&at) {
                None => true,
                Some(known) => !by_time && !known.contains(&digest),
            };
            if entries.contains_key(&place) || !free {
                continue;
            }
            taken.entry(at).or_default().push(digest);
            let change = near[at].change;
            entries.insert(place, Matched { entry: place as u64, change, apart_s, by_digest: !by_time });
        }
        let unmatched = near.iter().enumerate().filter(|(at, _)| !taken.contains_key(at));
        unmatched.for_each(|(_, change)| alone.add(change.change));
        let only_there: Vec<_> = list
            .iter()
            .enumerate()
            .filter(|(place, _)| !entries.contains_key(place))
            .map(|(_, entry)| entry.clone())
            .collect();
        Reconciled {
            tolerance_s,
            listed: list.len() as u64,
            changes,
            complete: only_there.is_empty(),
            matched: entries.into_values().collect(),
            only_there,
            only_here: alone.count,
            only_here_changes: alone.first.into_iter().collect(),
        }
    }
}

//! The population compared with a list that somebody else keeps: a registry, a cluster, a cloud's audit log.

use std::collections::BTreeMap;

use jiff::Timestamp;
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

/// What the comparison reads of a row of the report.
#[derive(Debug, Clone, PartialEq)]
pub struct Ours {
    pub change: u64,
    pub product: Name,
    pub environment: Name,
    pub at: Timestamp,
    pub digests: Vec<Digest>,
}

impl Ours {
    /// An orphan that was found to be none is no deployment that another list would have.
    pub fn of(row: ReadRow) -> Option<Self> {
        let ReadRow { change, standing, product, environment, at, digests, .. } = row;
        (standing != Standing::Excluded).then_some(Self { change, product, environment, at, digests })
    }
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
    /// The first of them.
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

/// Each entry goes to the nearest change of its environment that has its digest, within the tolerance; then what is left
/// to the nearest change without a known digest. A change takes one entry, and the entry listed first goes first where
/// two are as near. A deployment of several artifacts is listed once for each; they all go to it.
pub fn reconcile(list: &[ListedDeployment], tolerance_s: u64, changes: &[Ours]) -> Reconciled {
    let mut by_place: BTreeMap<(&Name, &Name), Vec<usize>> = BTreeMap::new();
    for (at, change) in changes.iter().enumerate() {
        by_place.entry((&change.product, &change.environment)).or_default().push(at);
    }
    let near = |entry: &ListedDeployment, change: &Ours| {
        let apart = entry.at.duration_since(change.at).as_secs();
        (apart.unsigned_abs() <= tolerance_s).then_some(apart)
    };
    // Every possible pair, nearest first; the order is total, so that it is the same whoever compares.
    let mut pairs = Vec::new();
    for (place, entry) in list.iter().enumerate() {
        for at in by_place.get(&(&entry.product, &entry.environment)).into_iter().flatten() {
            let change = &changes[*at];
            let by_digest = change.digests.contains(&entry.digest);
            if !by_digest && !change.digests.is_empty() {
                continue;
            }
            if let Some(apart) = near(entry, change) {
                pairs.push((!by_digest, apart.unsigned_abs(), place, *at, apart));
            }
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
        let change = changes[at].change;
        entries.insert(place, Matched { entry: place as u64, change, apart_s, by_digest: !by_time });
    }
    let only_there: Vec<_> = list
        .iter()
        .enumerate()
        .filter(|(place, _)| !entries.contains_key(place))
        .map(|(_, entry)| entry.clone())
        .collect();
    let only_here = changes.iter().enumerate().filter(|(at, _)| !taken.contains_key(at));
    let only_here: Vec<_> = only_here.map(|(_, change)| change.change).collect();
    Reconciled {
        tolerance_s,
        listed: list.len() as u64,
        changes: changes.len() as u64,
        complete: only_there.is_empty(),
        matched: entries.into_values().collect(),
        only_there,
        only_here: only_here.len() as u64,
        only_here_changes: only_here.into_iter().take(ENTRIES_MAX).collect(),
    }
}

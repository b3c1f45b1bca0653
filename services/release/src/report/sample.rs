//! Which rows of a period's report an auditor looks at, by a seed that the auditor chose: anybody with the same rows and
//! the same seed draws the same sample, with a spreadsheet or twenty lines of Python.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::population::{ChangeKind, ReadRow, Standing};
use crate::value::{Line, Sha256Hex};
use crate::wire::hex;

/// `shiplog.sample.v1`: a row's place is the SHA-256 of `SEED:ROW` in UTF-8, where `ROW` is its number in decimal, as
/// hexadecimal text in ascending order. `random` takes the first `size` rows of all; `stratified` takes of each stratum
/// (class and product) the first `size` times its share of the rows, rounded up; `all` takes every row in the report's
/// order. What is included whatever the draw comes on top.
pub const GENERATOR: &str = "shiplog.sample.v1";

/// Most rows of a draw; whoever wants more takes all, which are in the report.
pub const SIZE_MAX: u32 = 1_000;
/// Most rows of a sample, with all that is included: so many are in one event.
pub const DRAWN_MAX: usize = 10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SampleMethod {
    Random,
    Stratified,
    All,
}

/// Rows that are looked at whatever the draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Included {
    /// Changes of class `emergency`, or authorized by one person.
    Emergencies,
    Orphans,
    /// Changes with an item waived when they started.
    Waivers,
}

/// What a draw reads of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stub {
    pub change: u64,
    pub stratum: String,
    pub emergency: bool,
    pub orphan: bool,
    pub waived: bool,
}

impl Stub {
    pub fn of(change: &ReadRow) -> Self {
        let release = change.release.as_ref();
        let governed = release.filter(|_| change.standing == Standing::Governed);
        let class = match (governed, change.kind) {
            (Some(_), ChangeKind::Rollback) => "rollback",
            (Some(release), _) => release.class.as_str(),
            (None, _) => "orphan",
        };
        Self {
            change: change.change,
            stratum: format!("{class}/{}", change.product),
            emergency: governed.is_some_and(|release| {
                release.class == crate::event::ChangeClass::Emergency
                    || release.approval_after_start.is_some()
            }),
            orphan: change.standing == Standing::Orphan,
            waived: governed.is_some_and(|release| !release.waived.is_empty()),
        }
    }
}

/// A row that was drawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DrawnRow {
    pub change: u64,
    /// Class and product; a rollback and an orphan have a class of their own.
    #[cfg_attr(feature = "openapi", schema(max_length = 100))]
    pub stratum: String,
    /// SHA-256 of `SEED:ROW`, its place in the draw.
    #[cfg_attr(feature = "openapi", schema(max_length = 64))]
    pub draw: String,
    /// It was not drawn, but included.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub included: bool,
}

/// Keeps what may still be drawn, and nothing else of the rows.
#[derive(Debug)]
pub struct Draw {
    method: SampleMethod,
    size: usize,
    seed: Line,
    include: Vec<Included>,
    rows: u64,
    /// The first of each stratum, by their places; without strata there is one.
    strata: BTreeMap<String, Stratum>,
    included: BTreeMap<String, DrawnRow>,
    /// Over the numbers of all rows, which are not kept where all are taken.
    all: Numbers,
}

/// What came of a draw.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// How many rows there were.
    pub rows: u64,
    /// How many are in the sample.
    pub drawn: u64,
    /// Over their numbers in decimal, each with a line feed behind it.
    pub sha256: Sha256Hex,
    /// By their places in the draw, of strata one after the other, then what was included; none where all were taken.
    pub sample: Vec<DrawnRow>,
}

#[derive(Debug, Default)]
struct Numbers(Sha256);

impl Numbers {
    fn add(&mut self, change: u64) {
        self.0.update(format!("{change}\n"));
    }

    fn finish(self) -> Sha256Hex {
        // 64 hexadecimal digits by construction.
        Sha256Hex::new(&hex(&self.0.finalize())).unwrap_or_else(|_| unreachable!("hex of 32 bytes"))
    }
}

#[derive(Debug, Default)]
struct Stratum {
    rows: u64,
    first: BTreeMap<String, DrawnRow>,
}

impl Draw {
    pub fn new(method: SampleMethod, size: u32, seed: Line, include: Vec<Included>) -> Self {
        Self {
            method,
            size: usize::try_from(size.min(SIZE_MAX)).unwrap_or(usize::MAX),
            seed,
            include,
            rows: 0,
            strata: BTreeMap::new(),
            included: BTreeMap::new(),
            all: Numbers::default(),
        }
    }

    pub fn take(&mut self, stub: Stub) {
        self.rows += 1;
        if self.method == SampleMethod::All {
            self.all.add(stub.change);
            return;
        }
        let draw = hex(&Sha256::digest(format!("{}:{}", self.seed, stub.change)));
        let wanted = self.include.iter().any(|include| match include {
            Included::Emergencies => stub.emergency,
            Included::Orphans => stub.orphan,
            Included::Waivers => stub.waived,
        });
        let Stub { change, stratum, .. } = stub;
        let drawn = DrawnRow { change, stratum, draw: draw.clone(), included: false };
        // One more than fits is enough to know that they do not fit.
        if wanted && self.included.len() <= DRAWN_MAX {
            self.included.insert(draw.clone(), DrawnRow { included: true, ..drawn.clone() });
        }
        let of = match self.method {
            SampleMethod::Stratified => drawn.stratum.clone(),
            SampleMethod::Random | SampleMethod::All => String::new(),
        };
        let stratum = self.strata.entry(of).or_default();
        stratum.rows += 1;
        stratum.first.insert(draw, drawn);
        // The share of a stratum is never more than the whole draw.
        if stratum.first.len() > self.size {
            stratum.first.pop_last();
        }
    }

    pub fn finish(self) -> Drawn {
        let Self { method, size, rows, strata, mut included, all, .. } = self;
        if method == SampleMethod::All {
            return Drawn { rows, drawn: rows, sha256: all.finish(), sample: Vec::new() };
        }
        let mut sample = Vec::new();
        for stratum in strata.into_values() {
            let share = (size as u64 * stratum.rows).div_ceil(rows.max(1));
            let takes = match method {
                SampleMethod::Stratified => usize::try_from(share).unwrap_or(usize::MAX),
                SampleMethod::Random | SampleMethod::All => size,
            };
            sample.extend(stratum.first.into_values().take(takes));
        }
        for row in &sample {
            included.remove(&row.draw);
        }
        sample.extend(included.into_values());
        let mut numbers = Numbers::default();
        sample.iter().for_each(|row| numbers.add(row.change));
        Drawn { rows, drawn: sample.len() as u64, sha256: numbers.finish(), sample }
    }
}

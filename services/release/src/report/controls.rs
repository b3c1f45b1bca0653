//! Controls of the frameworks that auditors ask about, as versioned data, and what a release shows for each.
//!
//! A mapping says of every control what proves it; [`matrix()`] reads a release and its events by it. Nothing is
//! judged a second time: what was recorded is copied, and every row names the events it rests on.

mod checks;
mod items;
mod lint;
mod matrix;

use serde::{Deserialize, Serialize};

use crate::release::ExceptionKind;
use crate::value::{Line, Name, Prose, Sha256Hex};
use crate::wire::sha256_hex;

pub use checks::Check;
pub use lint::lint;
pub use matrix::{ControlRow, ControlStatus, EventRef, ProofRow, Subject, matrix};

/// The bytes of `common-frameworks` version 1; their SHA-256 is its hash.
pub const COMMON_FRAMEWORKS_V1: &[u8] = include_bytes!("../../control-mappings/common-frameworks.v1.json");

/// The versions of `common-frameworks` that this program brings, oldest first.
pub const BUILT_IN: &[(u32, &[u8])] = &[(1, COMMON_FRAMEWORKS_V1)];

/// Which controls there are, and what proves each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ControlMapping {
    pub name: Name,
    pub version: u32,
    pub title: Line,
    pub description: Prose,
    #[cfg_attr(feature = "openapi", schema(max_items = 30))]
    pub frameworks: Vec<Framework>,
    #[cfg_attr(feature = "openapi", schema(max_items = 500))]
    pub controls: Vec<Control>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Framework {
    pub key: Name,
    pub name: Line,
    /// Which edition of it is meant.
    pub edition: Line,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// The key of its framework.
    pub framework: Name,
    /// As the framework numbers it.
    pub id: Line,
    /// What it asks for, in the mapping's own words.
    pub title: Line,
    /// All of it together; one exception among it is an exception of the control.
    #[cfg_attr(feature = "openapi", schema(max_items = 50))]
    pub proven_by: Vec<Proof>,
}

/// What a control is proven by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Proof {
    /// Items of the release's procedure that are closed, by their keys.
    Items {
        #[cfg_attr(feature = "openapi", schema(max_items = 100))]
        items: Vec<Name>,
    },
    /// Gates at the end of steps that are open.
    Gates {
        #[cfg_attr(feature = "openapi", schema(max_items = 20))]
        steps: Vec<u32>,
    },
    /// At least one event of one of these types.
    Events {
        #[cfg_attr(feature = "openapi", schema(max_items = 50))]
        any_of: Vec<Line>,
    },
    /// No exception of these kinds, other than false positives.
    NoExceptions {
        #[cfg_attr(feature = "openapi", schema(max_items = 50))]
        kinds: Vec<ExceptionKind>,
    },
    Check {
        check: Check,
    },
    /// Records are kept for at least so long.
    Retention {
        months_min: u32,
    },
    /// Shown by a report for a period, not by one release.
    Period {
        report: Line,
    },
}

/// One exact version of a control mapping.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ControlMappingRef {
    pub name: Name,
    pub version: u32,
    /// SHA-256 over the stored JSON bytes of the version.
    pub hash: Sha256Hex,
}

/// A version of a control mapping, as a report reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct PinnedMapping {
    pub reference: ControlMappingRef,
    pub mapping: ControlMapping,
}

impl PinnedMapping {
    /// Of the bytes that are hashed.
    pub fn parse(bytes: &[u8]) -> serde_json::Result<Self> {
        let mapping: ControlMapping = serde_json::from_slice(bytes)?;
        let (name, version) = (mapping.name.clone(), mapping.version);
        Ok(Self { reference: ControlMappingRef { name, version, hash: sha256_hex(bytes) }, mapping })
    }
}

/// The bytes of a built-in version.
pub fn built_in(version: u32) -> Option<&'static [u8]> {
    BUILT_IN.iter().find(|(number, _)| *number == version).map(|(_, bytes)| *bytes)
}

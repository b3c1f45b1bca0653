//! What a rule says: rows that name what was read, what was expected and what was seen.

use serde::{Deserialize, Serialize};

use crate::value::Name;

/// A recorded judgement. It is copied by the fold, never computed again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Verdict {
    #[cfg_attr(feature = "openapi", schema(max_length = 64))]
    pub rule: String,
    pub rule_version: u32,
    pub satisfied: bool,
    #[cfg_attr(feature = "openapi", schema(max_items = 5000))]
    pub rows: Vec<Row>,
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Row {
    #[cfg_attr(feature = "openapi", schema(max_length = 64))]
    pub rule: String,
    pub target: Name,
    /// What was read: `item/1.3`, `evidence/{id}/facts/failed`.
    #[cfg_attr(feature = "openapi", schema(max_length = 16_384))]
    pub input: String,
    #[cfg_attr(feature = "openapi", schema(max_length = 16_384))]
    pub expected: String,
    #[cfg_attr(feature = "openapi", schema(max_length = 16_384))]
    pub observed: String,
    pub ok: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
}

/// Why a row is not true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    Absent,
    Null,
    Empty,
    Type,
    Stale,
    Mismatch,
    Value,
}

impl Row {
    pub fn ok(rule: &str, target: &Name, input: String, expected: String, observed: String) -> Self {
        Self { rule: rule.into(), target: target.clone(), input, expected, observed, ok: true, cause: None }
    }

    pub fn failed(
        rule: &str,
        target: &Name,
        input: String,
        expected: String,
        observed: String,
        cause: Cause,
    ) -> Self {
        Self {
            rule: rule.into(),
            target: target.clone(),
            input,
            expected,
            observed,
            ok: false,
            cause: Some(cause),
        }
    }
}

impl Verdict {
    /// Satisfied when every row is.
    pub fn of(rule: &str, rule_version: u32, rows: Vec<Row>) -> Self {
        Self { rule: rule.into(), rule_version, satisfied: rows.iter().all(|row| row.ok), rows }
    }
}

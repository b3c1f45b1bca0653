//! What a rule found: rows, and what they rest on.

use std::fmt::Display;

use jiff::Timestamp;
use uuid::Uuid;

use crate::actor::ActorKind;
use crate::evidence::EvidenceKind;
use crate::release::Evidence;
use crate::value::{ItemNumber, Name};
use crate::verdict::{Cause, Row};

#[derive(Debug, Clone)]
pub struct Findings {
    rule: &'static str,
    target: Name,
    pub rows: Vec<Row>,
    pub rests_on: Vec<Uuid>,
    /// The soonest time at which one of the facts is too old.
    pub valid_until: Option<Timestamp>,
    machines: bool,
    people: bool,
}

impl Default for Findings {
    fn default() -> Self {
        Self::about("", Name::default_target())
    }
}

impl Findings {
    pub fn about(rule: &'static str, target: Name) -> Self {
        let (rows, rests_on) = (Vec::new(), Vec::new());
        Self { rule, target, rows, rests_on, valid_until: None, machines: false, people: false }
    }

    /// Adds what another rule, or the same one on another target, found.
    pub fn take(&mut self, other: Self) {
        self.rows.extend(other.rows);
        self.rests_on.extend(other.rests_on);
        self.machines |= other.machines;
        self.people |= other.people;
        if let Some(until) = other.valid_until {
            self.holds_until(until);
        }
    }

    /// Everything that was read came from machines.
    pub fn by_machine(&self) -> bool {
        self.machines && !self.people
    }

    pub fn rest_on(&mut self, evidence: &Evidence) {
        self.rests_on.push(evidence.recorded.evidence);
        self.seen_by(evidence.by.kind != ActorKind::Person);
    }

    /// Rests on what a person signed; that makes no fact of a machine less one.
    pub fn rest_on_statement(&mut self, evidence: &Evidence) {
        self.rests_on.push(evidence.recorded.evidence);
    }

    /// Something the release records itself was read: by a machine's report or a person's.
    pub fn seen_by(&mut self, machine: bool) {
        if machine {
            self.machines = true;
        } else {
            self.people = true;
        }
    }

    pub fn holds_until(&mut self, until: Timestamp) {
        self.valid_until = Some(self.valid_until.map_or(until, |sooner| sooner.min(until)));
    }

    pub fn row(
        &mut self,
        input: impl Into<String>,
        holds: bool,
        cause: Cause,
        expected: impl Into<String>,
        observed: impl Into<String>,
    ) {
        self.rows.push(Row {
            rule: self.rule.to_owned(),
            target: self.target.clone(),
            input: input.into(),
            expected: expected.into(),
            observed: observed.into(),
            ok: holds,
            cause: (!holds).then_some(cause),
        });
    }

    /// Nothing was reported.
    pub fn absent(&mut self, input: impl Into<String>, expected: impl Into<String>) {
        self.row(input, false, Cause::Absent, expected, "none");
    }

    /// No evidence of the kind was recorded for the item.
    pub fn no_evidence(&mut self, item: ItemNumber, kind: EvidenceKind, expected: impl Into<String>) {
        self.absent(format!("item/{item}/evidence/{}", kind.as_str()), expected);
    }

    /// The value is the expected one; a value that was not reported is absent.
    pub fn equal<T: PartialEq + Display + ?Sized>(
        &mut self,
        input: impl Into<String>,
        expected: &T,
        observed: Option<&T>,
    ) {
        match observed {
            Some(observed) => {
                let (holds, seen) = (observed == expected, observed.to_string());
                self.row(input, holds, Cause::Mismatch, expected.to_string(), seen);
            }
            None => self.absent(input, expected.to_string()),
        }
    }

    /// The value has to be so; a value that was not reported is absent.
    pub fn checked<T: Display>(
        &mut self,
        input: impl Into<String>,
        observed: Option<T>,
        cause: Cause,
        expected: impl Into<String>,
        holds: impl FnOnce(&T) -> bool,
    ) {
        match observed {
            Some(observed) => self.row(input, holds(&observed), cause, expected, observed.to_string()),
            None => self.absent(input, expected),
        }
    }
}

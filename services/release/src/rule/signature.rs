//! Who has to put a name to an item, and who has.

use super::{Findings, Reading};
use crate::actor::{ActorKind, Role};
use crate::procedure::Policy;
use crate::release::Attestation;
use crate::value::Name;
use crate::verdict::Cause;

pub struct Signed {
    pub complete: bool,
    /// Two people stand in for the machine that a strict procedure asks for.
    pub by_fallback: bool,
}

/// One signature in a listed role, and where a second is asked for, two of different people.
pub fn judge(reading: &Reading<'_>, findings: &mut Findings) -> Signed {
    let item = reading.item;
    let signed = reading.state().map_or(&[][..], |state| &state.attestations[..]);
    let machine_only = item.machine && reading.policy == Policy::Strict && !item.signed;
    let with_fallback: Vec<_> = signed.iter().filter(|a| a.manual_fallback.is_some()).collect();
    let by_fallback = different_people(&with_fallback) >= 2;
    let first = |by: &Attestation| has_any(by, &item.roles);
    let second = |by: &Attestation| has_any(by, &item.second);
    let pair = || {
        signed.iter().any(|one| {
            signed
                .iter()
                .any(|other| one.by.id != other.by.id && first(one) && second(other) && people(one, other))
        })
    };
    let complete = if machine_only {
        by_fallback
    } else if item.second.is_empty() {
        signed.iter().any(first)
    } else {
        pair()
    };
    let names = |roles: &[Role]| roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(" or ");
    let expected = if machine_only {
        "a machine's facts, or two people in its place".to_owned()
    } else if item.second.is_empty() {
        format!("a signature of {}", names(&item.roles))
    } else {
        format!("signatures of {} and, by another person, {}", names(&item.roles), names(&item.second))
    };
    let input = format!("item/{}/attestations", item.number);
    let mut row = Findings::about("signature", Name::default_target());
    row.row(input, complete, Cause::Absent, expected, format!("{} signatures", signed.len()));
    findings.take(row);
    Signed { complete, by_fallback }
}

fn has_any(attestation: &Attestation, roles: &[Role]) -> bool {
    attestation.by.roles.iter().any(|role| roles.contains(role))
}

fn people(one: &Attestation, other: &Attestation) -> bool {
    one.by.kind == ActorKind::Person && other.by.kind == ActorKind::Person
}

fn different_people(signed: &[&Attestation]) -> usize {
    let mut people: Vec<_> =
        signed.iter().filter(|a| a.by.kind == ActorKind::Person).map(|a| &a.by.id).collect();
    people.sort_unstable();
    people.dedup();
    people.len()
}

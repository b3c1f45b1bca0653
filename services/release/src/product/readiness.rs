//! Before the first release of a product: could the people who are known take its decisions, and what do its
//! settings leave out?

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::settings::ProductSettings;
use crate::actor::Role;
use crate::event::ChangeClass;
use crate::procedure::{Procedure, ROLLBACK_NOT_NEEDED, WaiverCode};
use crate::value::Line;

/// The roles of one person, under whichever identities.
pub type Roles = BTreeSet<Role>;

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Readiness {
    /// How many people are known to have a role for the product.
    pub known_people: u32,
    #[cfg_attr(feature = "openapi", schema(max_items = 1000))]
    pub decisions: Vec<DecisionReadiness>,
    /// Paths of settings that say nothing; items that read them can only be attested.
    #[cfg_attr(feature = "openapi", schema(max_items = 100, value_type = Vec<crate::value::Line>))]
    pub not_configured: Vec<String>,
}

/// A decision that takes several people.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DecisionReadiness {
    /// `item/4.4`, or `waiver/W2`.
    #[cfg_attr(feature = "openapi", schema(max_length = 64))]
    pub decision: String,
    /// Absent when it takes the same people in every class of change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<ChangeClass>,
    /// The people it takes, all different, each with one of these roles.
    #[cfg_attr(feature = "openapi", schema(max_items = 100))]
    pub takes: Vec<Seat>,
    /// Whether the known people could take it.
    pub possible: bool,
}

/// A decision that no set of known people could take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OpeningWarning {
    /// `item/4.4`, `item/6.9` or `waiver/W2`.
    pub decision: Line,
    /// The people it takes, all different, each with one of these roles.
    #[cfg_attr(feature = "openapi", schema(max_items = 100))]
    pub takes: Vec<Seat>,
}

/// One person that a decision takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Seat {
    #[cfg_attr(feature = "openapi", schema(max_items = 12))]
    pub one_of: Vec<Role>,
}

pub fn readiness(procedure: &Procedure, settings: &ProductSettings, people: &[Roles]) -> Readiness {
    let known_people = u32::try_from(people.iter().filter(|roles| !roles.is_empty()).count());
    Readiness {
        known_people: known_people.unwrap_or(u32::MAX),
        decisions: decisions(procedure, people),
        not_configured: not_configured(settings),
    }
}

fn decisions(procedure: &Procedure, people: &[Roles]) -> Vec<DecisionReadiness> {
    let decision = |decision: String, class, takes: Vec<Seat>| {
        let possible = could_sit(&takes, people);
        DecisionReadiness { decision, class, takes, possible }
    };
    let mut decisions = Vec::new();
    if let Some(item) = procedure.approval_item() {
        for class in
            [ChangeClass::Standard, ChangeClass::Normal, ChangeClass::HighRisk, ChangeClass::Emergency]
        {
            let quorum = procedure.approval_quorum.of(class);
            // Whoever requests the approval gives none.
            let mut takes = vec![seat([Role::ReleaseManager])];
            takes.extend((0..quorum).map(|_| seat([Role::Approver])));
            decisions.push(decision(format!("item/{}", item.number), Some(class), takes));
        }
    }
    for item in procedure.items().filter(|item| !item.second.is_empty()) {
        let takes = vec![seat(item.roles.iter().copied()), seat(item.second.iter().copied())];
        decisions.push(decision(format!("item/{}", item.number), None, takes));
    }
    let waivers = [
        (WaiverCode::W1, vec![seat([Role::Approver])]),
        (WaiverCode::W2, vec![seat([Role::Approver]), seat([Role::Approver, Role::ReleaseManager])]),
    ];
    for (code, mut takes) in waivers {
        // Whoever works on an item asks for its waiver, and grants none.
        let items = procedure.items().filter(|item| item.waiver == code);
        let askers: Roles = items.flat_map(|item| item.roles.iter().copied()).collect();
        if !askers.is_empty() {
            takes.insert(0, seat(askers.into_iter().chain([Role::ReleaseManager])));
            decisions.push(decision(format!("waiver/{code:?}"), None, takes));
        }
    }
    decisions
}

/// What nobody could do as far as people are known: approve a change of the class, say that no rollback was
/// needed, grant a waiver that takes two.
pub fn warnings(procedure: &Procedure, class: ChangeClass, people: &[Roles]) -> Vec<OpeningWarning> {
    let two = format!("waiver/{:?}", WaiverCode::W2);
    let needed = procedure.item_by_key(ROLLBACK_NOT_NEEDED).map(|item| format!("item/{}", item.number));
    let matters = |decision: &DecisionReadiness| match decision.class {
        Some(of) => of == class,
        None => decision.decision == two || Some(&decision.decision) == needed.as_ref(),
    };
    decisions(procedure, people)
        .into_iter()
        .filter(|decision| matters(decision) && !decision.possible)
        .filter_map(|decision| {
            let named = Line::new(&decision.decision).ok()?;
            Some(OpeningWarning { decision: named, takes: decision.takes })
        })
        .collect()
}

/// Machines take no decisions.
fn seat(roles: impl IntoIterator<Item = Role>) -> Seat {
    let roles: Roles = roles.into_iter().filter(|role| *role != Role::Machine).collect();
    Seat { one_of: roles.into_iter().collect() }
}

/// Whether every seat can have a person of its own: augmenting paths, since whoever fits several seats may have to
/// move to let somebody else sit.
fn could_sit(seats: &[Seat], people: &[Roles]) -> bool {
    let mut sits: Vec<Option<usize>> = vec![None; people.len()];
    (0..seats.len()).all(|seat| find_person(seat, seats, people, &mut sits, &mut BTreeSet::new()))
}

fn find_person(
    seat: usize,
    seats: &[Seat],
    people: &[Roles],
    sits: &mut Vec<Option<usize>>,
    asked: &mut BTreeSet<usize>,
) -> bool {
    for (person, roles) in people.iter().enumerate() {
        if !seats[seat].one_of.iter().any(|role| roles.contains(role)) || !asked.insert(person) {
            continue;
        }
        let free = match sits[person] {
            None => true,
            Some(other) => find_person(other, seats, people, sits, asked),
        };
        if free {
            sits[person] = Some(seat);
            return true;
        }
    }
    false
}

fn not_configured(settings: &ProductSettings) -> Vec<String> {
    let mut missing = Vec::new();
    let mut check = |name: &str, empty: bool| {
        if empty {
            missing.push(name.to_owned());
        }
    };
    check("repository", settings.repository.is_none());
    check("required_workflows", settings.required_workflows.is_empty());
    check("manifests", settings.manifests.is_empty());
    check("databases", settings.databases.is_empty());
    check("critical_flows", settings.critical_flows.is_empty());
    check("risk_areas", settings.risk_areas.is_empty());
    check("notification_groups", settings.notification_groups.is_empty());
    check("metric_queries", settings.metric_queries.is_empty());
    check("slos", settings.slos.is_empty());
    check("flags", settings.flags.is_none());
    for environment in &settings.environments {
        let name = &environment.name;
        check(&format!("environments/{name}/version_url"), environment.version_url.is_none());
        check(&format!("environments/{name}/health_url"), environment.health_url.is_none());
    }
    missing
}

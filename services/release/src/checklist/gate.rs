//! A gate: what stands between a step and the next one, with what a decision at it rests on.

use jiff::Timestamp;
use serde::Serialize;

use super::{Basis, approval_basis, go_basis};
use crate::decide::Around;
use crate::decide::approval::item_row;
use crate::procedure::Procedure;
use crate::release::Release;
use crate::value::{Line, Prose};
use crate::verdict::Row;

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Gate {
    pub step: u32,
    pub name: Line,
    pub expected_output: Prose,
    /// The candidate that the rows are about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub candidate: Option<u32>,
    /// Every earlier gate is satisfied, so that items of this step can be signed.
    pub open: bool,
    /// Every item of the step is closed on the current candidate, but for those that outlive it.
    pub satisfied: bool,
    #[cfg_attr(feature = "openapi", schema(max_items = 50))]
    pub rows: Vec<Row>,
    /// What an approval binds now, at the gates that lead to one; only of the present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approve: Option<Basis>,
    /// What an authorization would be decided on now, at the gate of the decision; only of the present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorize: Option<Basis>,
}

/// The gate after a step; `None` when the procedure has no such step.
pub fn gate(release: &Release, procedure: &Procedure, step: u32) -> Option<Gate> {
    let of = procedure.step(step)?;
    let items = of.items.iter().filter(|item| !item.outlives_step);
    let rows: Vec<_> = items.map(|item| item_row("gate", release, item.number)).collect();
    Some(Gate {
        step,
        name: of.name.clone(),
        expected_output: of.expected_output.clone(),
        candidate: release.current_candidate().map(|candidate| candidate.number),
        open: release.open_before(step, procedure).next().is_none(),
        satisfied: rows.iter().all(|row| row.ok),
        rows,
        approve: None,
        authorize: None,
    })
}

/// The gate as it stands now, with the bases that `approve` and `authorize` take.
pub fn gate_now(release: &Release, around: &Around, now: Timestamp, step: u32) -> Option<Gate> {
    let mut gate = gate(release, &around.procedure, step)?;
    if let Some(item) = around.procedure.approval_item() {
        let decision = item.number.step();
        gate.approve = (step == decision || step + 1 == decision).then(|| approval_basis(release, around));
        gate.authorize = (step == decision).then(|| go_basis(release, around, now));
    }
    Some(gate)
}

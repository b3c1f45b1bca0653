//! What a person puts their name to. In the sense of 21 CFR 11.50 these are signatures: who, when and with which
//! meaning is in the event and its header, and the printed name is there by reference.

use super::{Context, Decided};
use crate::event::{ReleaseEvent, SignedAs};

/// Says of each signature by which name it was signed, where the directory has one.
pub(super) fn sign(decided: &mut [Decided<ReleaseEvent>], ctx: &Context<'_>) {
    let Some(name) = ctx.around.people.signed_as(ctx.actor) else { return };
    for signed_as in decided.iter_mut().filter_map(|one| signed_as(&mut one.event)) {
        *signed_as = Some(name.clone());
    }
}

/// A decision, an authorization or a statement that somebody answers for. Requests, comments, evidence and what
/// machines report are none. A disposition says it itself, because environments have them too.
fn signed_as(event: &mut ReleaseEvent) -> Option<&mut Option<SignedAs>> {
    use ReleaseEvent as E;

    Some(match event {
        E::ItemAttested(signed) => &mut signed.signed_as,
        E::ItemReaffirmed(signed) => &mut signed.signed_as,
        E::ItemMarkedNotApplicable(signed) => &mut signed.signed_as,
        E::ItemWaiverGranted(signed) => &mut signed.signed_as,
        E::ItemWaiverDenied(signed) => &mut signed.signed_as,
        E::ApprovalGranted(signed) => &mut signed.signed_as,
        E::ApprovalRejected(signed) => &mut signed.signed_as,
        E::RollCallAnswered(signed) => &mut signed.signed_as,
        E::RollCallAmended(signed) => &mut signed.signed_as,
        E::ProductionAuthorized(signed) => &mut signed.signed_as,
        E::BreakGlassAuthorized(signed) => &mut signed.signed_as,
        E::ApprovedAfterStart(signed) => &mut signed.signed_as,
        E::ProceedDecided(signed) => &mut signed.signed_as,
        E::RollbackDecided(signed) => &mut signed.signed_as,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::value::RawValue;

    use super::*;

    #[derive(Deserialize)]
    struct Golden {
        #[serde(rename = "type")]
        event_type: String,
        schema: u32,
        data: Box<RawValue>,
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "what was ever written is kept in files")]
    fn every_event_that_was_ever_signed_by_a_name_is_signed_here() {
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
        let files = std::fs::read_dir(golden).unwrap().map(|file| file.unwrap().path());
        let mut signed = 0;
        for file in files.filter(|file| file.to_string_lossy().ends_with(".v1.signed.json")) {
            let golden: Golden = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
            // A disposition says it itself.
            if golden.event_type == "exception.disposed" {
                continue;
            }
            let mut event: ReleaseEvent =
                crate::wire::decode(&golden.event_type, golden.schema, golden.data.get().as_bytes()).unwrap();
            assert!(matches!(signed_as(&mut event), Some(Some(_))), "{}", golden.event_type);
            signed += 1;
        }
        assert_eq!(signed, 14);
    }
}

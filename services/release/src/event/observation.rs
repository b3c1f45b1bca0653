//! What was seen from outside.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{EnvironmentPurpose, Governance, Input};
use crate::observation::Seen;
use crate::value::Link;
use crate::verdict::Row;

data! {
    ObservationRecorded {
        observation: Uuid,
        seen: Seen,
        /// Of a deployment that nothing here started: what it would have needed, and what is not as it was built.
        #[cfg_attr(feature = "openapi", schema(max_items = 200))]
        rows: Vec<Row>,
    } optional {
        /// The candidate it is about.
        candidate: u32,
        /// The deployment it confirms.
        deployment: Uuid,
        /// What the settings say the environment is for.
        purpose: EnvironmentPurpose,
        /// Whether a release answers for the deployment.
        governance: Governance,
        url: Link,
        /// How far the source's clock ran ahead.
        skew_ms: i64,
        /// Snapshots of other streams the decision read.
        #[cfg_attr(feature = "openapi", schema(max_items = 100))]
        inputs: Vec<Input>,
    };

    /// The tag of a candidate was there and is no more.
    CandidateTagDeleted { number: u32, observation: Uuid, };
}

//! How a reader tells that this is what was recorded, all of it, and unchanged since.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::Story;
use crate::release::Seal;
use crate::report::controls::ControlMappingRef;
use crate::value::{Name, ReleaseId, Sha256Hex};

shapes! {
    Integrity {
        #[cfg_attr(feature = "openapi", schema(max_length = 300))]
        stream: String,
        /// How many events the log has at the position of this report, and the RFC 6962 root over their leaves.
        tree_size: u64,
        root: Sha256Hex,
        /// The root over the leaves of the events below, which are all events of the release up to this position.
        stream_root: Sha256Hex,
        /// Every event, by revision. What is hashed into the tree is its header, which binds the data.
        #[cfg_attr(feature = "openapi", schema(max_items = 20_000))]
        events: Vec<EventHash>,
        /// Where the inclusion proof of an event is found, by its id: it names the leaf index.
        #[cfg_attr(feature = "openapi", schema(max_length = 100))]
        proof: &'static str,
        /// Where the whole of a sealed release is found as one file that verifies itself.
        #[cfg_attr(feature = "openapi", schema(max_length = 200))]
        bundle: String,
        /// What verifies it, offline.
        #[cfg_attr(feature = "openapi", schema(max_length = 300))]
        verify: &'static str,
        /// What makes these very bytes again from it, offline.
        #[cfg_attr(feature = "openapi", schema(max_length = 500))]
        regenerate: String,
        /// Events whose data are not shown as they were recorded. There are none: data are never taken out of the
        /// log, and persons are named by reference.
        #[cfg_attr(feature = "openapi", schema(max_items = 20_000))]
        redactions: Vec<u64>,
    } nullable {
        /// The last seal; null while the release has not ended.
        seal: ReportedSeal,
    };

    ReportedSeal {
        /// The release is complete up to here.
        revision: u64,
        /// How many events there are before it, and the root over them.
        count: u64,
        root: Sha256Hex,
    };

    EventHash {
        revision: u64,
        event: Uuid,
        #[cfg_attr(feature = "openapi", schema(max_length = 64))]
        r#type: String,
        schema: u32,
        recorded_at: Timestamp,
        leaf: Sha256Hex,
        data_length: u64,
        data_sha256: Sha256Hex,
    };
}

pub(super) fn of(story: &Story<'_>) -> Integrity {
    let material = story.material;
    let id = story.release.id().as_ref().map(ReleaseId::to_string).unwrap_or_default();
    let controls = match &material.controls.reference {
        built_in if built_in.name == Name::common_frameworks() => String::new(),
        ControlMappingRef { name, version, .. } => {
            format!(" --control-mapping {name} --control-mapping-version {version}")
        }
    };
    let (tenant, position, months) = (material.tenant, material.position, material.retention_months);
    Integrity {
        stream: material.stream.to_owned(),
        tree_size: position + 1,
        root: material.root.clone(),
        stream_root: material.stream_root.clone(),
        events: story
            .events()
            .map(|(fact, provenance)| EventHash {
                revision: fact.revision,
                event: fact.id,
                r#type: provenance.event_type.clone(),
                schema: provenance.schema,
                recorded_at: fact.recorded_at,
                leaf: provenance.leaf.clone(),
                data_length: provenance.data_length,
                data_sha256: provenance.data_sha256.clone(),
            })
            .collect(),
        proof: "/v1/events/{event}/proof",
        bundle: format!("/v1/releases/{id}/bundle"),
        verify: "shiplog verify BUNDLE --policy POLICY",
        regenerate: format!(
            "shiplog report --bundle BUNDLE --policy POLICY --tenant {tenant} --release {id} --at-position {position} --retention-months {months}{controls} --expect SHA256"
        ),
        redactions: Vec::new(),
        seal: story.release.sealed.as_ref().map(|Seal { count, root, revision }| ReportedSeal {
            revision: *revision,
            count: *count,
            root: root.clone(),
        }),
    }
}

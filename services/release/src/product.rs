//! A product: its settings as immutable, numbered versions, and the digests that were rejected. A
//! release pins one version of the settings and its hash.
//!
//! Stream `product-{tenant}.{name}`.

pub mod readiness;
pub mod settings;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::actor::Role;
use crate::aggregate::{Aggregate, Context, Decided};
use crate::command::commands;
use crate::event::{
    Fact, ObservationRecorded, ProductDigestRejected, ProductEvent, ProductRegistered,
    ProductSettingsPublished, SettingsRef,
};
use crate::guard::{one, refuse, role, role_or_system, room};
use crate::observation::{OBSERVERS, RecordObservation, skew_ms};
use crate::refusal::{Refusal, RefusalCode};
use crate::value::{ActorId, Digest, Name, Prose, ReleaseId, Sha256Hex};

pub use settings::ProductSettings;

/// How many versions of its settings a product may have.
pub const MAX_VERSIONS: usize = 500;
/// How many digests of a product may be rejected.
pub const MAX_REJECTED_DIGESTS: usize = 5_000;

/// Everything that can be asked of a product.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum ProductCommand {
    Register(Box<RegisterProduct>),
    PublishSettings(Box<PublishSettings>),
    RejectDigest(RejectDigest),
    RecordObservation(Box<RecordObservation>),
}

commands! {
    /// A name is enough: what the settings do not say has a default.
    RegisterProduct { name: Name, } defaulted { settings: ProductSettings, };

    /// The whole settings, not a change to them: what is left out has its default again.
    PublishSettings { settings: ProductSettings, } optional { why: Prose, };

    /// From now on only two approvers can authorize a candidate with this digest.
    RejectDigest { digest: Digest, reason: Prose, } optional {
        /// The release whose candidate it belongs to.
        release: ReleaseId,
    };
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Product {
    /// Absent until the product is registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Oldest first; the last one is what new releases pin.
    #[cfg_attr(feature = "openapi", schema(max_items = 500))]
    pub versions: Vec<SettingsVersion>,
    pub rejected_digests: BTreeMap<Digest, DigestRejection>,
    /// How many events the stream holds.
    pub events: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
}

/// One version of the settings, as published.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SettingsVersion {
    pub version: u32,
    /// SHA-256 over [`ProductSettings::bytes`].
    pub hash: Sha256Hex,
    #[cfg_attr(feature = "openapi", schema(value_type = ProductSettings))]
    pub settings: Arc<ProductSettings>,
    pub published_at: Timestamp,
    pub published_by: ActorId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<Prose>,
}

impl SettingsVersion {
    pub fn reference(&self) -> SettingsRef {
        SettingsRef { version: self.version, hash: self.hash.clone() }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DigestRejection {
    pub reason: Prose,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseId>,
    pub at: Timestamp,
    pub by: ActorId,
}

impl Product {
    /// The newest settings; `None` until the product is registered.
    pub fn current(&self) -> Option<&SettingsVersion> {
        self.versions.last()
    }

    pub fn version(&self, version: u32) -> Option<&SettingsVersion> {
        self.versions.iter().find(|published| published.version == version)
    }

    /// Why the digest may not be authorized by fewer than two approvers.
    pub fn rejection(&self, digest: &Digest) -> Option<&DigestRejection> {
        self.rejected_digests.get(digest)
    }
}

impl Aggregate for Product {
    type Event = ProductEvent;
    type Command = ProductCommand;
    type Around = ();

    fn evolve(&mut self, fact: &Fact<ProductEvent>) {
        self.events = fact.revision.saturating_add(1);
        self.updated_at = Some(fact.recorded_at);
        match &fact.event {
            ProductEvent::ProductRegistered(registered) => {
                self.name = Some(registered.product.clone());
                self.versions.push(SettingsVersion {
                    version: registered.version,
                    hash: registered.hash.clone(),
                    settings: Arc::new(registered.settings.clone()),
                    published_at: fact.recorded_at,
                    published_by: fact.by.id.clone(),
                    why: None,
                });
            }
            ProductEvent::ProductSettingsPublished(published) => self.versions.push(SettingsVersion {
                version: published.version,
                hash: published.hash.clone(),
                settings: Arc::new(published.settings.clone()),
                published_at: fact.recorded_at,
                published_by: fact.by.id.clone(),
                why: published.why.clone(),
            }),
            ProductEvent::ObservationRecorded(_) => {}
            ProductEvent::ProductDigestRejected(rejected) => {
                self.rejected_digests.insert(
                    rejected.digest.clone(),
                    DigestRejection {
                        reason: rejected.reason.clone(),
                        release: rejected.release.clone(),
                        at: fact.recorded_at,
                        by: fact.by.id.clone(),
                    },
                );
            }
        }
    }

    fn decide(&self, command: &ProductCommand, ctx: &Context<'_, ()>) -> Decision {
        match command {
            ProductCommand::Register(body) => register(self, body, ctx),
            ProductCommand::PublishSettings(body) => publish_settings(self, body, ctx),
            ProductCommand::RejectDigest(body) => reject_digest(self, body, ctx),
            ProductCommand::RecordObservation(body) => record_observation(self, body, ctx),
        }
    }
}

type Decision = Result<Vec<Decided<ProductEvent>>, Refusal>;

fn register(product: &Product, body: &RegisterProduct, ctx: &Context<'_, ()>) -> Decision {
    role(ctx, &[Role::Admin])?;
    if let Some(name) = &product.name {
        return refuse(RefusalCode::ProductExists, format!("{name} is registered"));
    }
    let hash = sound(&body.settings)?;
    one(ProductRegistered { product: body.name.clone(), version: 1, hash, settings: body.settings.clone() })
}

fn publish_settings(product: &Product, body: &PublishSettings, ctx: &Context<'_, ()>) -> Decision {
    role(ctx, &[Role::Admin])?;
    let current = registered(product)?;
    if *current.settings == body.settings {
        return refuse(RefusalCode::NothingChanged, format!("version {} says exactly this", current.version));
    }
    room("versions of the settings", product.versions.len(), MAX_VERSIONS)?;
    let hash = sound(&body.settings)?;
    one(ProductSettingsPublished {
        version: current.version.saturating_add(1),
        hash,
        settings: body.settings.clone(),
        why: body.why.clone(),
    })
}

/// Sent by the server when a release rejects its candidate.
fn reject_digest(product: &Product, body: &RejectDigest, ctx: &Context<'_, ()>) -> Decision {
    role_or_system(ctx, &[Role::ReleaseManager])?;
    registered(product)?;
    if let Some(rejection) = product.rejection(&body.digest) {
        return refuse(
            RefusalCode::NothingChanged,
            format!("{} was rejected at {}", body.digest, rejection.at),
        );
    }
    room("rejected digests", product.rejected_digests.len(), MAX_REJECTED_DIGESTS)?;
    one(ProductDigestRejected {
        digest: body.digest.clone(),
        reason: body.reason.clone(),
        release: body.release.clone(),
    })
}

/// Seen, and of no release that is known.
fn record_observation(product: &Product, body: &RecordObservation, ctx: &Context<'_, ()>) -> Decision {
    registered(product)?;
    role(ctx, &OBSERVERS)?;
    let recorded = ObservationRecorded {
        observation: (ctx.event_id)(0),
        seen: body.seen.clone(),
        rows: Vec::new(),
        candidate: None,
        deployment: None,
        purpose: None,
        governance: None,
        url: body.url.clone(),
        skew_ms: skew_ms(body.at, ctx.now),
        inputs: None,
    };
    Ok(vec![Decided::at(body.at, recorded)])
}

fn registered(product: &Product) -> Result<&SettingsVersion, Refusal> {
    product
        .current()
        .ok_or_else(|| Refusal::new(RefusalCode::ProductUnknown, "no such product is registered"))
}

/// The hash of settings that contradict nothing and fit in an event.
fn sound(settings: &ProductSettings) -> Result<Sha256Hex, Refusal> {
    let rows = settings.contradictions();
    if !rows.is_empty() {
        return Err(Refusal::new(
            RefusalCode::SettingsInvalid,
            format!("{} entries of the settings contradict each other", rows.len()),
        )
        .with_rows(rows));
    }
    let length = settings.bytes().len();
    if length > settings::MAX_BYTES {
        return refuse(RefusalCode::TooLarge, format!("{length} of {} bytes", settings::MAX_BYTES));
    }
    Ok(settings.hash())
}

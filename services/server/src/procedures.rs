//! Procedure versions: those built in, and those published in a tenant's registry. A version never
//! changes, so each is parsed once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use eventlog::StreamId;
use release::event::Input;
use release::procedure::{self, Procedure, ProcedureRef};
use release::procedures::BUILT_IN;
use release::value::Name;
use release::{Refusal, RefusalCode};

use crate::app::App;
use crate::names;
use crate::surroundings::{SurroundingsError, input};

/// How many published versions are kept parsed.
const PARSED: usize = 200;

pub struct Catalogue {
    built_in: BTreeMap<(Name, u32), BuiltIn>,
    parsed: quick_cache::sync::Cache<(StreamId, u32), Arc<Procedure>>,
}

/// A version that comes with the program.
pub struct BuiltIn {
    pub procedure: Arc<Procedure>,
    pub reference: ProcedureRef,
    /// The bytes that were hashed.
    pub bytes: &'static [u8],
}

/// What a new release pins, and where that was read.
pub struct Pinned {
    pub procedure: Arc<Procedure>,
    pub reference: ProcedureRef,
    pub input: Input,
}

impl Catalogue {
    pub fn new() -> Result<Self, serde_json::Error> {
        let mut built_in = BTreeMap::new();
        for (_, bytes) in BUILT_IN.iter().copied() {
            let procedure: Procedure = serde_json::from_slice(bytes)?;
            let reference = ProcedureRef {
                name: procedure.name.clone(),
                version: procedure.version,
                hash: procedure::hash(bytes),
            };
            let key = (procedure.name.clone(), procedure.version);
            built_in.insert(key, BuiltIn { procedure: Arc::new(procedure), reference, bytes });
        }
        Ok(Self { built_in, parsed: quick_cache::sync::Cache::new(PARSED) })
    }

    pub fn names(&self) -> impl Iterator<Item = &Name> {
        let names: BTreeSet<_> = self.built_in.keys().map(|(name, _)| name).collect();
        names.into_iter()
    }

    pub fn built_in(&self, name: &Name) -> impl Iterator<Item = &BuiltIn> {
        self.built_in.values().filter(move |known| known.reference.name == *name)
    }
}

/// The version a release is pinned to.
pub async fn pinned(
    app: &App,
    tenant: &str,
    reference: &ProcedureRef,
) -> Result<Arc<Procedure>, SurroundingsError> {
    let ProcedureRef { name, version, .. } = reference;
    if let Some(known) = app.catalogue.built_in.get(&(name.clone(), *version)) {
        return Ok(Arc::clone(&known.procedure));
    }
    let stream = names::procedure(tenant, name)?;
    let key = (stream.clone(), *version);
    if let Some(parsed) = app.catalogue.parsed.get(&key) {
        return Ok(parsed);
    }
    let gone = || SurroundingsError::ProcedureGone { name: name.clone(), version: *version };
    let mut registry = app.procedures.load(&stream).await?.committed();
    if registry.state.version(*version).is_none() {
        // Whoever names a version read it in the log, which may have it before memory does.
        registry = app.procedures.load_again(&stream).await?.committed();
    }
    let published = registry.state.version(*version).ok_or_else(gone)?;
    let parsed: Procedure = serde_json::from_str(published.procedure.as_str()).map_err(|_| gone())?;
    let parsed = Arc::new(parsed);
    app.catalogue.parsed.insert(key, Arc::clone(&parsed));
    Ok(parsed)
}

/// The version a new release pins: the one asked for, else the one in force.
pub async fn pin(
    app: &App,
    tenant: &str,
    name: &Name,
    version: Option<u32>,
) -> Result<Result<Pinned, Refusal>, SurroundingsError> {
    let stream = names::procedure(tenant, name)?;
    let registry = app.procedures.load(&stream).await?.committed();
    let reference = match registry.state.pin(name, version) {
        Ok(reference) => reference,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let procedure = pinned(app, tenant, &reference).await?;
    Ok(Ok(Pinned { procedure, reference, input: input(&stream, registry.revision) }))
}

pub fn unknown(name: &Name) -> Refusal {
    Refusal::new(RefusalCode::ProcedureUnknown, format!("no procedure {name} is built in or published"))
}

//! Procedure versions by name and number: those built in, each with its hash.

use std::collections::BTreeMap;
use std::sync::Arc;

use release::procedure::{self, Procedure, ProcedureRef};
use release::procedures::BUILT_IN;
use release::value::Name;

/// A version with the reference a release pins.
#[derive(Debug, Clone)]
pub struct Version {
    pub procedure: Arc<Procedure>,
    pub reference: ProcedureRef,
    /// The bytes that were hashed.
    pub bytes: &'static [u8],
}

pub struct Procedures {
    built_in: BTreeMap<(Name, u32), Version>,
}

impl Procedures {
    pub fn built_in() -> Result<Self, serde_json::Error> {
        let mut built_in = BTreeMap::new();
        for (_, bytes) in BUILT_IN.iter().copied() {
            let procedure: Procedure = serde_json::from_slice(bytes)?;
            let reference = ProcedureRef {
                name: procedure.name.clone(),
                version: procedure.version,
                hash: procedure::hash(bytes),
            };
            let key = (procedure.name.clone(), procedure.version);
            built_in.insert(key, Version { procedure: Arc::new(procedure), reference, bytes });
        }
        Ok(Self { built_in })
    }

    /// The version a release is pinned to.
    pub fn pinned(&self, reference: &ProcedureRef) -> Option<&Version> {
        self.built_in.get(&(reference.name.clone(), reference.version))
    }

    /// A version by number, or the newest.
    pub fn find(&self, name: &Name, version: Option<u32>) -> Option<&Version> {
        match version {
            Some(version) => self.built_in.get(&(name.clone(), version)),
            None => self.all().filter(|known| known.reference.name == *name).last(),
        }
    }

    pub fn all(&self) -> impl Iterator<Item = &Version> {
        self.built_in.values()
    }
}

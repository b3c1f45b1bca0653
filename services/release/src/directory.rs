//! The directory of people: which accounts and commit author keys belong to which actor.
//!
//! Stream `directory-{tenant}`. It holds ids, keyed hashes and salted hashes only. Names and addresses stay outside
//! the log, where they can be erased; `directory_ref` points to them and means nothing by itself. A printed name is
//! a [record](name_record) in the vault, under the hash that the log has of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::actor::{Actor, Role};
use crate::aggregate::{Aggregate, Context, Decided};
use crate::command::commands;
use crate::event::{
    DirectoryEvent, Fact, IdentityLinked, IdentityUnlinked, Input, PersonErased, PersonNamed, SignedAs,
};
use crate::guard::{failed, one, refuse, role, room};
use crate::refusal::{Refusal, RefusalCode};
use crate::value::{ActorId, AuthorKey, List, PersonName, Prose, Sha256Hex};
use crate::verdict::Cause;
use crate::wire::hex;

/// How many actors the directory may hold.
pub const MAX_IDENTITIES: usize = 10_000;
/// How many keys may be linked to one actor.
pub const MAX_KEYS: usize = 50;
/// How many names may be given to one actor, one after the other.
pub const MAX_NAMES: usize = 50;

/// Everything that can be asked of the directory.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum DirectoryCommand {
    Link(LinkIdentity),
    Unlink(UnlinkIdentity),
    Name(NamePerson),
    Erase(ErasePerson),
}

commands! {
    /// What is given is added to what the directory holds of the actor.
    LinkIdentity { actor: ActorId, } optional {
        /// Where the erasable part of the entry is found. Actors with the same one are one person.
        directory_ref: Uuid,
    } defaulted {
        keys: List<AuthorKey, 20>,
    };

    /// Without keys, the whole entry.
    UnlinkIdentity { actor: ActorId, reason: Prose, } defaulted { keys: List<AuthorKey, 20>, };

    /// Destroys every name that the person was printed by, through whichever of their actors it was given.
    ErasePerson { actor: ActorId, reason: Prose, };
}

/// Gives an actor the name that is kept under the hash. A fingerprint of the command must not be one of the name, so
/// it has none: the log keeps it for ever.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NamePerson {
    pub actor: ActorId,
    #[serde(skip)]
    pub name_sha256: Sha256Hex,
}

/// A printed name with its salt, as it is kept: the hash of these bytes is all that the log has of it. Without the
/// salt nobody can tell whether a name that they guess is the one.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NameRecord<N> {
    name: N,
    salt: String,
}

/// The bytes that are kept of a name.
pub fn name_record(name: &PersonName, salt: [u8; 16]) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&NameRecord { name, salt: hex(&salt) })
}

/// The name in bytes that were kept.
pub fn name_in(record: &[u8]) -> serde_json::Result<PersonName> {
    serde_json::from_slice(record).map(|NameRecord { name, .. }| name)
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Directory {
    pub identities: BTreeMap<ActorId, Identity>,
    /// Every name that was given, oldest first, also of actors that are linked to nothing any more: what is kept can
    /// be erased.
    pub names: BTreeMap<ActorId, Vec<GivenName>>,
    /// How many events the stream holds.
    pub events: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
}

/// What one actor is known by elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Identity {
    #[cfg_attr(feature = "openapi", schema(max_items = 50))]
    pub keys: BTreeSet<AuthorKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory_ref: Option<Uuid>,
    pub since: Timestamp,
    pub updated_at: Timestamp,
}

/// A name that an actor is or was printed by.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct GivenName {
    /// Over the name and its salt, which are kept outside of the log.
    pub sha256: Sha256Hex,
    /// Of the event in the directory's stream that gave it.
    pub revision: u64,
    pub given_at: Timestamp,
    /// Since when name and salt are destroyed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erased_at: Option<Timestamp>,
}

impl Directory {
    /// The name that the actor is printed by.
    pub fn name(&self, actor: &ActorId) -> Option<&GivenName> {
        self.identity(actor)?;
        self.names.get(actor)?.last().filter(|name| name.erased_at.is_none())
    }

    /// A name that an actor has or had, by its hash.
    pub fn given_name(&self, actor: &ActorId, sha256: &Sha256Hex) -> Option<&GivenName> {
        self.names.get(actor)?.iter().find(|name| name.sha256 == *sha256)
    }

    /// The names of the person that are erased.
    pub fn erased_names(&self, actor: &ActorId) -> Vec<Sha256Hex> {
        let own: BTreeSet<_> = self.actors_of(actor).chain([actor]).collect();
        let names = self.names.iter().filter(|(id, _)| own.contains(id)).flat_map(|(_, names)| names);
        names.filter(|name| name.erased_at.is_some()).map(|name| name.sha256.clone()).collect()
    }

    /// The names of the person that are not erased, by the actor that they were given to.
    fn kept_names(&self, actor: &ActorId) -> Vec<(&ActorId, Vec<Sha256Hex>)> {
        let own: BTreeSet<_> = self.actors_of(actor).chain([actor]).collect();
        let kept = |(id, names): (_, &Vec<GivenName>)| {
            let kept = names.iter().filter(|name| name.erased_at.is_none());
            (id, kept.map(|name| name.sha256.clone()).collect::<Vec<_>>())
        };
        let of_person = self.names.iter().filter(|(id, _)| own.contains(id)).map(kept);
        of_person.filter(|(_, kept)| !kept.is_empty()).collect()
    }

    pub fn identity(&self, actor: &ActorId) -> Option<&Identity> {
        self.identities.get(actor)
    }

    /// Every key the person is known by, through whichever of their actors it was linked.
    pub fn author_keys(&self, actor: &ActorId) -> BTreeSet<&AuthorKey> {
        self.actors_of(actor).filter_map(|own| self.identities.get(own)).flat_map(|own| &own.keys).collect()
    }

    /// Whether two actors are known to be one person.
    pub fn same_person(&self, one: &ActorId, other: &ActorId) -> bool {
        let person = |actor| self.identity(actor).and_then(|identity| identity.directory_ref);
        one == other || person(one).is_some_and(|known| person(other) == Some(known))
    }

    fn actors_of<'d>(&'d self, actor: &'d ActorId) -> impl Iterator<Item = &'d ActorId> {
        let person = self.identities.get(actor).and_then(|identity| identity.directory_ref);
        self.identities
            .iter()
            .filter(move |(id, identity)| {
                *id == actor || (person.is_some() && identity.directory_ref == person)
            })
            .map(|(id, _)| id)
    }
}

impl AsRef<Self> for Directory {
    fn as_ref(&self) -> &Self {
        self
    }
}

/// The directory as a decision reads it, wherever two different people are asked for. Without one,
/// every actor is a person of their own.
#[derive(Clone, Default)]
pub struct People {
    directory: Option<Arc<dyn AsRef<Directory> + Send + Sync>>,
    input: Option<Input>,
}

impl People {
    pub fn read(directory: Arc<dyn AsRef<Directory> + Send + Sync>, input: Input) -> Self {
        Self { directory: Some(directory), input: Some(input) }
    }

    pub fn same(&self, one: &ActorId, other: &ActorId) -> bool {
        match &self.directory {
            Some(directory) => directory.as_ref().as_ref().same_person(one, other),
            None => one == other,
        }
    }

    /// How many people they are.
    pub fn count<'a>(&self, actors: impl IntoIterator<Item = &'a ActorId>) -> usize {
        let mut people: Vec<&ActorId> = Vec::new();
        for actor in actors {
            if !people.iter().any(|known| self.same(known, actor)) {
                people.push(actor);
            }
        }
        people.len()
    }

    /// By which name a person signs now; a machine has none.
    pub fn signed_as(&self, actor: &Actor) -> Option<SignedAs> {
        let directory = self.directory.as_deref().filter(|_| actor.is_person())?.as_ref();
        let name = directory.name(&actor.id)?;
        Some(SignedAs { revision: name.revision, name_sha256: name.sha256.clone() })
    }

    /// What events say of it that rest on it.
    pub fn inputs(&self) -> Option<Vec<Input>> {
        self.input.clone().map(|input| vec![input])
    }
}

impl Aggregate for Directory {
    type Event = DirectoryEvent;
    type Command = DirectoryCommand;
    type Around = ();

    fn evolve(&mut self, fact: &Fact<DirectoryEvent>) {
        self.events = fact.revision.saturating_add(1);
        self.updated_at = Some(fact.recorded_at);
        match &fact.event {
            DirectoryEvent::IdentityLinked(linked) => {
                let identity = self.entry(&linked.actor, fact.recorded_at);
                identity.keys.extend(linked.keys.iter().cloned());
                identity.directory_ref = linked.directory_ref.or(identity.directory_ref);
                identity.updated_at = fact.recorded_at;
            }
            DirectoryEvent::IdentityUnlinked(unlinked) => {
                if unlinked.entire {
                    self.identities.remove(&unlinked.actor);
                } else if let Some(identity) = self.identities.get_mut(&unlinked.actor) {
                    identity.keys.retain(|key| !unlinked.keys.contains(key));
                    identity.updated_at = fact.recorded_at;
                }
            }
            DirectoryEvent::PersonNamed(named) => {
                self.entry(&named.actor, fact.recorded_at).updated_at = fact.recorded_at;
                self.names.entry(named.actor.clone()).or_default().push(GivenName {
                    sha256: named.name_sha256.clone(),
                    revision: fact.revision,
                    given_at: fact.recorded_at,
                    erased_at: None,
                });
            }
            DirectoryEvent::PersonErased(erased) => {
                for name in self.names.get_mut(&erased.actor).into_iter().flatten() {
                    if erased.names.contains(&name.sha256) {
                        name.erased_at = Some(fact.recorded_at);
                    }
                }
            }
        }
    }

    fn decide(&self, command: &DirectoryCommand, ctx: &Context<'_, ()>) -> Decision {
        match command {
            DirectoryCommand::Link(body) => link(self, body, ctx),
            DirectoryCommand::Unlink(body) => unlink(self, body, ctx),
            DirectoryCommand::Name(body) => name(self, body, ctx),
            DirectoryCommand::Erase(body) => erase(self, body, ctx),
        }
    }
}

impl Directory {
    fn entry(&mut self, actor: &ActorId, at: Timestamp) -> &mut Identity {
        self.identities.entry(actor.clone()).or_insert_with(|| Identity {
            keys: BTreeSet::new(),
            directory_ref: None,
            since: at,
            updated_at: at,
        })
    }
}

type Decision = Result<Vec<Decided<DirectoryEvent>>, Refusal>;

fn link(directory: &Directory, body: &LinkIdentity, ctx: &Context<'_, ()>) -> Decision {
    role(ctx, &[Role::Admin])?;
    let known = directory.identity(&body.actor);
    let held = |key: &AuthorKey| known.is_some_and(|identity| identity.keys.contains(key));
    // A set, because a caller may name a key twice.
    let new: BTreeSet<_> = body.keys.iter().filter(|key| !held(key)).cloned().collect();
    let person = body.directory_ref.or(known.and_then(|identity| identity.directory_ref));
    let moves = known.is_some_and(|identity| identity.directory_ref != person);
    if known.is_some() && new.is_empty() && !moves {
        return refuse(RefusalCode::NothingChanged, format!("{} has these links", body.actor));
    }
    let keys = new.iter().chain(known.filter(|_| moves).into_iter().flat_map(|identity| &identity.keys));
    taken(directory, &body.actor, person, keys)?;
    match known {
        None => room("actors in the directory", directory.identities.len(), MAX_IDENTITIES)?,
        Some(identity) if identity.keys.len() + new.len() > MAX_KEYS => {
            return refuse(RefusalCode::LimitReached, format!("at most {MAX_KEYS} keys for one actor"));
        }
        Some(_) => {}
    }
    one(IdentityLinked {
        actor: body.actor.clone(),
        keys: new.into_iter().collect(),
        directory_ref: body.directory_ref,
    })
}

/// A key belongs to one person: were it two people's, each could approve the other's commits as theirs.
fn taken<'k>(
    directory: &Directory,
    actor: &ActorId,
    person: Option<Uuid>,
    keys: impl Iterator<Item = &'k AuthorKey>,
) -> Result<(), Refusal> {
    let other_person = |holder: &ActorId| {
        let theirs = directory.identity(holder).and_then(|identity| identity.directory_ref);
        holder != actor && (person.is_none() || theirs != person)
    };
    let rows: Vec<_> = keys
        .filter_map(|key| {
            let holder = directory
                .identities
                .iter()
                .find(|(id, identity)| identity.keys.contains(key) && other_person(id))?;
            let input = format!("directory/keys/{key}");
            Some(failed("one_person", input, actor.as_str(), holder.0.as_str(), Cause::Mismatch))
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    let detail = format!("{} keys are linked to somebody else", rows.len());
    Err(Refusal::new(RefusalCode::IdentityTaken, detail).with_rows(rows))
}

fn unlink(directory: &Directory, body: &UnlinkIdentity, ctx: &Context<'_, ()>) -> Decision {
    role(ctx, &[Role::Admin])?;
    let Some(identity) = directory.identity(&body.actor) else {
        return refuse(RefusalCode::IdentityUnknown, format!("the directory does not know {}", body.actor));
    };
    let entire = body.keys.is_empty();
    let gone: BTreeSet<_> =
        identity.keys.iter().filter(|key| entire || body.keys.contains(key)).cloned().collect();
    if !entire && gone.is_empty() {
        return refuse(RefusalCode::NothingChanged, format!("{} has none of these links", body.actor));
    }
    one(IdentityUnlinked {
        actor: body.actor.clone(),
        keys: gone.into_iter().collect(),
        entire,
        reason: body.reason.clone(),
    })
}

fn name(directory: &Directory, body: &NamePerson, ctx: &Context<'_, ()>) -> Decision {
    role(ctx, &[Role::Admin])?;
    if directory.identity(&body.actor).is_none() {
        room("actors in the directory", directory.identities.len(), MAX_IDENTITIES)?;
    }
    if !directory.names.contains_key(&body.actor) {
        room("actors with names", directory.names.len(), MAX_IDENTITIES)?;
    }
    room("names of one actor", directory.names.get(&body.actor).map_or(0, Vec::len), MAX_NAMES)?;
    one(PersonNamed { actor: body.actor.clone(), name_sha256: body.name_sha256.clone() })
}

fn erase(directory: &Directory, body: &ErasePerson, ctx: &Context<'_, ()>) -> Decision {
    role(ctx, &[Role::Admin])?;
    let kept = directory.kept_names(&body.actor);
    if kept.is_empty() {
        return refuse(RefusalCode::NothingChanged, format!("no name is kept of {}", body.actor));
    }
    let erased = kept.into_iter().map(|(actor, names)| {
        Decided::now(PersonErased { actor: actor.clone(), names, reason: body.reason.clone() })
    });
    Ok(erased.collect())
}

//! What a release means: commands, decisions, events, and the state they add up to. Pure: no clock,
//! no file, no socket, no randomness, no async. Time and ids come in with the context of a command.
//!
//! Read [`decide`] for what may happen, [`event`] for what can have happened, [`release`] for what it
//! adds up to, and [`procedure`] for the steps and items as data.

pub mod access;
pub mod actor;
pub mod aggregate;
pub mod calendar;
pub mod canary;
pub mod checklist;
pub mod command;
pub mod control_mappings;
pub mod decide;
pub mod difference;
pub mod directory;
pub mod due;
pub mod environment;
pub mod event;
pub mod evidence;
mod guard;
pub mod installation;
pub mod looks;
pub mod observation;
pub mod procedure;
pub mod procedures;
pub mod product;
pub mod refusal;
pub mod release;
pub mod report;
pub mod retention;
pub mod rule;
pub mod sent_json;
pub mod shared;
#[cfg(feature = "testing")]
pub mod spec;
pub mod strict;
pub mod value;
pub mod verdict;
pub mod wire;

pub use actor::{Actor, ActorKind, Role};
pub use aggregate::{Aggregate, Context, Decided, fold};
pub use calendar::Calendar;
pub use command::Command;
pub use control_mappings::ControlMappings;
pub use directory::Directory;
pub use environment::Environment;
pub use event::{EventData, Fact, ReleaseEvent, Signatory};
pub use guard::role_missing;
pub use procedure::Procedure;
pub use procedures::Procedures;
pub use product::Product;
pub use refusal::{Refusal, RefusalClass, RefusalCode};
pub use release::Release;
pub use retention::Retention;
pub use sent_json::SentJson;

//! `/v1/releases` and everything below.

mod abort;
mod amend;
mod batch;
mod candidates;
mod checklist;
mod comments;
mod complete;
mod deployments;
mod events;
mod evidence;
mod get;
mod hold;
mod items;
mod open;
mod waivers;
mod walk;

//! `/v1/releases` and everything below.

mod abort;
mod amend;
mod approvals;
mod authorize;
mod baselines;
mod batch;
mod bundle;
mod candidates;
mod checklist;
mod comments;
mod complete;
mod deployments;
mod events;
mod evidence;
mod gates;
mod get;
mod hold;
mod items;
mod open;
mod roll_call;
mod rollback;
mod seal;
mod waivers;
mod walk;
mod why;
mod window;

//! What makes each item of version 2 true, and every way in which it is not.

mod break_glass;
mod canary;
mod candidates;
mod duties;
mod exception_kinds;
mod exceptions;
mod gone_back;
mod limits;
mod low_traffic;
mod monitored;
mod not_applicable;
mod policy;
pub mod samples;
mod staging_lost;
mod step1;
mod step2;
mod step3;
mod step4;
mod step5;
mod step6;
mod step7;
mod train;
mod variants;
pub mod walk;
mod why;

use release::spec::Spec;
use release::spec::judged::{around, honest, patched, report};
use release::spec::release::{item, name};
use release::spec::robot;
use release::{Command, Release};
use serde_json::Value;

/// The first report of the item again, changed in this way.
fn later(story: Spec<Release>, number: &str, patch: &Value) -> Spec<Release> {
    let facts = honest(number, &story).remove(0);
    story.reported(number, patched(facts, patch))
}

/// A report about one target.
fn at(target: &str, number: &str, facts: Value, story: Spec<Release>) -> Spec<Release> {
    let mut body = report(facts);
    body.target = Some(name(target));
    let command = Command::RecordEvidence { items: vec![item(number)], body };
    story.when(robot(), command, &around()).accepted()
}

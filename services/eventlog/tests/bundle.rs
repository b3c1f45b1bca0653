//! Bundles as they are written, and everything that may be done to one.

pub mod log;
mod vectors;

use std::io::Cursor;
use std::ops::Range;

use eventlog::bundle::{Rejected, Verified, verify};
use eventlog::fsck::Problem;
use eventlog::tree::Hash;
use log::Log;

/// The one place that verifies: by the log's key and one witness.
pub fn verified(bundle: &[u8], since: Option<&[u8]>) -> Result<Verified, Rejected> {
    verify(Cursor::new(bundle), &log::policy().parse().unwrap(), since, |_| {})
}

fn tampered(bundle: &[u8]) -> Problem {
    match verified(bundle, None).unwrap_err() {
        Rejected::Tampered(problem) => problem,
        other => panic!("{other}"),
    }
}

#[test]
fn given_a_log_when_it_is_bundled_then_every_event_is_told_and_the_checkpoint_holds() {
    let log = Log::of(600);
    let bundle = log.bundle();
    let mut events = Vec::new();
    let policy = log::policy().parse().unwrap();
    let verified = verify(Cursor::new(&bundle), &policy, None, |event| {
        assert_eq!(event.index, events.len() as u64);
        events.push((event.header_bytes.to_vec(), event.data.to_vec()));
    });
    let verified = verified.unwrap();
    assert_eq!(events, log.events);
    assert_eq!((verified.checkpoint.size, verified.checkpoint.root), (600, log.root()));
    assert_eq!((verified.streams, verified.vouched.keys.len(), verified.vouched.witnesses.len()), (3, 1, 1));
    assert_eq!(verified.vouched.time, Some(log::SIGNED_AT));
    assert_eq!(bundle, log.bundle(), "the same log gives the same bytes");
}

#[test]
fn given_logs_of_all_sizes_around_a_tile_then_their_bundles_hold() {
    for size in [0, 1, 2, 255, 256, 257, 511, 512, 513] {
        let verified = verified(&Log::of(size).bundle(), None).unwrap();
        assert_eq!(verified.checkpoint.size, size);
    }
}

#[test]
fn given_more_events_than_a_tile_of_tiles_has_when_bundled_then_the_third_level_is_there_and_holds() {
    let size = 65_536 + 300;
    let bundle = Log::of(size).bundle();
    assert!(bundle.windows(14).any(|path| path == b"tile/2/000.p/1"));
    assert_eq!(verified(&bundle, None).unwrap().checkpoint.size, size);
}

#[test]
fn given_an_older_checkpoint_of_the_same_log_then_every_later_bundle_follows_it() {
    let log = Log::of(300);
    for size in [0, 1, 255, 256, 257, 300] {
        let since = Log::of(size).signed();
        assert_eq!(verified(&log.bundle(), Some(&since)).unwrap().checkpoint.size, 300);
    }
}

#[test]
fn given_a_changed_event_when_verified_then_its_position_is_told() {
    for position in [0, 1, 255, 256, 299] {
        let mut log = Log::of(300);
        let signed = log.signed();
        log.events[position].1[2] ^= 1;
        let bundle = log.bundle_under(&signed);
        assert_eq!(tampered(&bundle), Problem::Data { position: position as u64 });
    }
}

#[test]
fn given_an_entry_that_is_not_in_its_tile_when_verified_then_its_position_is_told() {
    for position in [0, 1, 255, 256, 299] {
        let mut log = Log::of(300);
        let before = log.bundle();
        log.retell(position, |header| header.actor.id = "https://id.example#4712".to_owned());
        // Entries are the new ones, everything else is as it was.
        let after = log.bundle_under(&log.signed());
        let entries = log::member(&after, &log::entries_of(position as u64, 300));
        let mut bundle = before.clone();
        let place = log::member(&before, &log::entries_of(position as u64, 300));
        assert_eq!(place, entries, "as many bytes");
        bundle[place].copy_from_slice(&after[entries]);
        assert_eq!(tampered(&bundle), Problem::Leaf { position: position as u64 });
    }
}

#[test]
fn given_a_log_that_was_rewritten_with_all_its_tiles_when_verified_then_the_root_is_another() {
    let mut log = Log::of(300);
    let signed = log.signed();
    log.retell(17, |header| header.actor.id = "https://id.example#4712".to_owned());
    let found = log.root();
    assert_eq!(
        tampered(&log.bundle_under(&signed)),
        Problem::Root { size: 300, expected: Log::of(300).root(), found }
    );
}

#[test]
fn given_a_small_bundle_when_any_byte_is_changed_then_it_is_refused() {
    let bundle = Log::of(5).bundle();
    assert!(verified(&bundle, None).is_ok());
    let timed = timed_signature(&bundle);
    for at in 0..bundle.len() {
        for change in [1, 0x20, 0x80] {
            let mut changed = bundle.clone();
            changed[at] ^= change;
            let (is, was) = (changed[at] as char, bundle[at] as char);
            match verified(&changed, None) {
                Err(_) => {}
                // Whose name or id is another made a signature of nobody known: it proves no time.
                Ok(verified) => {
                    assert!(timed.contains(&at), "byte {at}, {is:?} for {was:?}");
                    assert_eq!(verified.vouched.time, None);
                }
            }
        }
    }
}

/// Where the name and the id of the key stand that signed the checkpoint's time.
pub fn timed_signature(bundle: &[u8]) -> Range<usize> {
    let checkpoint = log::member(bundle, "checkpoint");
    let name = format!("— {} ", log::ORIGIN);
    let lines = bundle[checkpoint.clone()].windows(name.len()).enumerate();
    let (second, _) = lines.filter(|(_, window)| *window == name.as_bytes()).nth(1).unwrap();
    let begin = checkpoint.start + second;
    // Four bytes of id are six letters of base64.
    begin..begin + name.len() + 6
}

#[test]
fn given_a_bundle_that_ends_early_when_verified_then_it_is_malformed() {
    let bundle = Log::of(5).bundle();
    for end in 0..bundle.len() {
        let refused = verified(&bundle[..end], None);
        assert!(matches!(refused, Err(Rejected::Malformed(_))), "{end}: {refused:?}");
    }
}

#[test]
fn given_events_that_the_checkpoint_does_not_cover_when_written_then_nothing_is() {
    let log = Log::of(5);
    let more = Log::of(6);
    assert!(more.try_bundle_under(&log.signed()).is_err());
    assert!(log.try_bundle_under(&more.signed()).is_err());
    let empty = Hash::of_nothing();
    assert_eq!(Log::of(0).root(), empty);
}

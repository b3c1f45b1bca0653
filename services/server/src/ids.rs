//! Where ids and salts come from.

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The ids of one command's events, and so of the things it creates.
#[derive(Debug, Clone)]
pub enum CommandIds {
    /// Derived from who, where and the idempotency key: the same command gets the same ids on every
    /// node, for ever.
    Keyed { seed: [u8; 32] },
    /// Drawn once for this command; re-deciding after a conflict keeps them.
    Fresh { time: Timestamp, random: [u8; 16] },
}

impl CommandIds {
    pub fn keyed(principal: &str, stream: &str, key: &str) -> Self {
        let mut hash = Sha256::new();
        // Lengths keep the three parts from running into each other.
        for part in [principal, stream, key] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        Self::Keyed { seed: hash.finalize().into() }
    }

    pub fn fresh(now: Timestamp) -> Self {
        Self::Fresh { time: now, random: random() }
    }

    /// The id of the command's n-th event: UUIDv8 when keyed, UUIDv7 otherwise.
    pub fn event(&self, index: usize) -> Uuid {
        match self {
            Self::Keyed { seed } => {
                let mut hash = Sha256::new();
                hash.update(seed);
                hash.update((index as u64).to_be_bytes());
                Uuid::new_v8(first_16(&hash.finalize()))
            }
            Self::Fresh { time, random } => {
                let mut hash = Sha256::new();
                hash.update(random);
                hash.update((index as u64).to_be_bytes());
                let digest = first_16(&hash.finalize());
                let millis = u64::try_from(time.as_millisecond()).unwrap_or(0);
                let mut tail = [0_u8; 10];
                tail.copy_from_slice(&digest[..10]);
                uuid::Builder::from_unix_timestamp_millis(millis, &tail).into_uuid()
            }
        }
    }
}

/// 16 random bytes from a generator that the operating system seeds.
pub fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        // Without randomness salts could be guessed and ids could repeat; nothing can go on safely.
        tracing::error!("there is no randomness; stopping");
        std::process::abort();
    }
    bytes
}

fn first_16(digest: &[u8]) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keyed_ids_depend_on_who_where_and_key_and_on_nothing_else() {
        let id = |p: &str, s: &str, k: &str, n| CommandIds::keyed(p, s, k).event(n);
        assert_eq!(id("a", "s", "k", 0), id("a", "s", "k", 0));
        assert_ne!(id("a", "s", "k", 0), id("a", "s", "k", 1));
        assert_ne!(id("ab", "c", "k", 0), id("a", "bc", "k", 0));
        assert_eq!(id("a", "s", "k", 0).get_version_num(), 8);
    }

    #[test]
    fn fresh_ids_are_time_ordered_and_stable_within_one_command() {
        let ids = CommandIds::fresh(Timestamp::UNIX_EPOCH);
        assert_eq!(ids.event(0), ids.event(0));
        assert_ne!(ids.event(0), ids.event(1));
        assert_eq!(ids.event(0).get_version_num(), 7);
        assert_ne!(CommandIds::fresh(Timestamp::UNIX_EPOCH).event(0), ids.event(0));
    }
}

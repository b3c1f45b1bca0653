//! The Merkle tree of RFC 6962 over the log's leaves: hashes, roots, proofs and how they are verified.
//! Pure arithmetic; [`Nodes`] says where hashes are kept.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// RFC 6962 proofs are never longer than a tree is high.
pub const MAX_PROOF_HASHES: usize = 63;

/// SHA-256 of a leaf or of an inner node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a hash is 32 bytes in base64")]
pub struct InvalidHash;

impl Hash {
    pub const LEN: usize = 32;

    /// RFC 6962 section 2.1: leaves and nodes are hashed in different domains, so that neither can pass
    /// for the other.
    pub fn of_leaf(entry: &[u8]) -> Self {
        let mut sha256 = Sha256::new();
        sha256.update([0]);
        sha256.update(entry);
        Self(sha256.finalize().into())
    }

    pub fn of_node(left: &Self, right: &Self) -> Self {
        let mut bytes = [1; 1 + 2 * Self::LEN];
        bytes[1..=Self::LEN].copy_from_slice(&left.0);
        bytes[1 + Self::LEN..].copy_from_slice(&right.0);
        Self(Sha256::digest(bytes).into())
    }

    /// The root of the tree without leaves.
    pub fn of_nothing() -> Self {
        Self(Sha256::digest([]).into())
    }

    /// One hash has one spelling: other base64 of the same bytes is refused.
    pub fn from_base64(text: &str) -> Result<Self, InvalidHash> {
        let bytes = STANDARD.decode(text).map_err(|_| InvalidHash)?;
        bytes.try_into().map(Self).map_err(|_| InvalidHash)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where the hashes of complete subtrees are kept.
pub trait Nodes {
    type Error;

    /// The hash of the subtree of 2^`level` leaves that begins at leaf `index` * 2^`level`.
    fn node(&self, level: u32, index: u64) -> Result<Hash, Self::Error>;
}

/// The root over hashes that are leaves already, or nodes of one level.
pub fn root_of(hashes: impl IntoIterator<Item = Hash>) -> Hash {
    let mut peaks = Peaks::default();
    hashes.into_iter().for_each(|hash| peaks.push(hash));
    join(peaks.hashes)
}

/// A growing tree of which nothing is kept but what its root takes: the complete subtrees so far, the largest
/// first, as the bits of their count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peaks {
    size: u64,
    hashes: Vec<Hash>,
}

impl Peaks {
    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.hashes.pop() {
                hash = Hash::of_node(&left, &hash);
            }
        }
        self.hashes.push(hash);
        self.size += 1;
    }

    pub fn root(&self) -> Hash {
        join(self.hashes.clone())
    }
}

/// The root over complete subtrees from left to right, each smaller than the one before it.
pub fn join(peaks: Vec<Hash>) -> Hash {
    let joined = peaks.into_iter().rev().reduce(|right, left| Hash::of_node(&left, &right));
    joined.unwrap_or_else(Hash::of_nothing)
}

/// The root of the tree of the first `size` leaves.
pub fn root<N: Nodes>(nodes: &N, size: u64) -> Result<Hash, N::Error> {
    subtree(nodes, 0, size)
}

/// The hash over leaves `begin..end`, where `begin` is a multiple of the power of two that holds them.
fn subtree<N: Nodes>(nodes: &N, begin: u64, end: u64) -> Result<Hash, N::Error> {
    let mut peaks = Vec::new();
    let mut at = begin;
    while at < end {
        let level = (end - at).ilog2();
        peaks.push(nodes.node(level, at >> level)?);
        at += 1 << level;
    }
    Ok(join(peaks))
}

/// The largest power of two below `count`, which is at least 2.
fn split(count: u64) -> u64 {
    1 << (count - 1).ilog2()
}

/// The hashes that lead from leaf `index` to the root of the first `size` leaves, the leaf's sibling first.
/// Nothing is proved of a leaf that is not there.
pub fn inclusion<N: Nodes>(nodes: &N, index: u64, size: u64) -> Result<Vec<Hash>, N::Error> {
    let mut path = Vec::new();
    if index >= size {
        return Ok(path);
    }
    let (mut begin, mut end) = (0, size);
    while end - begin > 1 {
        let middle = begin + split(end - begin);
        if index < middle {
            path.push(subtree(nodes, middle, end)?);
            end = middle;
        } else {
            path.push(subtree(nodes, begin, middle)?);
            begin = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The hashes that show that the first `new` leaves begin with the first `old` ones. Empty for `old` of 0,
/// which every tree begins with, and for equal sizes.
pub fn consistency<N: Nodes>(nodes: &N, old: u64, new: u64) -> Result<Vec<Hash>, N::Error> {
    let mut path = Vec::new();
    if old == 0 || old >= new {
        return Ok(path);
    }
    let (mut begin, mut end) = (0, new);
    while old != end {
        let middle = begin + split(end - begin);
        if old <= middle {
            path.push(subtree(nodes, middle, end)?);
            end = middle;
        } else {
            path.push(subtree(nodes, begin, middle)?);
            begin = middle;
        }
    }
    // The verifier has the old root, so it needs its last subtree only when there are others.
    if begin > 0 {
        path.push(subtree(nodes, begin, end)?);
    }
    path.reverse();
    Ok(path)
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    #[error("leaf {index} is not in a tree of {size}")]
    Outside { index: u64, size: u64 },
    #[error("a tree of {new} does not begin with one of {old}")]
    Shrunk { old: u64, new: u64 },
    #[error("the proof has {found} hashes, which is not what its sizes ask for")]
    Length { found: usize },
    #[error("the proof does not lead to the root")]
    Root,
    #[error("the proof does not lead to the old root")]
    OldRoot,
}

/// Whether `leaf` is number `index` of the `size` leaves under `root`; RFC 9162 section 2.1.3.2.
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::Outside { index, size });
    }
    let (mut node, mut last) = (index, size - 1);
    let mut hash = *leaf;
    let wrong_length = ProofError::Length { found: proof.len() };
    for sibling in proof {
        if last == 0 {
            return Err(wrong_length);
        }
        if node & 1 == 1 || node == last {
            hash = Hash::of_node(sibling, &hash);
            // The node is the last of its level and has no sibling for as long as it is a left child.
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = Hash::of_node(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(wrong_length);
    }
    if hash == *root { Ok(()) } else { Err(ProofError::Root) }
}

/// The root of the tree that ends with the leaf of an inclusion proof: what lies before the leaf is in the proof,
/// whatever came after it. Only as good as the proof is, so that is verified first.
pub fn root_ending_with(leaf: &Hash, index: u64, size: u64, proof: &[Hash]) -> Hash {
    let (mut node, mut last) = (index, size.saturating_sub(1));
    let mut hash = *leaf;
    for sibling in proof {
        if node & 1 == 1 || node == last {
            hash = Hash::of_node(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        }
        node >>= 1;
        last >>= 1;
    }
    hash
}

/// Whether the tree of `new` leaves under `new_root` begins with the one of `old` leaves under `old_root`;
/// RFC 9162 section 2.1.4.2.
pub fn verify_consistency(
    old: u64,
    new: u64,
    proof: &[Hash],
    old_root: &Hash,
    new_root: &Hash,
) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::Shrunk { old, new });
    }
    let wrong_length = ProofError::Length { found: proof.len() };
    if old == 0 || old == new {
        if !proof.is_empty() {
            return Err(wrong_length);
        }
        if old == 0 && *old_root != Hash::of_nothing() {
            return Err(ProofError::OldRoot);
        }
        return if old == 0 || old_root == new_root { Ok(()) } else { Err(ProofError::Root) };
    }
    let mut rest = proof.iter();
    // The old tree is one complete subtree, whose hash the verifier has.
    let first = if old.is_power_of_two() { Some(old_root) } else { rest.next() };
    let Some(first) = first else { return Err(wrong_length) };
    let (mut node, mut last) = (old - 1, new - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return Err(wrong_length);
        }
        if node & 1 == 1 || node == last {
            old_hash = Hash::of_node(sibling, &old_hash);
            new_hash = Hash::of_node(sibling, &new_hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = Hash::of_node(&new_hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(wrong_length);
    }
    if old_hash != *old_root {
        return Err(ProofError::OldRoot);
    }
    if new_hash == *new_root { Ok(()) } else { Err(ProofError::Root) }
}

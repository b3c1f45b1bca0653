//! Roots and proofs, against published values and two other implementations, byte for byte.

use std::cell::RefCell;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use eventlog::tree::{
    Hash, ProofError, consistency, inclusion, root, root_ending_with, root_of, verify_consistency,
    verify_inclusion,
};
use proptest::prelude::*;
use sha2::Sha256;
use tlog_tiles::{Error, HashReader, prove_record, prove_tree, stored_hash_count, stored_hashes};

use crate::{Log, entry, proved};

/// The leaves and roots that certificate transparency's own tests go by.
const PUBLISHED: [(&str, &str); 8] = [
    ("", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
    ("00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
    ("10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
    ("2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
    ("3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
    ("40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
    ("5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"),
    ("606162636465666768696a6b6c6d6e6f", "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
];

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn given_the_published_leaves_then_the_published_roots() {
    let leaves: Vec<_> = PUBLISHED.iter().map(|(leaf, _)| Hash::of_leaf(&bytes(leaf))).collect();
    for (size, (_, root)) in PUBLISHED.iter().enumerate() {
        assert_eq!(root_of(leaves[..=size].iter().copied()).0.to_vec(), bytes(root), "size {}", size + 1);
    }
    let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(Hash::of_nothing().0.to_vec(), bytes(nothing));
    assert_eq!(root_of([]), Hash::of_nothing());
}

/// A second tree, kept by other people's code.
#[derive(Default)]
struct Oracle {
    hashes: RefCell<Vec<tlog_tiles::Hash>>,
    size: u64,
}

impl HashReader for Oracle {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, Error> {
        Ok(indexes.iter().map(|index| self.hashes.borrow()[*index as usize]).collect())
    }
}

impl Oracle {
    fn push(&mut self, entry: &[u8]) {
        let new = stored_hashes(self.size, entry, self).unwrap();
        self.hashes.get_mut().extend(new);
        self.size += 1;
        assert_eq!(stored_hash_count(self.size), self.hashes.borrow().len() as u64);
    }

    fn root(&self, size: u64) -> Hash {
        Hash(tlog_tiles::tree_hash(size, self).unwrap().0)
    }

    fn inclusion(&self, index: u64, size: u64) -> Vec<Hash> {
        prove_record(size, index, self).unwrap().into_iter().map(|hash| Hash(hash.0)).collect()
    }

    fn consistency(&self, old: u64, new: u64) -> Vec<Hash> {
        prove_tree(new, old, self).unwrap().into_iter().map(|hash| Hash(hash.0)).collect()
    }
}

/// Leaves worth asking for in a tree of this size: all of a small one, and of a larger one its ends, what is
/// around its largest subtree, or some one, in turn.
fn picked(size: u64) -> Vec<u64> {
    if size <= 80 {
        return (0..size).collect();
    }
    let half = 1 << size.ilog2();
    let turns = [[0, size - 1], [half - 1, half % size], [size / 3, size * 7_919 % (size - 1)]];
    turns[(size % 3) as usize].to_vec()
}

#[test]
fn given_trees_of_1_to_4100_leaves_then_proofs_are_those_of_two_other_implementations() {
    let mut log = Log::of(0);
    let mut oracle = Oracle::default();
    let mut other = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    let mut seen = 0;
    for size in 1..=4_100 {
        log.grow();
        oracle.push(&entry(size - 1));
        other.push(entry(size - 1));
        let tree = log.at(size);
        let now = proved(root(&tree, size));
        assert_eq!(now, log.edge.root());
        assert_eq!(now, oracle.root(size));
        assert_eq!(now.0.as_slice(), other.root().as_bytes().as_slice());
        for index in picked(size) {
            let proof = proved(inclusion(&tree, index, size));
            assert_eq!(proof, oracle.inclusion(index, size), "leaf {index} of {size}");
            let bytes: Vec<u8> = proof.iter().flat_map(|hash| hash.0).collect();
            assert_eq!(bytes, other.prove_inclusion(index as usize).as_bytes());
            let leaf = Hash::of_leaf(&entry(index));
            verify_inclusion(&leaf, index, size, &proof, &now).unwrap();
            assert_eq!(root_ending_with(&leaf, index, size, &proof), oracle.root(index + 1));
            let old = index + 1;
            let proof = proved(consistency(&tree, old, size));
            verify_consistency(old, size, &proof, &oracle.root(old), &now).unwrap();
            if old < size {
                assert_eq!(proof, oracle.consistency(old, size), "{old} of {size}");
                let bytes: Vec<u8> = proof.iter().flat_map(|hash| hash.0).collect();
                assert_eq!(bytes, other.prove_consistency((size - old) as usize).as_bytes());
            }
            seen += 2;
        }
    }
    assert!(seen > 20_000, "{seen}");
}

#[test]
fn given_a_thousand_larger_trees_then_proofs_are_those_of_another_implementation() {
    let largest: u64 = 150_000;
    let mut log = Log { edge: Default::default(), entries: Vec::new(), tiles: Default::default() };
    let mut oracle = Oracle::default();
    // Sizes spread over the range by a fixed step that has no factor in common with it.
    let mut sizes: Vec<u64> = (0..1_000).map(|n| 4_101 + n * 104_729 % (largest - 4_101)).collect();
    sizes.sort_unstable();
    let mut next = sizes.iter().peekable();
    for index in 0..largest {
        let leaf = entry(index);
        let tiles = log.tiles.get_mut();
        log.edge.push(Hash::of_leaf(&leaf), |tile, hashes| {
            tiles.insert(tile, hashes.to_vec());
        });
        oracle.push(&leaf);
        let size = index + 1;
        if next.next_if(|next| **next == size).is_none() {
            continue;
        }
        log.tiles.get_mut().extend(log.edge.partial().map(|(tile, hashes)| (tile, hashes.to_vec())));
        let (tree, now) = (log.at(size), log.edge.root());
        assert_eq!(now, oracle.root(size));
        let some = size * 31 % size;
        assert_eq!(proved(inclusion(&tree, some, size)), oracle.inclusion(some, size));
        let old = 1 + size * 17 % (size - 1);
        assert_eq!(proved(consistency(&tree, old, size)), oracle.consistency(old, size));
    }
    assert_eq!(next.next(), None);
}

/// What can be wrong with a proof: one bit of a hash, one hash too many or too few, two swapped, or
/// another place or size.
#[derive(Debug, Clone)]
enum Mutation {
    Bit(usize, u8),
    Without(usize),
    Twice(usize),
    Swapped(usize, usize),
    Index(u64),
    Size(u64),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(at, bit)| Mutation::Bit(at, bit)),
        any::<usize>().prop_map(Mutation::Without),
        any::<usize>().prop_map(Mutation::Twice),
        (any::<usize>(), any::<usize>()).prop_map(|(one, other)| Mutation::Swapped(one, other)),
        any::<u64>().prop_map(Mutation::Index),
        any::<u64>().prop_map(Mutation::Size),
    ]
}

fn mutate(mutation: &Mutation, proof: &mut Vec<Hash>, index: &mut u64, size: &mut u64) {
    let len = proof.len().max(1);
    match *mutation {
        Mutation::Bit(at, bit) => {
            if let Some(hash) = proof.get_mut(at % len) {
                hash.0[usize::from(bit) / 8] ^= 1 << (bit % 8);
            }
        }
        Mutation::Without(at) => {
            if !proof.is_empty() {
                proof.remove(at % len);
            }
        }
        Mutation::Twice(at) => {
            let again = proof.get(at % len).copied().unwrap_or(Hash::of_nothing());
            proof.insert(at % len, again);
        }
        Mutation::Swapped(one, other) => {
            if !proof.is_empty() {
                proof.swap(one % len, other % len);
            }
        }
        Mutation::Index(other) => *index = other % (2 * *size + 2),
        Mutation::Size(other) => *size = other % (2 * *size + 2),
    }
}

thread_local! {
    static LOG: Log = Log::of(700);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn given_a_mutated_proof_of_inclusion_then_it_proves_nothing(
        size in 1..700_u64, at in any::<u64>(), mutation in mutation()
    ) {
        LOG.with(|log| {
            let index = at % size;
            let tree = log.at(size);
            let (root, proof) = (proved(root(&tree, size)), proved(inclusion(&tree, index, size)));
            let leaf = Hash::of_leaf(&log.entries[index as usize]);
            let (mut other, mut other_index, mut other_size) = (proof.clone(), index, size);
            mutate(&mutation, &mut other, &mut other_index, &mut other_size);
            let verdict = verify_inclusion(&leaf, other_index, other_size, &other, &root);
            // A size says only how long the path is: another one of the same shape leads to the same root.
            let same = other == proof && other_index == index;
            prop_assert!(verdict.is_err() || same, "{verdict:?}");
            Ok(())
        })?;
    }

    #[test]
    fn given_a_mutated_proof_of_consistency_then_it_proves_nothing(
        new in 2..700_u64, at in any::<u64>(), mutation in mutation()
    ) {
        LOG.with(|log| {
            let old = 1 + at % (new - 1);
            let tree = log.at(new);
            let (old_root, new_root) = (proved(root(&log.at(old), old)), proved(root(&tree, new)));
            let proof = proved(consistency(&tree, old, new));
            let (mut other, mut other_old, mut other_new) = (proof.clone(), old, new);
            mutate(&mutation, &mut other, &mut other_old, &mut other_new);
            let verdict = verify_consistency(other_old, other_new, &other, &old_root, &new_root);
            prop_assert!(verdict.is_err() || other == proof, "{verdict:?}");
            Ok(())
        })?;
    }
}

#[test]
fn given_sizes_that_cannot_be_then_the_reason_is_told() {
    let hash = Hash::of_nothing();
    assert_eq!(verify_inclusion(&hash, 5, 5, &[], &hash), Err(ProofError::Outside { index: 5, size: 5 }));
    assert_eq!(verify_inclusion(&hash, 0, 2, &[], &hash), Err(ProofError::Length { found: 0 }));
    assert_eq!(verify_inclusion(&hash, 0, 1, &[hash], &hash), Err(ProofError::Length { found: 1 }));
    assert_eq!(verify_consistency(3, 2, &[], &hash, &hash), Err(ProofError::Shrunk { old: 3, new: 2 }));
    assert_eq!(verify_consistency(0, 2, &[hash], &hash, &hash), Err(ProofError::Length { found: 1 }));
    let other = Hash::of_leaf(b"other");
    assert_eq!(verify_consistency(0, 2, &[], &other, &hash), Err(ProofError::OldRoot));
    assert_eq!(verify_consistency(2, 2, &[], &other, &hash), Err(ProofError::Root));
    assert_eq!(verify_consistency(2, 4, &[], &other, &hash), Err(ProofError::Length { found: 0 }));
}

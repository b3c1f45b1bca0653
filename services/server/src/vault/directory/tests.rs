use std::convert::Infallible;

use futures_util::TryStreamExt;
use futures_util::future::join_all;
use tempfile::TempDir;

use super::super::{PutError, is_damage};
use super::*;

const MIB: u64 = 1024 * 1024;
/// `printf hello | sha256sum`
const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

fn vault(dir: &TempDir, quota: u64) -> Arc<dyn Vault> {
    Arc::new(Directory::open(dir.path(), quota).unwrap())
}

async fn put(vault: &Arc<dyn Vault>, pieces: &[&[u8]], limit: u64) -> Result<Stored, PutError<Infallible>> {
    let pieces: Vec<_> = pieces.iter().map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    vault.put(stream::iter(pieces), limit).await
}

async fn read(vault: &Arc<dyn Vault>, sha256: &Sha256Hex) -> io::Result<Option<Vec<u8>>> {
    let Some(content) = vault.open(sha256).await? else { return Ok(None) };
    let pieces: Vec<Bytes> = content.pieces.try_collect().await?;
    Ok(Some(pieces.concat()))
}

/// Every file below it, with its size.
fn files(dir: &TempDir) -> Vec<(String, u64)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir.path()).unwrap() {
        let parent = entry.unwrap();
        if parent.path().is_file() {
            continue;
        }
        for file in fs::read_dir(parent.path()).unwrap() {
            let file = file.unwrap();
            let name = format!("{}/{}", parent.file_name().display(), file.file_name().display());
            files.push((name, file.metadata().unwrap().len()));
        }
    }
    files.sort();
    files
}

#[tokio::test]
async fn content_is_found_by_its_hash_and_is_there_once() {
    let dir = tempfile::tempdir().unwrap();
    let vault = vault(&dir, MIB);
    let stored = put(&vault, &[b"hel", b"", b"lo"], 5).await.unwrap();
    assert_eq!((stored.sha256.as_str(), stored.size), (HELLO, 5));
    assert_eq!(put(&vault, &[b"hello"], 5).await.unwrap(), stored);
    assert_eq!(read(&vault, &stored.sha256).await.unwrap().unwrap(), b"hello");
    assert_eq!(vault.open(&stored.sha256).await.unwrap().unwrap().size, 5);
    assert_eq!(files(&dir), [(format!("2c/{HELLO}"), 5)]);
    assert_eq!(vault.used(), 5);
    let other = Sha256Hex::new(&"0".repeat(64)).unwrap();
    assert!(read(&vault, &other).await.unwrap().is_none());
}

#[tokio::test]
async fn one_content_put_by_many_at_once_is_there_once() {
    let dir = tempfile::tempdir().unwrap();
    let vault = vault(&dir, 4 * MIB);
    let content = vec![7_u8; 3 * PIECE + 1];
    let pieces: Vec<&[u8]> = content.chunks(10_000).collect();
    let stored = join_all((0..8).map(|_| put(&vault, &pieces, MIB))).await;
    let first = stored[0].as_ref().unwrap();
    assert!(stored.iter().all(|stored| stored.as_ref().unwrap() == first));
    assert_eq!(files(&dir).len(), 1);
    assert_eq!(vault.used(), first.size);
    assert_eq!(read(&vault, &first.sha256).await.unwrap().unwrap(), content);
}

#[tokio::test]
async fn what_is_larger_than_the_limit_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let vault = vault(&dir, MIB);
    let large = vec![0_u8; PIECE];
    let refused = put(&vault, &[&large, b"one more"], PIECE as u64).await;
    assert!(matches!(refused, Err(PutError::TooLarge(limit)) if limit == PIECE as u64));
    assert_eq!((files(&dir), vault.used()), (Vec::new(), 0));
}

#[tokio::test]
async fn a_sender_that_breaks_off_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let vault = vault(&dir, MIB);
    let broken = stream::iter([Ok(Bytes::from(vec![0; PIECE])), Err("gone")]);
    assert!(matches!(vault.put(broken, MIB).await, Err(PutError::Content("gone"))));
    let mut unfinished = vault.begin().await.unwrap();
    unfinished.write(Bytes::from(vec![0; PIECE])).await.unwrap();
    assert_eq!(files(&dir).len(), 1);
    drop(unfinished);
    assert_eq!((files(&dir), vault.used()), (Vec::new(), 0));
}

#[tokio::test]
async fn a_full_vault_takes_only_what_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let vault = vault(&dir, 8);
    let hello = put(&vault, &[b"hello"], 100).await.unwrap();
    assert!(matches!(put(&vault, &[b"world"], 100).await, Err(PutError::Keep(KeepError::Full))));
    assert_eq!(put(&vault, &[b"hello"], 100).await.unwrap(), hello);
    assert_eq!(files(&dir).len(), 1);
    assert!(vault.remove(&hello.sha256).await.unwrap());
    assert!(!vault.remove(&hello.sha256).await.unwrap());
    put(&vault, &[b"world"], 100).await.unwrap();
    assert_eq!(vault.used(), 5);
}

#[tokio::test]
async fn what_a_crash_left_is_removed_at_the_start_and_the_rest_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let stored = put(&vault(&dir, MIB), &[b"hello"], 100).await.unwrap();
    fs::write(dir.path().join(INCOMING).join(".tmpAbCdEf"), b"hal").unwrap();
    let vault = vault(&dir, 5);
    assert_eq!(files(&dir), [(format!("2c/{HELLO}"), 5)]);
    assert_eq!(vault.used(), 5);
    assert_eq!(read(&vault, &stored.sha256).await.unwrap().unwrap(), b"hello");
    assert!(matches!(put(&vault, &[b"!"], 100).await, Err(PutError::Keep(KeepError::Full))));
}

#[tokio::test]
async fn two_nodes_with_one_vault_see_the_same_and_leave_alone_what_the_other_has_not_finished() {
    let dir = tempfile::tempdir().unwrap();
    let one = vault(&dir, 20);
    let mut unfinished = one.begin().await.unwrap();
    unfinished.write(Bytes::from_static(b"half")).await.unwrap();
    let other = vault(&dir, 20);
    unfinished.write(Bytes::from_static(b" and half")).await.unwrap();
    let stored = unfinished.keep().await.unwrap();
    assert_eq!(read(&other, &stored.sha256).await.unwrap().unwrap(), b"half and half");
    // What the other keeps counts once it was counted again.
    assert_eq!(other.used(), 0);
    other.count().await.unwrap();
    assert!(matches!(put(&other, &[b"too much"], 100).await, Err(PutError::Keep(KeepError::Full))));
    assert!(other.remove(&stored.sha256).await.unwrap() && !one.remove(&stored.sha256).await.unwrap());
}

#[tokio::test]
async fn content_is_given_up_only_while_nobody_keeps_some() {
    let dir = tempfile::tempdir().unwrap();
    let (one, other) = (vault(&dir, MIB), vault(&dir, MIB));
    let (keeping, too) = (one.keeping().await.unwrap(), other.keeping().await.unwrap());
    let mut giving_up = other.giving_up();
    drop(keeping);
    assert!(futures_util::poll!(&mut giving_up).is_pending());
    drop(too);
    drop(giving_up.await.unwrap());
    one.keeping().await.unwrap();
}

#[tokio::test]
async fn damaged_content_is_never_given_to_its_end_and_is_mended_by_putting_it_in_again() {
    let dir = tempfile::tempdir().unwrap();
    let vault = vault(&dir, 4 * MIB);
    let content = vec![7_u8; 2 * PIECE + 1];
    let stored = put(&vault, &[&content], MIB).await.unwrap();
    let path = dir.path().join(&stored.sha256.as_str()[..2]).join(stored.sha256.as_str());
    for damaged in [&content[..PIECE], &[8; 2 * PIECE + 1], b"", b"x"] {
        fs::write(&path, damaged).unwrap();
        let found = vault.open(&stored.sha256).await.unwrap().unwrap();
        let mut given = 0;
        let ended = found.pieces.try_for_each(|piece| {
            given += piece.len();
            std::future::ready(Ok(()))
        });
        assert!(is_damage(&ended.await.unwrap_err()));
        assert!(given < damaged.len().max(1));
        assert_eq!(put(&vault, &[&content], MIB).await.unwrap(), stored);
        assert_eq!(read(&vault, &stored.sha256).await.unwrap().unwrap(), content);
    }
    assert_eq!(vault.used(), stored.size);
    // The file is cut while it is read.
    let reading = vault.open(&stored.sha256).await.unwrap().unwrap();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(3).unwrap();
    assert!(is_damage(&reading.pieces.try_collect::<Vec<_>>().await.unwrap_err()));
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_removed_is_overwritten_before_it_loses_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let vault = vault(&dir, MIB);
    let stored = put(&vault, &[b"hello"], 5).await.unwrap();
    // Whoever else holds the file sees what becomes of its blocks.
    let held = dir.path().join("held");
    fs::hard_link(dir.path().join("2c").join(HELLO), &held).unwrap();
    assert!(vault.remove(&stored.sha256).await.unwrap());
    assert_eq!(fs::read(&held).unwrap(), [0; 5]);
    assert!(read(&vault, &stored.sha256).await.unwrap().is_none());
}

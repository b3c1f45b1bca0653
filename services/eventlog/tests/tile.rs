//! Tiles: their paths, their bytes, and what a tree has at its edge.

use eventlog::tile::{self, Edge, Of, Tile, WIDTH};
use eventlog::tree::Hash;

use crate::{Log, entry};

#[test]
fn given_a_tile_then_its_path_is_that_of_the_specification() {
    let tile = |of, index, width| Tile { of, index, width }.to_string();
    assert_eq!(tile(Of::Level(0), 1_234_067, 256), "0/x001/x234/067");
    assert_eq!(tile(Of::Level(2), 0, 1), "2/000.p/1");
    assert_eq!(tile(Of::Entries, 999, 256), "entries/999");
    assert_eq!(tile(Of::Entries, 1_000, 112), "entries/x001/000.p/112");
    let oracle = |level, index, width| tlog_tiles::Tile::new(8, level, index, width, false).path();
    for (level, index, width) in [(0, 0, 256), (1, 273, 255), (3, 1_000_000, 256), (0, 999_999, 7)] {
        let ours = tile(Of::Level(level), index, width);
        assert!(oracle(level, index, u32::from(width)).ends_with(&ours), "{ours}");
        assert_eq!(ours.parse(), Ok(Tile { of: Of::Level(level), index, width }));
    }
}

#[test]
fn given_another_spelling_of_a_path_then_it_is_refused() {
    for path in [
        "",
        "0",
        "0/",
        "/000",
        "0/0",
        "0/00",
        "0/0000",
        "00/000",
        "8/000",
        "-1/000",
        "0/x000/000",
        "0/001/000",
        "0/x001/x000",
        "0/000.p/0",
        "0/000.p/256",
        "0/000.p/08",
        "0/000.p/",
        "0/000.p/1.p/1",
        "0/+01",
        "entries",
        "entries/x1/000",
        "leaves/000",
        "0/000 ",
        "0/٠٠٠",
        "0/x999/x999/x999/x999/x999/x999/999",
    ] {
        assert!(path.parse::<Tile>().is_err(), "{path}");
    }
}

#[test]
fn given_a_tree_of_70000_leaves_then_its_tiles_are_those_that_the_specification_counts() {
    let size = 70_000;
    let at = |level, index| Tile::at(Of::Level(level), index, size).map(|tile| tile.width);
    assert_eq!((at(0, 272), at(0, 273), at(0, 274)), (Some(256), Some(112), None));
    assert_eq!((at(1, 0), at(1, 1), at(1, 2)), (Some(256), Some(17), None));
    assert_eq!((at(2, 0), at(2, 1), at(3, 0)), (Some(1), None, None));
    let partial: Vec<_> = Tile::partial(size).map(|tile| tile.to_string()).collect();
    assert_eq!(partial, ["0/273.p/112", "1/001.p/17", "2/000.p/1", "entries/273.p/112"]);
    // A full tile has no partial one beside it.
    let partial: Vec<_> = Tile::partial(256).map(|tile| tile.to_string()).collect();
    assert_eq!(partial, ["1/000.p/1"]);
    assert_eq!(Tile::partial(0).count(), 0);
}

#[test]
fn given_the_tiles_at_its_edge_then_a_tree_goes_on_where_it_was() {
    for size in [0, 1, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 66_000] {
        let mut log = Log::of(0);
        for index in 0..size {
            let tiles = log.tiles.get_mut();
            log.edge.push(Hash::of_leaf(&entry(index)), |tile, hashes| {
                tiles.insert(tile, hashes.to_vec());
            });
        }
        log.tiles.get_mut().extend(log.edge.partial().map(|(tile, hashes)| (tile, hashes.to_vec())));
        let read = |tile: Tile| log.tiles.borrow().get(&tile).cloned().ok_or(tile);
        let mut again = Edge::load(size, read).unwrap();
        assert_eq!((again.size(), again.root()), (size, log.edge.root()), "{size}");
        let mut here = log.edge.clone();
        for index in size..size + 300 {
            let leaf = Hash::of_leaf(&entry(index));
            here.push(leaf, |_, _| {});
            again.push(leaf, |_, _| {});
        }
        assert_eq!(again.root(), here.root());
    }
}

#[test]
fn given_the_bytes_of_a_tile_then_only_so_many_hashes_are_read_from_them() {
    let hashes: Vec<_> = (0..WIDTH).map(|index| Hash::of_leaf(&entry(index))).collect();
    let bytes = tile::encode(&hashes);
    assert_eq!(bytes.len(), 8_192);
    assert_eq!(tile::decode(&bytes, 256).as_deref(), Some(&hashes[..]));
    assert_eq!(tile::decode(&bytes, 255), None);
    assert_eq!(tile::decode(&bytes[1..], 256), None);
    assert_eq!(tile::decode(&bytes[..31], 0), None);
}

#[test]
fn given_the_bytes_of_a_bundle_then_only_whole_entries_are_read_from_them() {
    let mut bundle = Vec::new();
    for index in 0..3 {
        assert!(tile::push_entry(&mut bundle, &entry(index)));
    }
    let entries = tile::entries(&bundle, 3).unwrap();
    assert_eq!(entries, [&entry(0)[..], &entry(1), &entry(2)]);
    for (bytes, width) in
        [(&bundle[..], 2), (&bundle[..], 4), (&bundle[..bundle.len() - 1], 3), (&bundle[1..], 3)]
    {
        assert_eq!(tile::entries(bytes, width), None);
    }
    assert_eq!(tile::entries(&[], 0), Some(vec![]));
    let before = bundle.len();
    assert!(!tile::push_entry(&mut bundle, &vec![0; 65_536]));
    assert_eq!(bundle.len(), before);
}

//! Tiles of C2SP tlog-tiles: the tree as files of up to 256 hashes, and the log's entries in bundles of as
//! many. A tile that is full never changes.

mod files;

use std::fmt;
use std::str::FromStr;

use crate::tree::{self, Hash, Nodes};

pub use files::Files;

/// Hashes in a full tile; a tile is a subtree of height 8.
pub const WIDTH: u64 = 256;
const HEIGHT: u32 = 8;
/// The root of 2^64 leaves would be a tile of level 8.
pub const MAX_LEVEL: u8 = 7;

/// Which tile, as its path under `tile/` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    pub of: Of,
    pub index: u64,
    /// 1 to 256; a tile of less is partial.
    pub width: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Of {
    /// Hashes of subtrees of 256^level leaves.
    Level(u8),
    /// The entries themselves.
    Entries,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the path of a tile")]
pub struct InvalidTile;

impl Tile {
    /// The tile of a tree of `size` leaves, as wide as that tree makes it; `None` where it has none.
    pub fn at(of: Of, index: u64, size: u64) -> Option<Self> {
        let shift = match of {
            Of::Level(level) => HEIGHT * u32::from(level),
            Of::Entries => 0,
        };
        let hashes = size.checked_shr(shift).unwrap_or(0);
        let width = hashes.saturating_sub(index.checked_mul(WIDTH)?).min(WIDTH);
        let width = u16::try_from(width).ok().filter(|width| *width > 0)?;
        Some(Self { of, index, width })
    }

    pub fn is_full(&self) -> bool {
        u64::from(self.width) == WIDTH
    }

    /// The partial tiles that a tree of `size` leaves has at its right edge, of hashes and of entries.
    pub fn partial(size: u64) -> impl Iterator<Item = Self> {
        let levels = (0..=MAX_LEVEL).map(Of::Level).chain([Of::Entries]);
        levels.filter_map(move |of| {
            let shift = if let Of::Level(level) = of { HEIGHT * u32::from(level) } else { 0 };
            Self::at(of, size.checked_shr(shift)? / WIDTH, size).filter(|tile| !tile.is_full())
        })
    }
}

/// `0/x001/x234/067.p/8`, `entries/000`.
impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.of {
            Of::Level(level) => write!(f, "{level}/")?,
            Of::Entries => f.write_str("entries/")?,
        }
        let mut groups = Vec::new();
        let mut rest = self.index;
        while groups.is_empty() || rest > 0 {
            groups.push(rest % 1_000);
            rest /= 1_000;
        }
        while let Some(group) = groups.pop() {
            if groups.is_empty() { write!(f, "{group:03}")? } else { write!(f, "x{group:03}/")? }
        }
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

/// One tile has one path: what [`Tile`] would write in another way is refused.
impl FromStr for Tile {
    type Err = InvalidTile;

    fn from_str(path: &str) -> Result<Self, InvalidTile> {
        let (kind, rest) = path.split_once('/').ok_or(InvalidTile)?;
        let of = match kind {
            "entries" => Of::Entries,
            level => Of::Level(level.parse().ok().filter(|level| *level <= MAX_LEVEL).ok_or(InvalidTile)?),
        };
        let (groups, width) = match rest.split_once(".p/") {
            Some((groups, width)) => {
                let width: u16 = width.parse().map_err(|_| InvalidTile)?;
                (groups, width)
            }
            None => (rest, 256),
        };
        let mut index: u64 = 0;
        for group in groups.split('/') {
            let digits = group.strip_prefix('x').unwrap_or(group);
            let value: u64 = digits.parse().map_err(|_| InvalidTile)?;
            index = index.checked_mul(1_000).and_then(|index| index.checked_add(value)).ok_or(InvalidTile)?;
        }
        let tile = Self { of, index, width };
        let sensible = (1..=256).contains(&width) && tile.to_string() == path;
        if sensible { Ok(tile) } else { Err(InvalidTile) }
    }
}

/// The bytes of a tile of hashes.
pub fn encode(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// `None` unless the bytes are so many hashes.
pub fn decode(bytes: &[u8], width: u16) -> Option<Vec<Hash>> {
    let (hashes, rest) = bytes.as_chunks::<{ Hash::LEN }>();
    let whole = rest.is_empty() && hashes.len() == usize::from(width);
    whole.then(|| hashes.iter().copied().map(Hash).collect())
}

/// Adds an entry to the bytes of a bundle; `false`, and nothing added, when it is longer than a bundle can
/// say.
#[must_use]
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> bool {
    let Ok(length) = u16::try_from(entry.len()) else { return false };
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    true
}

/// The entries of a bundle; `None` unless the bytes are so many entries and nothing else.
pub fn entries(bundle: &[u8], width: u16) -> Option<Vec<&[u8]>> {
    let mut found = Vec::with_capacity(usize::from(width));
    let mut rest = bundle;
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let (entry, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        found.push(entry);
        rest = after;
    }
    (rest.is_empty() && found.len() == usize::from(width)).then_some(found)
}

/// The right edge of a growing tree: the tiles that are not full, level by level.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    levels: Vec<Vec<Hash>>,
}

impl Edge {
    /// The edge of a tree of `size` leaves, from the tiles that are partial there.
    pub fn load<E>(size: u64, mut read: impl FnMut(Tile) -> Result<Vec<Hash>, E>) -> Result<Self, E> {
        let mut levels = Vec::new();
        for tile in Tile::partial(size) {
            if let Of::Level(level) = tile.of {
                levels.resize(usize::from(level), Vec::new());
                levels.push(read(tile)?);
            }
        }
        Ok(Self { size, levels })
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// Every tile has as many hashes as a tree of its size has there.
    pub fn is_whole(&self) -> bool {
        let width = |tile: Tile| match tile.of {
            Of::Level(level) => self.levels.get(usize::from(level)).map_or(0, Vec::len),
            Of::Entries => usize::from(tile.width),
        };
        Tile::partial(self.size).all(|tile| width(tile) == usize::from(tile.width))
    }

    /// Adds a leaf, and tells each tile of hashes that it fills.
    pub fn push(&mut self, leaf: Hash, mut full: impl FnMut(Tile, &[Hash])) {
        let mut hash = leaf;
        let mut hashes = self.size;
        self.size += 1;
        for level in 0..=MAX_LEVEL {
            let at = usize::from(level);
            if self.levels.len() <= at {
                self.levels.push(Vec::new());
            }
            let tile = &mut self.levels[at];
            tile.push(hash);
            if (tile.len() as u64) < WIDTH {
                return;
            }
            full(Tile { of: Of::Level(level), index: hashes / WIDTH, width: 256 }, tile);
            hash = tree::root_of(tile.drain(..));
            hashes /= WIDTH;
        }
    }

    /// The tiles of hashes that are partial now.
    pub fn partial(&self) -> impl Iterator<Item = (Tile, &[Hash])> {
        Tile::partial(self.size).filter_map(|tile| match tile.of {
            Of::Level(level) => Some((tile, self.levels.get(usize::from(level))?.as_slice())),
            Of::Entries => None,
        })
    }

    pub fn root(&self) -> Hash {
        let mut peaks = Vec::new();
        for tile in self.levels.iter().rev() {
            let mut rest = tile.as_slice();
            while !rest.is_empty() {
                let (complete, after) = rest.split_at(1 << rest.len().ilog2());
                peaks.push(tree::root_of(complete.iter().copied()));
                rest = after;
            }
        }
        tree::join(peaks)
    }
}

/// The nodes of a tree of `size` leaves, read from its tiles.
pub struct Tiles<R> {
    pub size: u64,
    pub read: R,
}

#[derive(Debug, thiserror::Error)]
pub enum TileError<E> {
    #[error("a tree of {size} leaves has no node {index} of level {level}")]
    Outside { level: u32, index: u64, size: u64 },
    #[error("tile {0} has too few hashes")]
    Short(Tile),
    #[error(transparent)]
    Read(E),
}

impl<E, R: Fn(Tile) -> Result<T, E>, T: AsRef<[Hash]>> Nodes for Tiles<R> {
    type Error = TileError<E>;

    fn node(&self, level: u32, index: u64) -> Result<Hash, TileError<E>> {
        let size = self.size;
        let outside = || TileError::Outside { level, index, size };
        let inside = level % HEIGHT;
        let of = Of::Level(u8::try_from(level / HEIGHT).map_err(|_| outside())?);
        let tile = Tile::at(of, index >> (HEIGHT - inside), size).ok_or_else(outside)?;
        let hashes = (self.read)(tile).map_err(TileError::Read)?;
        let first = usize::try_from((index << inside) % WIDTH).map_err(|_| outside())?;
        let under = hashes.as_ref().get(first..first + (1 << inside)).ok_or(TileError::Short(tile))?;
        Ok(tree::root_of(under.iter().copied()))
    }
}

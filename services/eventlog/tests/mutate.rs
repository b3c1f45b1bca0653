//! Changes to bytes that are nearly right: what the fuzz targets draw, and what both verifiers are compared on.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

/// What breaks parsers: other spellings of what the formats allow, and the ends of their ranges.
const TOKENS: [&[u8]; 20] = [
    b"\n",
    b"\n\n",
    b"\r\n",
    b" ",
    b"\t",
    b"\0",
    b"=",
    b"==",
    b"0",
    b"-1",
    b"+",
    b"18446744073709551615",
    b"18446744073709551616",
    b"1e3",
    b"null",
    b"\\u0000",
    b"\"",
    b"\xef\xbb\xbf",
    b"\xff",
    "— ".as_bytes(),
];

/// Kinds of edits as often as they are drawn: what leaves the form whole gets deeper.
const KINDS: [u8; 24] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 10, 11, 11, 11, 12, 12, 12, 12, 12, 13, 13, 13, 13];

#[derive(Debug, Clone)]
pub struct Edit {
    kind: u8,
    at: u32,
    other: u32,
    byte: u8,
}

/// A seed with a few edits; what is spliced in comes from another seed. The first is the seed's place.
pub fn mutated(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = (usize, Vec<u8>)> {
    let edit = (prop::sample::select(&KINDS[..]), any::<(u32, u32, u8)>());
    let edit = edit.prop_map(|(kind, (at, other, byte))| Edit { kind, at, other, byte });
    let places = 0..seeds.len();
    (places.clone(), places, prop::collection::vec(edit, 1..4)).prop_map(move |(seed, other, edits)| {
        let mut bytes = seeds[seed].clone();
        edits.iter().for_each(|edit| edit.apply(&mut bytes, &seeds[other]));
        (seed, bytes)
    })
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>, splice: &[u8]) {
        let place = |length: usize, of: u32| of as usize % length.max(1);
        let at = place(bytes.len(), self.at);
        let end = bytes.len().min(at + 1 + place(64, self.other));
        match self.kind {
            0 | 1 if !bytes.is_empty() => bytes[at] ^= 1 << (self.byte % 8),
            2 if !bytes.is_empty() => bytes[at] = self.byte,
            3 => bytes.insert(at, self.byte),
            4 => drop(bytes.drain(at..end)),
            5 => {
                let again = bytes[at..end].to_vec();
                drop(bytes.splice(end..end, again));
            }
            6 => bytes.truncate(at),
            7 => {
                let token = TOKENS[place(TOKENS.len(), self.other)];
                let replaced = if self.byte.is_multiple_of(2) { at } else { end };
                drop(bytes.splice(at..replaced, token.iter().copied()));
            }
            8 => bytes.splice(at.., splice[place(splice.len(), self.other)..].iter().copied()).for_each(drop),
            9..=12 => self.line(bytes, splice),
            _ => self.number(bytes),
        }
    }

    /// Lines swapped, left out, doubled, taken from another seed, or changed inside their base64.
    fn line(&self, bytes: &mut Vec<u8>, splice: &[u8]) {
        let mut lines: Vec<Vec<u8>> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        let others: Vec<&[u8]> = splice.split(|byte| *byte == b'\n').collect();
        let at = self.at as usize % lines.len();
        let other = self.other as usize;
        match self.kind {
            9 => {
                let to = other % lines.len();
                lines.swap(at, to);
            }
            10 => drop(lines.remove(at)),
            11 => lines[at] = others[other % others.len()].to_vec(),
            _ => lines[at] = inside(&lines[at], self).unwrap_or_default(),
        }
        *bytes = lines.join(&b'\n');
    }

    /// A decimal number that is one more, or of another length.
    fn number(&self, bytes: &mut Vec<u8>) {
        let digits: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at].is_ascii_digit()).collect();
        let Some(at) = digits.get(self.at as usize % digits.len().max(1)) else { return };
        match self.byte % 3 {
            0 => bytes[*at] = b'0' + (bytes[*at] - b'0' + 1) % 10,
            1 => bytes.insert(*at, b'0' + self.byte % 10),
            _ => drop(bytes.remove(*at)),
        }
    }
}

/// The last word of a line, decoded, changed and encoded again: what base64 hides from a flipped letter.
fn inside(line: &[u8], edit: &Edit) -> Option<Vec<u8>> {
    let begin = line.iter().rposition(|byte| *byte == b' ').map_or(0, |space| space + 1);
    let mut decoded = STANDARD.decode(&line[begin..]).ok().filter(|decoded| !decoded.is_empty())?;
    let at = edit.other as usize % decoded.len();
    match edit.byte % 4 {
        0 => decoded.truncate(at),
        1 => decoded.push(edit.byte),
        _ => decoded[at] ^= 1 << (edit.byte % 8),
    }
    Some([&line[..begin], STANDARD.encode(&decoded).as_bytes()].concat())
}

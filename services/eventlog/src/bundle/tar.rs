//! The one form of tar that a bundle has: ustar, regular files, and nothing in a header that is not name, size
//! and checksum. A header is read by writing it again, so a byte that says anything else is refused.

use std::io::{self, Read, Write};

use super::{Rejected, malformed};

const BLOCK: usize = 512;
type Header = [u8; BLOCK];

/// The header of a file of `size` bytes; `None` for a name or size that it cannot say.
fn header(name: &str, size: u64) -> Option<Header> {
    let mut header = [0; BLOCK];
    let fits = !name.is_empty() && name.len() <= 100 && size < 1 << 33;
    let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
    if !fits {
        return None;
    }
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    // The checksum is taken with spaces in its own place.
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().copied().map(u32::from).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Some(header)
}

fn padding(size: u64) -> usize {
    let rest = usize::try_from(size % BLOCK as u64).unwrap_or(0);
    (BLOCK - rest) % BLOCK
}

pub fn write(out: &mut impl Write, name: &str, content: &[u8]) -> io::Result<()> {
    let size = content.len() as u64;
    let header = header(name, size).ok_or_else(|| io::Error::other(format!("{name}: too long for tar")))?;
    out.write_all(&header)?;
    out.write_all(content)?;
    out.write_all(&[0; BLOCK][..padding(size)])
}

pub fn finish(out: &mut impl Write) -> io::Result<()> {
    out.write_all(&[0; 2 * BLOCK])
}

pub struct Reader<R> {
    pub source: R,
    /// Bytes read so far.
    pub offset: u64,
}

impl<R: Read> Reader<R> {
    /// Reads the next file, which has this name and at most `limit` bytes, into `content`.
    pub fn expect(&mut self, name: &str, limit: u64, content: &mut Vec<u8>) -> Result<(), Rejected> {
        let mut block = [0; BLOCK];
        self.fill(&mut block, name)?;
        let said = &block[..100];
        let end = said.iter().position(|byte| *byte == 0).unwrap_or(said.len());
        if &said[..end] != name.as_bytes() {
            let found = if end == 0 { "the end".into() } else { String::from_utf8_lossy(&said[..end]) };
            // A bundle says nothing to a terminal.
            let found = found.escape_debug();
            return Err(malformed(format!("{name} is expected, and {found} is there")));
        }
        let digits = std::str::from_utf8(&block[124..135]).ok();
        let size = digits.and_then(|digits| u64::from_str_radix(digits, 8).ok());
        let size = size.filter(|size| header(name, *size) == Some(block));
        let size = size.ok_or_else(|| malformed(format!("{name}: not a header of this format")))?;
        if size > limit {
            return Err(malformed(format!("{name} has {size} bytes, at most {limit} are read")));
        }
        content.resize(usize::try_from(size).unwrap_or(usize::MAX), 0);
        self.fill(content, name)?;
        let rest = &mut [0; BLOCK][..padding(size)];
        self.fill(rest, name)?;
        zero(rest, name)
    }

    /// Two empty blocks and nothing behind them.
    pub fn end(&mut self) -> Result<(), Rejected> {
        let mut rest = [0; 2 * BLOCK];
        self.fill(&mut rest, "the end")?;
        zero(&rest, "the last member")?;
        match self.source.read(&mut [0; 1]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(malformed("something follows the end")),
            Err(error) => Err(Rejected::Io(error)),
        }
    }

    fn fill(&mut self, buffer: &mut [u8], name: &str) -> Result<(), Rejected> {
        self.source.read_exact(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => malformed(format!("the file ends in {name}")),
            _ => Rejected::Io(error),
        })?;
        self.offset += buffer.len() as u64;
        Ok(())
    }
}

fn zero(bytes: &[u8], name: &str) -> Result<(), Rejected> {
    let empty = bytes.iter().all(|byte| *byte == 0);
    if empty { Ok(()) } else { Err(malformed(format!("something other than zeros follows {name}"))) }
}

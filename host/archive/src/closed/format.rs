//! The format of a closed segment.

use std::io::{self, ErrorKind};

use crate::record;

/// How much of a segment is compressed into one frame: enough for a good ratio, and little to decompress for one event.
pub(super) const FRAME: usize = 256 * 1024;

/// Of a frame before compression: one record more than [`FRAME`]. A larger one is damage.
pub(super) const LARGEST_FRAME: usize = FRAME + record::LONGEST;

/// Of a skippable frame with a [`Summary`].
pub(super) const SUMMARY_MAGIC: u32 = 0x184D_2A54;

/// Of the skippable frame with the table's checksum.
pub(super) const CHECKSUM_MAGIC: u32 = 0x184D_2A55;

/// Of the skippable frame with the table.
pub(super) const TABLE_MAGIC: u32 = 0x184D_2A5E;

/// The last four bytes of a seekable file.
pub(super) const SEEKABLE_MAGIC: u32 = 0x8F92_EAB1;

/// The lengths of a skippable frame's header, of the frame with the checksum, of an entry of the table, and of the table's end.
pub(super) const SKIPPABLE: u64 = 8;
pub(super) const CHECKSUM: u64 = SKIPPABLE + 4;
pub(super) const ENTRY: u64 = 8;
pub(super) const FOOTER: u64 = 9;

/// A zstd frame of a closed segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Frame {
    /// Where it begins in the file.
    pub(super) start: u64,
    pub(super) compressed: u32,
    /// Where its first byte is in the uncompressed segment.
    pub(crate) offset: u64,
    pub(crate) length: u32,
}

pub(super) fn size(length: usize) -> io::Result<u32> {
    u32::try_from(length).map_err(|_| io::Error::from(ErrorKind::FileTooLarge))
}

pub(super) fn skippable(magic: u32, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    [&magic.to_le_bytes()[..], &length.to_le_bytes(), content].concat()
}

//! Compresses segments.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use towpath_files::private;

use super::format::{
    CHECKSUM, CHECKSUM_MAGIC, FRAME, Frame, LARGEST_FRAME, SEEKABLE_MAGIC, SKIPPABLE, SUMMARY_MAGIC, TABLE_MAGIC, size,
    skippable,
};
use super::summary::Summary;
use crate::name::Name;
use crate::record::Records;

/// zstd's own default.
const LEVEL: i32 = 3;

/// Compresses a segment into its closed file, which appears at once and whole, and survives a power cut from then on.
pub(crate) fn write(name: Name, live: &[u8], folder: &Path) -> io::Result<Summary> {
    let unfinished = name.unfinished(folder, fastrand::u64(..));
    let written = write_to(private::create(&unfinished)?, name, live);
    let written = written.and_then(|summary| {
        std::fs::rename(&unfinished, name.closed(folder))?;
        private::sync_folder(folder)?;
        Ok(summary)
    });
    if written.is_err() {
        // The disk may be full. If this fails too, the file is removed with those that a crash leaves.
        let _ = std::fs::remove_file(&unfinished);
    }
    written
}

fn write_to(mut file: File, name: Name, live: &[u8]) -> io::Result<Summary> {
    let summary = Summary::of(live, name);
    let bytes = summary.to_bytes();
    let skipped = |compressed: u64| Frame { start: 0, compressed: compressed as u32, offset: 0, length: 0 };
    let mut table = vec![skipped(SKIPPABLE + bytes.len() as u64)];
    file.write_all(&skippable(SUMMARY_MAGIC, &bytes))?;
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    compressor.include_checksum(true)?;
    let mut start = 0;
    let mut rest = Records::new(live, name.mark()).map(|(span, _)| span.end).peekable();
    while let Some(end) = rest.next() {
        if end - start < FRAME && rest.peek().is_some() {
            continue;
        }
        // Only damage is longer than a frame may be.
        for raw in live.get(start..end).unwrap_or_default().chunks(LARGEST_FRAME) {
            let compressed = compressor.compress(raw)?;
            file.write_all(&compressed)?;
            table.push(Frame { start: 0, compressed: size(compressed.len())?, offset: 0, length: size(raw.len())? });
        }
        start = end;
    }
    table.push(skipped(CHECKSUM));
    file.write_all(&end(&table)?)?;
    file.sync_all()?;
    Ok(summary)
}

/// The table of frames, after its checksum.
pub(super) fn end(table: &[Frame]) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    for frame in table {
        content.extend(frame.compressed.to_le_bytes());
        content.extend(frame.length.to_le_bytes());
    }
    content.extend(size(table.len())?.to_le_bytes());
    content.push(0);
    content.extend(SEEKABLE_MAGIC.to_le_bytes());
    let checksum = skippable(CHECKSUM_MAGIC, &crc32fast::hash(&content).to_le_bytes());
    Ok([checksum, skippable(TABLE_MAGIC, &content)].concat())
}

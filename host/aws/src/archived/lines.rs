//! The events in a file of lines.

use std::io::{self, BufRead, BufReader, Read as _};

use flate2::bufread::MultiGzDecoder;
use towpath_types::archive::Archived;

use crate::firehose;

const GZIP: &[u8] = b"\x1f\x8b";

/// Longest line. A record of Firehose has at most 1,000 KiB.
const LONGEST: u64 = 4 * 1024 * 1024;

/// Calls `each` for every event of a file, compressed or not. Returns how many lines are no events; behind damage of the compression there is
/// one.
pub(super) fn lines(file: &[u8], each: &mut impl FnMut(Archived) -> io::Result<()>) -> io::Result<u64> {
    if file.starts_with(GZIP) {
        // Files that were concatenated have several parts.
        read(BufReader::new(MultiGzDecoder::new(file)), each)
    } else {
        read(file, each)
    }
}

fn read(mut from: impl BufRead, each: &mut impl FnMut(Archived) -> io::Result<()>) -> io::Result<u64> {
    let mut damaged = 0;
    let mut line = Vec::new();
    let mut is_in_long_line = false;
    loop {
        line.clear();
        match from.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
            Ok(0) => return Ok(damaged),
            Ok(_) => {}
            // Nothing behind it can be decompressed.
            Err(_) => return Ok(damaged + 1),
        }
        let is_whole = line.ends_with(b"\n") || (line.len() as u64) < LONGEST;
        let is_rest = std::mem::replace(&mut is_in_long_line, !is_whole);
        if is_rest {
            continue;
        }
        match std::str::from_utf8(&line).ok().map(str::trim_ascii).filter(|_| is_whole) {
            Some("") => {}
            text => match text.and_then(|text| firehose::read(text).ok()) {
                Some(event) => each(event)?,
                None => damaged += 1,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn line(id: &str) -> String {
        format!(
            "{{\"body\":\"{{}}\",\"ended_at\":\"2026-03-02T09:15:01.000Z\",\"ending\":\"delivered\",\"group\":\"g\",\"id\":\"{id}\",\
            \"receive_count\":1,\"route\":\"g\",\"sent_at\":\"2026-03-02T09:15:00.000Z\",\"webhook_id\":\"{id}\",\"new\":1}}\n"
        )
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).expect("written");
        encoder.finish().expect("compressed")
    }

    /// The ids of the events in a file, and how many lines are damaged.
    fn found(file: &[u8]) -> (Vec<String>, u64) {
        let mut ids = Vec::new();
        let mut each = |event: Archived| {
            ids.push(event.id.as_str().to_owned());
            Ok(())
        };
        let damaged = lines(file, &mut each).expect("read");
        (ids, damaged)
    }

    #[test]
    fn every_line_is_an_event_compressed_or_not_in_one_part_or_several() {
        let text = [line("a"), line("b")].concat();
        let parts = [gzip(line("a").as_bytes()), gzip(line("b").as_bytes())].concat();
        for file in [text.as_bytes(), text.trim_end().as_bytes(), &gzip(text.as_bytes()), &parts] {
            assert_eq!(found(file), (vec!["a".to_owned(), "b".to_owned()], 0));
        }
        for empty in [&b""[..], b"\n\r\n", &gzip(b"")] {
            assert_eq!(found(empty), (vec![], 0));
        }
    }

    #[test]
    fn a_damaged_line_costs_itself_alone() {
        let torn = &line("torn")[..90];
        let long = "x".repeat(LONGEST as usize * 2 + 7);
        for (case, wrong) in [("torn", torn), ("no JSON", "x"), ("no event", "{}"), ("long", &long)] {
            let text = [&line("a"), wrong, "\n", &line("b")].concat();
            assert_eq!(found(&gzip(text.as_bytes())), (vec!["a".to_owned(), "b".to_owned()], 1), "{case}");
        }
        let not_utf8 = [line("a").as_bytes(), b"{\"\xff\n", line("b").as_bytes()].concat();
        assert_eq!(found(&not_utf8).1, 1);
    }

    #[test]
    fn a_file_that_breaks_off_is_read_up_to_there() {
        let text: String = (0..10_000).map(|number| line(&format!("{number}-{}", number * 7919 % 10_007))).collect();
        let whole = gzip(text.as_bytes());
        let (ids, damaged) = found(&whole[..whole.len() / 2]);
        assert!(ids.len() > 1_000 && ids.len() < 9_000, "{}", ids.len());
        assert_eq!((ids[1_000].as_str(), damaged), ("1000-3463", 1));
    }
}

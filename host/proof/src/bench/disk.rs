//! How fast the disk of the stores fsyncs: what every acknowledged webhook waits for.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// How long to measure.
const LENGTH: Duration = Duration::from_secs(1);

/// What is written before each fsync: a page.
const PAGE: [u8; 4096] = [0x5a; 4096];

/// Fsyncs per second of a file that grows, one after another.
pub(crate) fn fsyncs_per_second(folder: &Path) -> anyhow::Result<f64> {
    let path = folder.join("fsync");
    let mut file = std::fs::File::create_new(&path).context("measuring the disk")?;
    let began = Instant::now();
    let mut count = 0_u32;
    while began.elapsed() < LENGTH {
        file.write_all(&PAGE).and_then(|()| file.sync_data()).context("measuring the disk")?;
        count += 1;
    }
    let seconds = began.elapsed().as_secs_f64();
    std::fs::remove_file(&path).context("measuring the disk")?;
    Ok(f64::from(count) / seconds)
}

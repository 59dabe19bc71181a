//! A model of the page cache and the disk: from a trace, it builds what a power cut at any moment may leave.
//!
//! The disk surely has whatever was written before a successful fsync of its file began, and the names whose folder was
//! fsynced. Of everything else, any part may be there: for each block of 4 KiB the result of its first few writes, and
//! for some blocks that sector by sector. After a failed fsync, the pages it covered count as written, whether they were
//! or not.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

const BLOCK: usize = 4096;
const SECTOR: usize = 512;

/// One operation on a file.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) what: What,
    inode: u64,
    offset: usize,
    pub(crate) path: PathBuf,
    pub(crate) data: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum What {
    Create,
    Write,
    Truncate,
    /// Covers what was written before the record whose number is in `offset`.
    Synced,
    SyncFailed,
    /// An fsync that reports an earlier failure.
    HeardOfFailed,
    Unlink,
    MakeFolder,
}

/// The records of a trace.
pub(crate) fn read(trace: &Path) -> Vec<Record> {
    let bytes = std::fs::read(trace).expect("a trace");
    let mut records = Vec::new();
    let mut rest = bytes.as_slice();
    while rest.len() >= 40 {
        let number = |at: usize| u64::from_ne_bytes(rest[at * 8..at * 8 + 8].try_into().expect("eight bytes"));
        let path = number(3) as usize;
        let data = number(4) as usize;
        let what = match number(0) as u8 {
            b'C' => What::Create,
            b'W' => What::Write,
            b'T' => What::Truncate,
            b'S' => What::Synced,
            b'F' => What::SyncFailed,
            b'H' => What::HeardOfFailed,
            b'U' => What::Unlink,
            b'K' => What::MakeFolder,
            other => panic!("a record {other}"),
        };
        records.push(Record {
            what,
            inode: number(1),
            offset: number(2) as usize,
            path: PathBuf::from(String::from_utf8_lossy(&rest[40..40 + path]).into_owned()),
            data: rest[40 + path..40 + path + data].to_vec(),
        });
        rest = &rest[40 + path + data..];
    }
    records
}

/// How much of the data that was not fsynced is there after a cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Left {
    Nothing,
    Everything,
    Some,
}

#[derive(Clone)]
enum Change {
    Write { offset: usize, data: Vec<u8> },
    Truncate(usize),
}

#[derive(Default)]
struct File {
    disk: Vec<u8>,
    cache: Vec<u8>,
    /// Changes that are not fsynced, each with the number of its record.
    pending: Vec<(usize, Change)>,
    /// Blocks that a failed fsync lost, but that count as written.
    stale: BTreeSet<usize>,
}

impl File {
    fn change(&mut self, number: usize, change: Change) {
        apply(&mut self.cache, &change);
        match change {
            Change::Truncate(length) => {
                self.stale.retain(|block| block * BLOCK < length);
                self.pending.push((number, Change::Truncate(length)));
            }
            Change::Write { offset, data } => {
                let blocks = offset / BLOCK..=(offset + data.len() - 1) / BLOCK;
                self.pending.push((number, Change::Write { offset, data }));
                // A write to a page makes the whole page dirty again.
                for block in blocks.filter(|block| self.stale.remove(block)) {
                    let page = block * BLOCK..self.cache.len().min((block + 1) * BLOCK);
                    let whole = Change::Write { offset: page.start, data: self.cache[page].to_vec() };
                    self.pending.push((number, whole));
                }
            }
        }
    }

    fn synced(&mut self, before: usize) {
        for (_, change) in self.pending.extract_if(.., |(number, _)| *number < before) {
            apply(&mut self.disk, &change);
        }
    }

    fn sync_failed(&mut self, before: usize, lose: f64) {
        let writes =
            |(number, change): &mut (usize, Change)| *number < before && matches!(change, Change::Write { .. });
        for (_, change) in self.pending.extract_if(.., writes) {
            let Change::Write { offset, data } = &change else { continue };
            self.stale.extend(offset / BLOCK..=(offset + data.len() - 1) / BLOCK);
            if fastrand::f64() >= lose {
                apply(&mut self.disk, &change);
            }
        }
    }

    fn after_cut(&self, left: Left) -> Vec<u8> {
        let mut image = self.disk.clone();
        match left {
            Left::Nothing => return image,
            Left::Everything => {
                self.pending.iter().for_each(|(_, change)| apply(&mut image, change));
                return image;
            }
            Left::Some => {}
        }
        let mut seen: HashMap<usize, usize> = HashMap::new();
        let mut kept: HashMap<usize, usize> = HashMap::new();
        let truncations = self.pending.iter().filter(|(_, change)| matches!(change, Change::Truncate(_))).count();
        let mut truncations = fastrand::usize(0..=truncations);
        let torn = fastrand::f64() * 0.3;
        let most = fastrand::usize(1..=6);
        for (_, change) in &self.pending {
            match change {
                Change::Truncate(length) if truncations > 0 => {
                    truncations -= 1;
                    apply(&mut image, &Change::Truncate(*length));
                }
                Change::Truncate(_) => {}
                Change::Write { offset, data } => {
                    for sector in offset / SECTOR..=(offset + data.len() - 1) / SECTOR {
                        // An untorn block is written as a whole, keyed by its first sector.
                        let block = sector * SECTOR / BLOCK;
                        let tear =
                            *kept.entry(usize::MAX - block).or_insert_with(|| usize::from(fastrand::f64() < torn));
                        let unit = if tear == 1 { sector } else { block * BLOCK / SECTOR };
                        let keep = *kept.entry(unit).or_insert_with(|| fastrand::usize(0..=most));
                        let piece = (*offset).max(sector * SECTOR)..(offset + data.len()).min((sector + 1) * SECTOR);
                        let count = seen.entry(sector).or_default();
                        *count += 1;
                        if *count <= keep {
                            let data = data[piece.start - offset..piece.end - offset].to_vec();
                            apply(&mut image, &Change::Write { offset: piece.start, data });
                        }
                    }
                }
            }
        }
        if image.len() < self.cache.len() && fastrand::bool() {
            image.resize(self.cache.len(), 0);
        }
        image
    }
}

fn apply(file: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Truncate(length) => file.resize(*length, 0),
        Change::Write { offset, data } => {
            file.resize(file.len().max(offset + data.len()), 0);
            file[*offset..offset + data.len()].copy_from_slice(data);
        }
    }
}

/// What a name refers to.
#[derive(Clone, Copy)]
enum DirEntry {
    Folder,
    File(u64),
    Nothing,
}

/// A disk after a part of its trace.
pub(crate) struct Disk<'a> {
    records: &'a [Record],
    /// The number of the next record.
    next: usize,
    files: HashMap<u64, File>,
    /// What each name referred to, with the record since when.
    names: BTreeMap<PathBuf, Vec<(usize, DirEntry)>>,
    /// For each folder, the record up to which its names are on the disk.
    folders: HashMap<PathBuf, usize>,
    lose: f64,
}

impl<'a> Disk<'a> {
    /// The disk before the first record. A failed fsync loses the share `lose` of its data.
    pub(crate) fn new(records: &'a [Record], lose: f64) -> Disk<'a> {
        Disk { records, next: 0, files: HashMap::new(), names: BTreeMap::new(), folders: HashMap::new(), lose }
    }

    /// Advances to after the record with this number.
    pub(crate) fn go_to(&mut self, number: usize) {
        while self.next <= number.min(self.records.len() - 1) {
            self.step(self.next, &self.records[self.next]);
            self.next += 1;
        }
    }

    fn step(&mut self, number: usize, record: &Record) {
        let mut name = |entry| self.names.entry(record.path.clone()).or_default().push((number, entry));
        match record.what {
            What::Create => {
                name(DirEntry::File(record.inode));
                // The inode of a deleted file may be reused.
                self.files.insert(record.inode, File::default());
            }
            What::MakeFolder => name(DirEntry::Folder),
            What::Unlink => name(DirEntry::Nothing),
            What::Write => {
                let change = Change::Write { offset: record.offset, data: record.data.clone() };
                self.files.entry(record.inode).or_default().change(number, change);
            }
            What::Truncate => {
                self.files.entry(record.inode).or_default().change(number, Change::Truncate(record.offset));
            }
            What::Synced => match self.files.get_mut(&record.inode) {
                Some(file) => file.synced(record.offset),
                None => drop(self.folders.insert(record.path.clone(), record.offset)),
            },
            What::SyncFailed => {
                let lose = self.lose;
                self.files.entry(record.inode).or_default().sync_failed(record.offset, lose);
            }
            What::HeardOfFailed => {}
        }
    }

    /// Writes what a cut at this moment leaves of the folder `from` to the folder `to`.
    pub(crate) fn cut(&self, left: Left, from: &Path, to: &Path) {
        // In the order of the paths, a folder comes before its entries.
        for (path, entries) in &self.names {
            let synced = path.parent().and_then(|folder| self.folders.get(folder)).copied().unwrap_or(0);
            let durable = entries.iter().filter(|(number, _)| *number < synced).count();
            let there = match left {
                Left::Nothing => durable,
                Left::Everything => entries.len(),
                Left::Some => fastrand::usize(durable..=entries.len()),
            };
            let entry = there.checked_sub(1).map_or(DirEntry::Nothing, |last| entries[last].1);
            let to = to.join(path.strip_prefix(from).expect("a path below the folder"));
            let above = to.parent().is_some_and(Path::is_dir);
            match entry {
                DirEntry::Folder if above => std::fs::create_dir(&to).expect("made"),
                DirEntry::File(inode) if above => {
                    let image = self.files.get(&inode).map(|file| file.after_cut(left)).unwrap_or_default();
                    std::fs::write(&to, image).expect("written");
                }
                _ => {}
            }
        }
    }

    /// Writes a file as it is to the folder `to`: the cut does not affect it.
    pub(crate) fn whole(&self, name: &str, to: &Path) {
        let inode = self.names.iter().find(|(path, _)| path.ends_with(name)).and_then(|(_, entries)| entries.last());
        if let Some((_, DirEntry::File(inode))) = inode {
            let file = self.files.get(inode).map(|file| file.cache.as_slice()).unwrap_or_default();
            std::fs::write(to.join(name), file).expect("written");
        }
    }
}

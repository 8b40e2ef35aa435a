//! Checks of the disk: whether a failed write was refused by the system, and how much space is
//! left.

use std::{
    fmt, fs,
    io::{self, Write as _},
    path::Path,
};

/// A test file that is written and removed at once.
const NAME: &str = "space.tmp";
/// Bytes that are written to it: more than the space left where a page did not fit.
const TRIED_BYTES: usize = 64 * 1024;

/// Space is low below this many bytes, or
const LOW_BYTES: u64 = 1 << 30;
/// below one part in this many of the disk, if that is less.
const LOW_SHARE: u64 = 10;
/// Space is scarce below one part in this many of the low mark.
const SCARCE_SHARE: u64 = 10;

/// Watches the space of a disk, and reports each time that it gets low or scarce, and once there is
/// enough again.
#[derive(Debug, Default)]
pub(super) struct Watch {
    told: Left,
}

/// How much space is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Left {
    #[default]
    Enough,
    Little,
    Scarce,
}

impl Watch {
    /// Checks the disk of a directory. Returns the line to log, if any, and whether it is a
    /// warning.
    pub(super) fn look(&mut self, directory: &Path) -> Option<(bool, String)> {
        let (free, all) = space(directory)?;
        self.found(free, all)
    }

    fn found(&mut self, free: u64, all: u64) -> Option<(bool, String)> {
        let low = LOW_BYTES.min(all / LOW_SHARE);
        let left = match free {
            free if free < low / SCARCE_SHARE => Left::Scarce,
            free if free < low => Left::Little,
            // Hysteresis, so that small changes are not reported again and again.
            free if free < low + low / 4 && self.told != Left::Enough => Left::Little,
            _ => Left::Enough,
        };
        let before = std::mem::replace(&mut self.told, left);
        if left > before {
            let (free, all) = (Bytes(free), Bytes(all));
            return Some((
                true,
                format!(
                    "the disk of the log has {free} left of {all}: free some space, or keep less \
                     (--retain-bytes); when it is full, messages are refused"
                ),
            ));
        }
        (left == Left::Enough && before > left).then(|| {
            (
                false,
                format!("the disk of the log has {} again", Bytes(free)),
            )
        })
    }
}

/// The free bytes of a directory's disk, and all of them; `None` if the system does not say.
fn space(directory: &Path) -> Option<(u64, u64)> {
    let disk = rustix::fs::statvfs(directory).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    Some((bytes(disk.f_bavail), bytes(disk.f_blocks)))
}

/// The free bytes of a directory's disk; `None` if the system does not say.
pub(super) fn free(directory: &Path) -> Option<u64> {
    space(directory).map(|(free, _)| free)
}

/// Formats bytes for people.
pub(super) struct Bytes(pub(super) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes >= 10 << 30 => write!(out, "{} GiB", bytes >> 30),
            bytes if bytes >= 10 << 20 => write!(out, "{} MiB", bytes >> 20),
            bytes => write!(out, "{} KiB", bytes >> 10),
        }
    }
}

/// Whether the system refuses to write to a directory for a reason that may pass: no space, a
/// used-up quota, a read-only file system.
///
/// Called after a failed write: SQLite tells "no space" from a failing disk, but not the other
/// reasons.
pub(super) fn is_refused(directory: &Path) -> bool {
    let path = directory.join(NAME);
    let tried = fs::File::create(&path).and_then(|mut file| file.write_all(&vec![0; TRIED_BYTES]));
    // If this fails, it is truncated the next time.
    let _ = fs::remove_file(&path);
    matches!(
        tried.map_err(|error| error.kind()),
        Err(io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::ReadOnlyFilesystem)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_once_when_little_is_left_and_once_more_when_next_to_nothing_is() {
        const MIB: u64 = 1 << 20;
        for all in [64 * MIB, 1_000 * MIB, 8 << 40] {
            let low = LOW_BYTES.min(all / 10);
            let mut watch = Watch::default();
            let mut said = |free| watch.found(free, all).map(|(warns, _)| warns);
            assert_eq!(said(all), None);
            assert_eq!(said(low), None, "at the limit");
            assert_eq!(said(low - 1), Some(true), "one below");
            assert_eq!(said(low - 2), None, "once");
            assert_eq!(said(low + 1), None, "it goes up and down");
            assert_eq!(said(low - 1), None);
            assert_eq!(said(low / 10), None);
            assert_eq!(said(low / 10 - 1), Some(true));
            assert_eq!(said(0), None);
            assert_eq!(said(low / 2), None);
            assert_eq!(said(0), Some(true), "it comes to it again");
            assert_eq!(said(low * 2), Some(false), "there is enough");
            assert_eq!(said(0), Some(true), "at once next to nothing");
        }
        let (_, words) = Watch::default().found(5 * MIB, 100 * MIB).unwrap();
        assert_eq!(
            words,
            "the disk of the log has 5120 KiB left of 100 MiB: free some space, or keep less \
             (--retain-bytes); when it is full, messages are refused"
        );
    }
}

//! Whether the system refuses to write, or the disk fails to; and whether its space comes to an end.

use std::{
    fmt, fs,
    io::{self, Write as _},
    path::Path,
};

/// A file that is written to find out, and removed at once.
const NAME: &str = "space.tmp";
/// Bytes that are written to it: more than what is left where a page did not fit.
const TRIED_BYTES: usize = 64 * 1024;

/// Little is left of a disk below so many bytes, or
const LOW_BYTES: u64 = 1 << 30;
/// below one part in so many of it, where that is less.
const LOW_SHARE: u64 = 10;
/// Next to nothing is left below one part in so many of that.
const SCARCE_SHARE: u64 = 10;

/// Watches the space of a disk, and says so once when little is left, once more when next to nothing
/// is, and when there is enough again.
#[derive(Debug, Default)]
pub(super) struct Watch {
    told: Left,
}

/// How much is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Left {
    #[default]
    Enough,
    Little,
    Scarce,
}

impl Watch {
    /// What is to be said now of a directory's disk, and whether it is a warning.
    pub(super) fn look(&mut self, directory: &Path) -> Option<(bool, String)> {
        let disk = rustix::fs::statvfs(directory).ok()?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        self.found(free, disk.f_blocks.saturating_mul(disk.f_frsize))
    }

    fn found(&mut self, free: u64, all: u64) -> Option<(bool, String)> {
        let low = LOW_BYTES.min(all / LOW_SHARE);
        let left = match free {
            free if free < low / SCARCE_SHARE => Left::Scarce,
            free if free < low => Left::Little,
            // Not each time that a file comes and goes.
            free if free < low + low / 4 && self.told != Left::Enough => Left::Little,
            _ => Left::Enough,
        };
        let before = std::mem::replace(&mut self.told, left);
        if left > before {
            let (free, all) = (Bytes(free), Bytes(all));
            return Some((
                true,
                format!(
                    "the disk of the log has {free} left, of {all}: make room, or keep less \
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

/// Bytes as people read them.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes if bytes >= 10 << 30 => write!(out, "{} GiB", bytes >> 30),
            bytes if bytes >= 10 << 20 => write!(out, "{} MiB", bytes >> 20),
            bytes => write!(out, "{} KiB", bytes >> 10),
        }
    }
}

/// Whether nothing more can be written to a directory, for a reason that may pass: no space, a
/// quota that is used up, a file system that was made read-only.
///
/// To be asked after a write that failed. SQLite tells "no space" from a disk that fails; the
/// others are the same to it.
pub(super) fn is_refused(directory: &Path) -> bool {
    let path = directory.join(NAME);
    let tried = fs::File::create(&path).and_then(|mut file| file.write_all(&vec![0; TRIED_BYTES]));
    // It is truncated the next time.
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
            "the disk of the log has 5120 KiB left, of 100 MiB: make room, or keep less \
             (--retain-bytes); when it is full, messages are refused"
        );
    }
}

//! Whether the system refuses to write, or the disk fails to.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

/// A file that is written to find out, and removed at once.
const NAME: &str = "space.tmp";
/// Bytes that are written to it: more than what is left where a page did not fit.
const TRIED_BYTES: usize = 64 * 1024;

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

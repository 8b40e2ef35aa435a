//! The limits of the index's work.

/// Entries of a block. A full one takes about a second to rebuild.
pub(super) const BLOCK_ENTRIES: u64 = 1 << 16;
/// Bytes of frames that are indexed in one transaction: about 1,000 messages, about 20 ms.
pub(super) const BATCH_BYTES_MAX: usize = 256 * 1024;
/// Bytes of frames that one step of a rebuild indexes. More than [`BATCH_BYTES_MAX`], so that the
/// rebuild of the block that is being filled catches up.
const REBUILD_BYTES_MAX: usize = 2 * BATCH_BYTES_MAX;
/// A block is rebuilt again only after this many times as long as its last rebuild took: half a
/// minute for a full one. Small steps of retention, and edits, share a rebuild meanwhile.
const REST_TIMES: u32 = 30;

/// The limits that tests narrow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Entries of a block.
    pub(super) block_entries: u64,
    /// Bytes of frames that one step of a rebuild indexes, plus one frame.
    pub(super) rebuild_bytes_max: usize,
    /// How long a rebuilt block rests, in times that its rebuild took.
    pub(super) rest_times: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            block_entries: BLOCK_ENTRIES,
            rebuild_bytes_max: REBUILD_BYTES_MAX,
            rest_times: REST_TIMES,
        }
    }
}

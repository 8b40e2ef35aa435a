//! Records of the server's state: accounts, bans, topics. The core interprets them; the store only
//! keeps them.

/// Bytes of a record's kind.
pub const STATE_KIND_BYTES_MAX: usize = 32;
/// Bytes of a record's key.
pub const STATE_KEY_BYTES_MAX: usize = 256;
/// Bytes of a record's value.
pub const STATE_VALUE_BYTES_MAX: usize = 16 * 1024;

/// One record. Each kind and key has at most one value: a later one replaces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateRecord {
    /// The kind, such as `ban`.
    pub kind: Box<str>,
    /// The key, unique within its kind.
    pub key: String,
    /// The value as JSON; `None` deletes the record.
    pub value: Option<String>,
}

impl StateRecord {
    /// Panics if the record exceeds the limits above: the core has smaller limits of its own.
    pub(in crate::server) fn assert_bounded(&self) {
        let value = self.value.as_ref().map_or(0, String::len);
        assert!(
            self.kind.len() <= STATE_KIND_BYTES_MAX
                && self.key.len() <= STATE_KEY_BYTES_MAX
                && value <= STATE_VALUE_BYTES_MAX,
            "a record of kind {:?} is too long: {} bytes of key, {value} of value",
            self.kind,
            self.key.len(),
        );
    }
}

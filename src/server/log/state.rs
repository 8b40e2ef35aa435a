//! Records of the server's state: who owns which key, who is banned, what the topic is. The core says
//! what a fact means; the store keeps it.

/// Bytes of a fact's kind.
pub const STATE_KIND_BYTES_MAX: usize = 32;
/// Bytes of a fact's key.
pub const STATE_KEY_BYTES_MAX: usize = 256;
/// Bytes of a fact's value.
pub const STATE_VALUE_BYTES_MAX: usize = 16 * 1024;

/// One thing that is known. Of each kind and key there is one value at most: a later one takes the
/// place of the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateRecord {
    /// What it is about, such as `ban`.
    pub kind: Box<str>,
    /// Which of that kind.
    pub key: String,
    /// What is known, as JSON; `None`: it no longer holds.
    pub value: Option<String>,
}

impl StateRecord {
    /// Stops what would keep more than was agreed on: the core has limits of its own, below these.
    pub(in crate::server) fn assert_bounded(&self) {
        let value = self.value.as_ref().map_or(0, String::len);
        assert!(
            self.kind.len() <= STATE_KIND_BYTES_MAX
                && self.key.len() <= STATE_KEY_BYTES_MAX
                && value <= STATE_VALUE_BYTES_MAX,
            "a fact of kind {:?} is too long: {} bytes of key, {value} of value",
            self.kind,
            self.key.len(),
        );
    }
}

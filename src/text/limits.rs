//! Limits of texts. The wire's limits are in [`protocol`](crate::protocol::limits).

/// Combining marks in a row in a text; a ninth is refused.
pub const COMBINING_MARKS_MAX: usize = 8;
/// Joiners in one emoji sequence; the longest that Unicode recommends have three. A terminal that
/// doesn't know a sequence draws its parts side by side.
pub const EMOJI_JOINERS_MAX: usize = 4;
/// Bytes of any other short text: a reason, an error's message, a program's name and version.
pub const LINE_BYTES_MAX: usize = 1024;
/// Bytes of a message's text, as UTF-8.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;

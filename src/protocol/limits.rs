//! Every limit of the protocol, with its unit in its name.
//!
//! The server sends the ones that concern a client in `welcome.limits`; a client prefers the
//! server's figures to these.

pub use crate::text::limits::*;

use std::time::Duration;

/// The only protocol version that this build speaks.
pub const PROTOCOL_VERSION: u64 = 2;
/// The version in a `join` that only probes for a modern server: no such version exists.
pub const NO_PROTOCOL: u64 = 0;

/// Bytes of one frame, from its opening to its closing brace.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;
/// Levels of `{` and `[` inside each other, the frame's own brace included.
pub const FRAME_DEPTH_MAX: usize = 12;
/// Numbers are unsigned and below 2⁵³, so that every JSON reader keeps them exactly.
pub const NUMBER_MAX: u64 = (1 << 53) - 1;

/// Bytes of a nickname, as UTF-8.
pub const NICKNAME_BYTES_MAX: usize = 128;
/// Grapheme clusters of a nickname.
pub const NICKNAME_GRAPHEMES_MAX: usize = 32;
/// Bytes of a room's name.
pub const ROOM_BYTES_MAX: usize = 64;
/// Bytes of a client ID.
pub const CLIENT_ID_BYTES_MAX: usize = 32;
/// Bytes of a whole invite, or of its token.
pub const INVITE_BYTES_MAX: usize = 512;
/// Bytes of a password, as UTF-8.
pub const PASSWORD_BYTES_MAX: usize = 256;

/// Capabilities that one `join` or `welcome` may name.
pub const CAPABILITIES_MAX: usize = 64;
/// Rooms that one frame may name.
pub const JOIN_ROOMS_MAX: usize = 256;
/// Most rooms of one user, besides the lobby.
pub const USER_ROOMS_MAX: usize = 2_000;
/// Most people in a direct conversation.
pub const DIRECT_PEOPLE_MAX: usize = 9;
/// Unread entries and mentions are counted up to this number, which stands for that many or more.
pub const UNREAD_COUNT_MAX: u64 = 100;
/// Most users whom one ignores.
pub const IGNORED_MAX: usize = 1_000;
/// Most users that a message mentions.
pub const MENTIONS_MAX: usize = 100;
/// Most elements of a page of rooms, or of people.
pub const LIST_PAGE_MAX: usize = 100;
/// Most bytes of the query that rooms or people are listed by, as UTF-8.
pub const LIST_QUERY_BYTES_MAX: usize = 128;
/// The most messages that a `join` gets by `last`; a larger number is lowered to this.
pub const LAST_MESSAGES_MAX: u64 = 1_000;
/// Entries in one `history`, `found` or `changes` page.
pub const HISTORY_PAGE_MAX: usize = 200;
/// Bytes of the entries in one such page: a frame without its other fields.
pub const HISTORY_BYTES_MAX: usize = FRAME_BYTES_MAX - 1024;
/// Lines of one command's result.
pub const RESULT_LINES_MAX: usize = 200;
/// Members in one `members` page.
pub const MEMBERS_PAGE_MAX: usize = 200;
/// Messages that a client may have sent without yet knowing their outcome. The server remembers the
/// outcome of at least this many for every device, and so can always answer a repeated one.
pub const UNANSWERED_MESSAGES_MAX: usize = 1_000;

/// Silence after which a side sends a `ping`.
pub const PING_AFTER: Duration = Duration::from_secs(20);
/// Silence after which a side treats the other as gone.
pub const GONE_AFTER: Duration = Duration::from_secs(45);
/// How long the server waits for a `join`, encryption and proof included, after a connection opens.
pub const JOIN_WITHIN: Duration = Duration::from_secs(10);
/// How long a frame may take from its first byte to its last.
pub const LINE_WITHIN: Duration = Duration::from_secs(30);

/// Bytes of one object sent to, or by, a legacy peer: it reads with `recv(1024)`.
pub const LEGACY_FRAME_BYTES_MAX: usize = 1024;
/// The shortest time between two objects to a legacy peer, so that each arrives alone. Such a peer
/// was measured to keep up with one every 10 ms; the rest allows for busy machines.
pub const LEGACY_PAUSE: Duration = Duration::from_millis(20);
/// Extra pause for each other legacy peer that is written to. At 20 ms alone, half of a hundred
/// older programs on two cores were lost.
pub const LEGACY_PAUSE_FOR_EACH: Duration = Duration::from_micros(400);
/// The longest pause, where the writer notices that its machine is busy, or writes to very many.
pub const LEGACY_PAUSE_MAX: Duration = Duration::from_millis(500);
/// How long a legacy client that has just joined is sent nothing: it has yet to begin to read.
pub const LEGACY_QUIET: Duration = Duration::from_secs(1);
/// How long a client waits for any answer to its `join` before it treats the server as a legacy
/// one.
pub const LEGACY_SERVER_AFTER: Duration = Duration::from_secs(3);

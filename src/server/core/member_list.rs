//! A room's member list, and its pages for subscribers that need the whole list.
//!
//! A page of a long list is encoded once and given to everybody who asks for it within a moment,
//! since in a storm of joins everybody needs the list. Such a page may be slightly older than the
//! list. That does no harm: a subscriber that has read the pages goes on with the changes since the
//! oldest of them, and applying a change twice is the same as once.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;

use crate::protocol::{
    RoomId, RoomRules, ServerFrame, UserId,
    frame::{Member, MembersPage},
    limits::MEMBERS_PAGE_MAX,
    wire::encode_server,
};

/// How much older than the last change a cached page may be. Short, because its reader is told of
/// later changes as if they happened now.
const STALE_MAX: Duration = Duration::from_millis(100);

/// One encoded page.
#[derive(Clone, Debug)]
pub struct Page {
    /// The frame.
    pub bytes: Bytes,
    /// The list's version when the page was made.
    pub version: u64,
    /// The user behind whom the next page starts; `None`: this is the last.
    pub next: Option<UserId>,
}

/// A room's members, ordered by user.
#[derive(Debug, Default)]
pub struct Members {
    table: BTreeMap<UserId, Arc<Member>>,
    /// The room's rules.
    rules: Arc<RoomRules>,
    /// Time of the last change.
    changed: Duration,
    /// Cached pages by the user behind whom they start, with the time of the last change in them.
    pages: HashMap<Option<UserId>, (Duration, Page)>,
}

impl Members {
    /// Sets the time of the changes that follow.
    pub fn change_at(&mut self, at: Duration) {
        self.changed = at;
    }

    /// Adds or replaces a member.
    pub fn put(&mut self, member: Arc<Member>) {
        self.table.insert(member.user, member);
    }

    /// Sets the room's rules.
    pub fn rule(&mut self, rules: Arc<RoomRules>) {
        self.rules = rules;
        self.pages.clear();
    }

    /// Removes a member.
    pub fn remove(&mut self, user: UserId) {
        self.table.remove(&user);
    }

    /// Frees the cached pages.
    pub fn forget_pages(&mut self) {
        self.pages = HashMap::new();
    }

    /// The number of members.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether the room has no members.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The page behind a user (`None`: the first), current or at most [`STALE_MAX`] old, but never
    /// older than version `oldest`, since which all changes are still held.
    pub fn page(&mut self, room: RoomId, after: Option<UserId>, version: u64, oldest: u64) -> Page {
        if let Some((at, page)) = self.pages.get(&after)
            && page.version >= oldest
            && (page.version == version || self.may_be_stale(*at))
        {
            return page.clone();
        }
        let page = self.encode(room, after, version);
        if self.is_short() {
            // Quickly made, so not cached: the next member who needs the list has changed it by
            // joining.
            return page;
        }
        // Pages that start behind past users would accumulate: a first page clears the cache.
        if after.is_none() || self.pages.len() > 8 + self.table.len() / (MEMBERS_PAGE_MAX / 4) {
            self.pages.clear();
        }
        self.pages.insert(after, (self.changed, page.clone()));
        page
    }

    /// Whether the list fits one page.
    fn is_short(&self) -> bool {
        self.table.len() <= MEMBERS_PAGE_MAX
    }

    /// Whether a cached page of this time may still be used.
    fn may_be_stale(&self, at: Duration) -> bool {
        !self.is_short() && self.changed.saturating_sub(at) <= STALE_MAX
    }

    fn encode(&self, room: RoomId, after: Option<UserId>, version: u64) -> Page {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = self.table.range((from, Bound::Unbounded));
        let members: Vec<Member> = rest
            .by_ref()
            .take(MEMBERS_PAGE_MAX)
            .map(|(_, member)| Member::clone(member))
            .collect();
        let last = members.last().map(|member| member.user);
        let more = rest.next().is_some();
        let mut bytes = Vec::new();
        encode_server(
            &ServerFrame::Members(MembersPage {
                room,
                version,
                start: after.is_none(),
                more,
                members,
                rules: after.is_none().then(|| RoomRules::clone(&self.rules)),
            }),
            &mut bytes,
        );
        bytes.shrink_to_fit();
        Page {
            bytes: bytes.into(),
            version,
            next: last.filter(|_| more),
        }
    }
}

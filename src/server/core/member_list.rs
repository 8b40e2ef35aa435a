//! Who is in a room: the table, and its pages for those who need the whole list.
//!
//! A page of a long list is encoded once and given to all who ask for it within a moment: in a
//! storm of joins everybody needs the list. Such a page may be a little older than the table. That
//! does no harm: whoever reads pages goes on with the changes since the oldest of them, and
//! applying a change twice is the same as once.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Bound,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;

use crate::protocol::{
    RoomName, RoomRules, ServerFrame, UserId,
    frame::{Member, MembersPage},
    limits::MEMBERS_PAGE_MAX,
    wire::encode_server,
};

/// How much older than the last change a page may be and still be given out. Short: whoever gets
/// it is told of the changes since as if they happened now.
const STALE_MAX: Duration = Duration::from_millis(100);

/// One encoded page.
#[derive(Clone, Debug)]
pub struct Page {
    /// The frame.
    pub bytes: Bytes,
    /// The table's version when the page was made.
    pub version: u64,
    /// Where the next page starts: behind this user. `None`: this was the last.
    pub next: Option<UserId>,
}

/// A room's members, ordered by user.
#[derive(Debug, Default)]
pub struct Members {
    table: BTreeMap<UserId, Arc<Member>>,
    /// How the room is run.
    rules: Arc<RoomRules>,
    /// When it changed last.
    changed: Duration,
    /// By the user that they start behind, with the time of the last change in them.
    pages: HashMap<Option<UserId>, (Duration, Page)>,
}

impl Members {
    /// What follows changes it at this time.
    pub fn change_at(&mut self, at: Duration) {
        self.changed = at;
    }

    /// Adds a member, or replaces what was known of him.
    pub fn put(&mut self, member: Arc<Member>) {
        self.table.insert(member.user, member);
    }

    /// The room is run so from now on.
    pub fn rule(&mut self, rules: Arc<RoomRules>) {
        self.rules = rules;
        self.pages.clear();
    }

    /// Takes a member out.
    pub fn remove(&mut self, user: UserId) {
        self.table.remove(&user);
    }

    /// Gives back the pages that were kept.
    pub fn forget_pages(&mut self) {
        self.pages = HashMap::new();
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether nobody is there.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The page behind a user (`None`: the first), as the table stands or stood a moment ago, but
    /// never from before `oldest`, the version since which all changes are still at hand.
    pub fn page(
        &mut self,
        room: &RoomName,
        after: Option<UserId>,
        version: u64,
        oldest: u64,
    ) -> Page {
        if let Some((at, page)) = self.pages.get(&after)
            && page.version >= oldest
            && (page.version == version || self.may_be_stale(*at))
        {
            return page.clone();
        }
        let page = self.encode(room, after, version);
        if self.is_short() {
            // Soon made, and made for one: the next who needs the list is in it.
            return page;
        }
        // Pages that start behind users of the past would pile up: a first page starts anew.
        if after.is_none() || self.pages.len() > 8 + self.table.len() / (MEMBERS_PAGE_MAX / 4) {
            self.pages.clear();
        }
        self.pages.insert(after, (self.changed, page.clone()));
        page
    }

    /// Whether it fits one page.
    fn is_short(&self) -> bool {
        self.table.len() <= MEMBERS_PAGE_MAX
    }

    /// Whether a page of this time is still good.
    fn may_be_stale(&self, at: Duration) -> bool {
        !self.is_short() && self.changed.saturating_sub(at) <= STALE_MAX
    }

    fn encode(&self, room: &RoomName, after: Option<UserId>, version: u64) -> Page {
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
                room: room.clone(),
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

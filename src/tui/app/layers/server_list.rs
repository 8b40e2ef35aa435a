//! The part of a list to choose from that comes from the server: page by page, and again for what is
//! typed, as long as not all of it is here.

use crate::protocol::{RoomId, UserId};

/// What the server lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// The rooms that the user can find.
    Rooms,
    /// The members of a room; `None`: everybody whom the user may see.
    People(Option<RoomId>),
    /// The messages that mention the user.
    Inbox,
}

/// Where a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageStart {
    /// At the start of the list.
    Start,
    /// After this room.
    AfterRoom(RoomId),
    /// After this user.
    AfterUser(UserId),
    /// Before this position of the inbox.
    Before(u64),
}

/// A list of the server, as far as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerList {
    /// What is listed.
    pub listed: Listed,
    /// The words that the server was last asked for.
    words: String,
    /// Where the next page for these words begins; `None`: all is here.
    next: Option<PageStart>,
    /// The request that is not answered.
    asked: Option<u64>,
    /// Whether the list is here as a whole, whatever is typed.
    whole: bool,
    /// Why the last request has failed.
    pub failed: Option<String>,
}

impl ServerList {
    /// A list of which nothing was asked for.
    pub fn new(listed: Listed) -> Self {
        Self {
            listed,
            words: String::new(),
            next: Some(PageStart::Start),
            asked: None,
            whole: false,
            failed: None,
        }
    }

    /// Whether an answer is awaited, or a request about to be made.
    pub fn is_loading(&self) -> bool {
        self.asked.is_some() || (self.next == Some(PageStart::Start) && !self.whole)
    }

    /// The page to ask for now: for other words than before, or the next one, if the reader is near
    /// the end of what is here. One request waits for the answer to the one before.
    pub fn wanted(&self, words: &str, near_end: bool) -> Option<PageStart> {
        if self.asked.is_some() || self.whole {
            None
        } else if words == self.words {
            self.next.filter(|_| near_end)
        } else {
            Some(PageStart::Start)
        }
    }

    /// Notes a request.
    pub fn ask(&mut self, request: u64, words: &str) {
        self.asked = Some(request);
        words.clone_into(&mut self.words);
    }

    /// Takes the answer to a request: where the next page begins, or why there is none. Returns false
    /// if it is not the one that is awaited.
    pub fn answered(&mut self, request: u64, next: Result<Option<PageStart>, String>) -> bool {
        if self.asked.take_if(|asked| *asked == request).is_none() {
            return false;
        }
        self.failed = next.as_ref().err().cloned();
        self.whole = self.words.is_empty() && next == Ok(None);
        self.next = next.unwrap_or(None);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_asked_for_one_after_another() {
        let mut list = ServerList::new(Listed::Inbox);
        assert_eq!(list.wanted("", true), Some(PageStart::Start));
        list.ask(1, "");
        assert_eq!(list.wanted("", true), None, "one at a time");
        assert!(!list.answered(7, Ok(None)), "another request's");
        assert!(list.answered(1, Ok(Some(PageStart::Before(9)))));
        assert_eq!(list.wanted("", false), None, "not before one is near");
        assert_eq!(list.wanted("", true), Some(PageStart::Before(9)));
        list.ask(2, "");
        assert!(list.answered(2, Ok(None)));
        assert_eq!(list.wanted("x", true), None, "all of it is here");
    }

    #[test]
    fn other_words_begin_anew_and_a_failure_is_not_repeated() {
        let mut list = ServerList::new(Listed::Rooms);
        list.ask(1, "");
        list.answered(1, Ok(Some(PageStart::AfterRoom(RoomId::LOBBY))));
        assert_eq!(list.wanted("bu", false), Some(PageStart::Start));
        list.ask(2, "bu");
        list.answered(2, Err("not connected".to_owned()));
        assert_eq!(list.wanted("bu", true), None);
        assert_eq!(list.failed.as_deref(), Some("not connected"));
        assert_eq!(list.wanted("bui", true), Some(PageStart::Start));
        list.ask(3, "bui");
        list.answered(3, Ok(None));
        assert_eq!(list.failed, None);
        assert_eq!(list.wanted("bu", true), Some(PageStart::Start));
    }
}

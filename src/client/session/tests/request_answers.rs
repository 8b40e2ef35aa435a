//! Checks that every request gets exactly one answer, whatever server, disk and connection do.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{
    client::{
        event::{Page, SearchPage},
        session::{
            persist_types::{CACHE_QUERIES_MAX, CacheQuery, CacheQueryId, CacheResult},
            requests::{IN_FLIGHT_MAX, REQUESTS_MAX},
        },
    },
    protocol::frame::{FoundPage, HistoryPage, PageHead, Part},
    search::{Query, Words},
};

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The user requests a page, or a search, of this room.
    Page(u8),
    Search(u8),
    /// The disk answers this one of its queries: with a page, with nothing, or with an error.
    Disk(u8, DiskAnswer),
    /// The server answers what it was sent first.
    Server(ServerAnswer),
    /// The server answers what it was never asked.
    Astray,
    /// The connection is lost, or there is one again.
    Lose,
    Join,
    /// This many milliseconds pass.
    Pass(u32),
}

#[derive(Clone, Copy, Debug)]
enum DiskAnswer {
    Found,
    Nothing,
    Error,
}

#[derive(Clone, Copy, Debug)]
enum ServerAnswer {
    Found,
    Refusal,
    /// A refusal that asks for a wait of this many milliseconds.
    Wait(u64),
    /// It does not know the type, and so does not echo the reference.
    UnknownType,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let disk = prop_oneof![
        Just(DiskAnswer::Found),
        Just(DiskAnswer::Nothing),
        Just(DiskAnswer::Error)
    ];
    let server = prop_oneof![
        5 => Just(ServerAnswer::Found),
        1 => Just(ServerAnswer::Refusal),
        3 => prop_oneof![1..1000_u64, Just(5000), Just(90_000)].prop_map(ServerAnswer::Wait),
        1 => Just(ServerAnswer::UnknownType),
    ];
    let step = prop_oneof![
        12 => (0..12_u8).prop_map(Step::Page),
        6 => (0..6_u8).prop_map(Step::Search),
        12 => (any::<u8>(), disk).prop_map(|(which, answer)| Step::Disk(which, answer)),
        12 => server.prop_map(Step::Server),
        1 => Just(Step::Astray),
        1 => Just(Step::Lose),
        3 => Just(Step::Join),
        3 => (1..20_000_u32).prop_map(Step::Pass),
    ];
    prop::collection::vec(step, 0..120)
}

/// What a request asks for: each has a number of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Asked {
    Page(RoomId, u64),
    Search(RoomId, u64),
}

impl Asked {
    /// Whether the other is of the same room and kind.
    fn has_key_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Page(a, _), Self::Page(b, _)) | (Self::Search(a, _), Self::Search(b, _)) => {
                a == b
            }
            _ => false,
        }
    }
}

/// A session with a disk and a server that answer when they are told to.
struct Desk {
    run: TestSession,
    /// The number of the next request. Pages and results carry their request's number.
    next: u64,
    /// How often each request was answered.
    answers: BTreeMap<Asked, u32>,
    /// The last answers, in order, but for those to requests that did not take their turn.
    in_turn: Vec<Asked>,
    /// What this connection's server has to answer, oldest first.
    sent: VecDeque<(Asked, u64)>,
    ended: bool,
}

impl Desk {
    fn new() -> Self {
        let mut run = TestSession::online();
        run.disk.queries = Some(Vec::new());
        Self {
            run,
            next: 1,
            answers: BTreeMap::new(),
            in_turn: Vec::new(),
            sent: VecDeque::new(),
            ended: false,
        }
    }

    fn room(number: u8) -> RoomId {
        RoomId::parse(&format!("r{number}")).unwrap()
    }

    fn is_in(&self) -> bool {
        let state = &self.run.session.state;
        matches!(state, ConnectionState::Live(live) if live.mode == Mode::Online)
    }

    fn queries(&mut self) -> &mut Vec<(CacheQueryId, CacheQuery)> {
        self.run.disk.queries.as_mut().unwrap()
    }

    fn unanswered(&self) -> Vec<&Asked> {
        let answers = self.answers.iter();
        let none = answers.filter(|(_, count)| **count == 0);
        none.map(|(asked, _)| asked).collect()
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Page(room) => self.request(Asked::Page(Self::room(room), self.next)),
            Step::Search(room) => self.request(Asked::Search(Self::room(room), self.next)),
            Step::Disk(which, answer) => self.disk(usize::from(which), answer),
            Step::Server(answer) => self.server(answer),
            Step::Astray if self.is_in() => self.run.say(refusal(u64::MAX >> 12, None)),
            Step::Lose if self.run.connected => self.run.close(&Closed::Lost),
            Step::Join if !self.is_in() => {
                while !self.run.connected {
                    self.run.time();
                }
                self.run.enter(welcome());
            }
            Step::Astray | Step::Lose | Step::Join => {}
            Step::Pass(ms) => self.run.pass(Duration::from_millis(ms.into())),
        }
        self.check();
    }

    fn request(&mut self, asked: Asked) {
        self.next += 1;
        self.answers.insert(asked, 0);
        self.run.command(match asked {
            Asked::Page(room, to) => Command::Page {
                room,
                part: Part::Backward { from: 1, to },
            },
            Asked::Search(room, search) => Command::Search {
                search,
                room,
                query: Query {
                    words: Words::parse("green").unwrap(),
                    sender: None,
                    after: None,
                    before: None,
                },
                to: Some(search),
            },
        });
    }

    fn disk(&mut self, which: usize, answer: DiskAnswer) {
        let count = self.queries().len();
        if count == 0 {
            return;
        }
        let (id, query) = self.queries().remove(which % count);
        let why = || Line::inert("The disk is broken");
        let result = match (query, answer) {
            (CacheQuery::Page { part, .. }, DiskAnswer::Found) => {
                let Part::Backward { to, .. } = part else {
                    panic!("not requested: {part:?}");
                };
                CacheResult::Page(Ok(Some(Page {
                    extent: Extent::new(1, to),
                    from: 1,
                    to,
                    entries: Vec::new(),
                    offline: true,
                })))
            }
            (CacheQuery::Page { .. }, DiskAnswer::Nothing) => CacheResult::Page(Ok(None)),
            (CacheQuery::Page { .. }, DiskAnswer::Error) => CacheResult::Page(Err(why())),
            (CacheQuery::Search { to, .. }, DiskAnswer::Found) => {
                CacheResult::Found(Ok(SearchPage {
                    first: 1,
                    from: 1,
                    to: to.unwrap(),
                    entries: Vec::new(),
                    indexed: None,
                    offline: true,
                }))
            }
            (CacheQuery::Search { .. }, DiskAnswer::Nothing | DiskAnswer::Error) => {
                CacheResult::Found(Err(why()))
            }
            (query, _) => panic!("no request: {query:?}"),
        };
        let now = self.run.now();
        self.run.session.handle_cache_result(now, id, result);
        self.run.settle();
    }

    fn server(&mut self, answer: ServerAnswer) {
        let Some((asked, reference)) = self.sent.pop_front() else {
            return;
        };
        let head = |room: RoomId, from, number| PageHead {
            room,
            extent: Extent::new(1, number),
            from,
            to: number,
            reference: Some(reference),
        };
        self.run.say(match (answer, asked) {
            (ServerAnswer::Found, Asked::Page(room, number)) => ServerFrame::History(HistoryPage {
                head: head(room, number, number),
                entries: vec![match message(number, "old") {
                    ServerFrame::Entry(message) => Entry { room, ..message },
                    other => panic!("{other:?}"),
                }],
            }),
            (ServerAnswer::Found, Asked::Search(room, number)) => ServerFrame::Found(FoundPage {
                head: head(room, 1, number),
                indexed: number,
                entries: Vec::new(),
            }),
            (ServerAnswer::Refusal, _) => refusal(reference, None),
            (ServerAnswer::Wait(ms), _) => refusal(reference, Some(ms)),
            (ServerAnswer::UnknownType, _) => {
                ServerFrame::Error(error(ErrorCode::UnknownType, "What?"))
            }
        });
    }

    /// Takes what the session has written and told, and checks it.
    fn check(&mut self) {
        for frame in self.run.frames() {
            match frame {
                ClientFrame::History(request) => {
                    let Part::Backward { to, .. } = request.part else {
                        panic!("not requested: {request:?}");
                    };
                    let asked = Asked::Page(request.room, to);
                    self.sent.push_back((asked, request.reference.unwrap()));
                }
                ClientFrame::Search(request) => {
                    let asked = Asked::Search(request.room, request.to.unwrap());
                    self.sent.push_back((asked, request.reference.unwrap()));
                }
                ClientFrame::Ping { .. } | ClientFrame::Disconnect => {}
                other => panic!("{other:?}"),
            }
        }
        if !self.is_in() {
            self.sent.clear();
        }
        for event in std::mem::take(&mut self.run.events) {
            assert!(!self.ended, "{event:?} after the end");
            match event {
                Event::Page { room, part, page } => {
                    let Part::Backward { to, .. } = part else {
                        panic!("not requested: {part:?}");
                    };
                    let number = page.as_ref().map(|page| page.to);
                    assert!(number.is_err() || number == Ok(to), "another page");
                    self.answered(Asked::Page(room, to), page.as_ref().err());
                }
                Event::Found {
                    search,
                    room,
                    found,
                } => {
                    let number = found.as_ref().map(|found| found.to);
                    assert!(number.is_err() || number == Ok(search), "another search");
                    self.answered(Asked::Search(room, search), found.as_ref().err());
                }
                Event::Ended(_) => {
                    self.ended = true;
                    assert_eq!(self.unanswered(), [] as [&Asked; 0]);
                }
                _ => {}
            }
        }
        assert!(self.unanswered().len() <= REQUESTS_MAX);
        assert!(self.queries().len() <= CACHE_QUERIES_MAX);
        assert!(self.run.session.requests.unanswered() <= IN_FLIGHT_MAX);
        let waiting = self
            .sent
            .iter()
            .filter(|(asked, _)| self.answers[asked] == 0);
        let waiting: Vec<_> = waiting.map(|(asked, _)| asked).collect();
        for (at, asked) in waiting.iter().enumerate() {
            let mut others = waiting[..at].iter();
            assert!(
                !others.any(|other| other.has_key_of(asked)),
                "{asked:?} did not wait for another of its room and kind"
            );
        }
    }

    fn answered(&mut self, asked: Asked, why: Option<&Line>) {
        let count = self.answers.get_mut(&asked).expect("an answer to nothing");
        *count += 1;
        assert_eq!(*count, 1, "{asked:?} was answered again");
        let why = why.map_or("", Line::as_str);
        if why.starts_with("Too many") || why.starts_with("A newer") {
            return;
        }
        let mut older = self.in_turn.iter();
        assert!(
            !older.any(|older| older.has_key_of(&asked) && *older > asked),
            "{asked:?} came out of turn"
        );
        self.in_turn.push(asked);
    }

    /// Disk and server answer everything, in the course of time.
    fn settle(&mut self) {
        for _ in 0..100 {
            while !self.queries().is_empty() {
                self.step(Step::Disk(0, DiskAnswer::Nothing));
            }
            while !self.sent.is_empty() {
                self.step(Step::Server(ServerAnswer::Found));
            }
            if self.unanswered().is_empty() {
                return;
            }
            self.step(Step::Pass(1000));
        }
        panic!("unanswered: {:?}", self.unanswered());
    }
}

fn refusal(reference: u64, retry_after_ms: Option<u64>) -> ServerFrame {
    ServerFrame::Error(ErrorFrame {
        reference: Some(reference),
        retry_after_ms,
        ..error(ErrorCode::RateLimited, "Not so fast")
    })
}

proptest! {
    #[test]
    fn every_request_is_answered_once_and_in_its_turn(steps in steps(), leaves: bool) {
        let mut desk = Desk::new();
        for step in steps {
            desk.step(step);
        }
        if leaves {
            // The second time it is urgent.
            for _ in 0..2 {
                desk.run.command(Command::Leave);
                desk.check();
            }
            prop_assert!(desk.ended);
            while !desk.queries().is_empty() {
                desk.step(Step::Disk(0, DiskAnswer::Found));
            }
        } else {
            desk.settle();
        }
        prop_assert!(desk.answers.values().all(|count| *count == 1));
    }
}

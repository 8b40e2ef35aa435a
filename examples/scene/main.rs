//! Shows the screen with a made-up conversation and no server, for working on its appearance.
//!
//!     cargo run --example scene [SCENE] [dark|light]
//!
//! SCENE: online, connecting, refused, waiting, nickname, failed, panic; security and rules: plain,
//! first, announce, slow; joining: password, invite, changed, banned; edited: messages that were
//! edited and deleted; rooms: several rooms; and with a long log to page and search through:
//! history, absence, offline.

mod admin;
mod entries;
mod rooms;

use std::time::Duration;

use chat_tui::{
    client::event::{
        Command, ConnectionStatus, Delivery, Entered, Event, LocalId, OutboxMessage, Page,
        Received, Restored, RestoredRoom, Said, SearchPage, Summary, Unlogged,
    },
    protocol::{
        Author, Content, DeviceId, Entry, EntryKind, Extent, Mentions, MessageId, Nickname,
        ReadMarker, ReadState, Role, RoomId, RoomInfo, RoomName, RoomRules, UserId,
        entry::Text,
        frame::{Departure, Member, Part, RoomStart},
    },
    search::Query,
    text::{Body, Line},
    tui::{AtJoin, Launch, args::Theme, shell, signals::Signals},
};
use jiff::{Timestamp, ToSpan};
use tokio::sync::mpsc::{self, Sender};

const SAID: &[(i64, &str, &str)] = &[
    (-1500, "erin", "Who takes the night shift?"),
    (-1499, "dave", "me"),
    (-300, "alice", "morning! did the release build pass?"),
    (-299, "bob", "yes: 214 tests, 0 failures"),
    (-299, "bob", "log: https://ci.lan/run/88"),
    (
        -298,
        "alice",
        "great. I have written down what is still open before we tag it; please read it once from the top, since the order of the steps matters and the third one cannot be undone",
    ),
    (-290, "春子", "日本語の表示も問題ないです 🎉"),
    (
        -290,
        "春子",
        "全角と half width が混ざっても列がずれないはずです。長い文でも言葉の途中で変なところで折り返さない。",
    ),
    (
        -289,
        "bob",
        "👩‍👩‍👧‍👦 family, 🏳️‍🌈 flag, e\u{301}a\u{300}o\u{302} marks, 👍🏽 thumbs",
    ),
    (-200, "مریم", "می‌خواهم این را ببینم"),
    (-199, "maximilian_van_der_berg", "my nickname is long"),
    (-199, "maximilian_van_der_berg", "really long"),
    (-20, "alice", "@carol can you tag it?"),
    (-19, "bob", "fn main() {\n    println!(\"hello\");\n}"),
    (
        -18,
        "erin",
        "see https://example.org/a/very/long/path/that/does/not/fit/on/a/row/at/all?query=1234567890&more=abcdefghijklmnop#fragment",
    ),
];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let scene = args.next().unwrap_or_else(|| "online".to_owned());
    let theme = match args.next().as_deref() {
        Some("light") => Theme::Light,
        Some("dark") => Theme::Dark,
        _ => Theme::Auto,
    };
    let (commands, mut said) = mpsc::channel(16);
    let (tell, events) = mpsc::channel(64);
    let offline = scene == "offline";
    let restored = match scene.as_str() {
        "absence" => restored(620, 700),
        "offline" => restored(1_000, LOG_HEAD),
        _ => Restored::default(),
    };
    tokio::spawn(async move {
        let _ = perform(&scene, &tell).await;
        let mut local = 100;
        let mut seq = entries::HEAD;
        while let Some(command) = said.recv().await {
            match command {
                Command::Send { content, .. } => {
                    local += 1;
                    let _ = tell.send(outbox(local, &content, Delivery::Pending)).await;
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    if let Some(entry) = entries::change(seq + 1, &content) {
                        seq += 1;
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        let _ = tell.send(Event::Message(entry.into())).await;
                        let delivery = Delivery::Sent { seq: Some(seq) };
                        let _ = tell.send(outbox(local, &content, delivery)).await;
                    } else if content.words().contains("fail") {
                        let why = Line::inert("A message has at most 16 KiB");
                        let _ = tell
                            .send(outbox(local, &content, Delivery::Failed { why }))
                            .await;
                    } else {
                        let _ = tell
                            .send(message(0, "carol", content.words(), Some(local)))
                            .await;
                    }
                }
                Command::Page { room, part } => {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    let page = Ok(log_page(part));
                    let _ = tell.send(Event::Page { room, part, page }).await;
                }
                Command::Search {
                    search,
                    room,
                    query,
                    to,
                } => {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    let found = Ok(log_search(&query, to, offline));
                    let found = Event::Found {
                        search,
                        room,
                        found,
                    };
                    let _ = tell.send(found).await;
                }
                Command::Admin { request, command } => {
                    let _ = tell.send(admin::answer(request, &command)).await;
                }
                Command::Leave => {
                    let _ = tell.send(Event::Ended(Summary::default())).await;
                }
                _ => {}
            }
        }
    });
    shell::run(Launch {
        place: None,
        host_label: "chat.lan:10500".to_owned(),
        nickname: nickname("carol"),
        room: RoomName::lobby(),
        theme,
        no_color: std::env::var_os("NO_COLOR").is_some(),
        host: None,
        signals: Signals::new()?,
        key: None,
        restored,
        commands,
        events,
        at_join: AtJoin(Box::new(|_| ())),
    })
    .await
    .0?;
    Ok(())
}

async fn perform(scene: &str, tell: &Sender<Event>) -> Result<(), mpsc::error::SendError<Event>> {
    if scene == "connecting" {
        return Ok(());
    }
    if scene == "panic" {
        tokio::time::sleep(Duration::from_secs(1)).await;
        panic!("to see that the terminal is given back");
    }
    if scene == "refused" || scene == "offline" {
        return tell
            .send(Event::Connection(ConnectionStatus::Waiting {
                why: Line::inert("Nothing listens at localhost:10500 (connection refused)"),
                retry_in: Duration::from_secs(9),
            }))
            .await;
    }
    if let Some(events) = admin::before_the_door(scene) {
        for event in events {
            tell.send(event).await?;
        }
        return Ok(());
    }
    if scene == "nickname" {
        return tell
            .send(Event::NicknameRefused {
                nickname: nickname("carol"),
                why: Line::inert("Nickname already in use"),
                waiting: true,
            })
            .await;
    }
    if ["edited", "rooms"].contains(&scene) {
        tell.send(Event::Security(admin::security(scene))).await?;
        enter(tell, 0).await?;
        for entry in entries::conversation() {
            tell.send(Event::Message(entry.into())).await?;
        }
        if scene == "rooms" {
            for event in rooms::events() {
                tell.send(event).await?;
            }
        }
        return Ok(());
    }
    let has_log = ["history", "absence"].contains(&scene);
    tell.send(Event::Security(admin::security(scene))).await?;
    enter(tell, if has_log { LOG_HEAD } else { 15 }).await?;
    if has_log {
        for seq in LOG_HEAD - 99..=LOG_HEAD {
            tell.send(Event::Message(log_message(seq).into())).await?;
        }
        return Ok(());
    }
    converse(tell).await?;
    if ["announce", "slow"].contains(&scene) {
        tell.send(admin::rules(scene)).await?;
    }
    if scene == "failed" {
        let content = Content::Text(Body::inert("this one was refused"));
        let why = Line::inert("There is no room #ops");
        tell.send(outbox(50, &content, Delivery::Failed { why }))
            .await?;
        let content = Content::Text(Body::inert("and this one waits for the server"));
        tell.send(outbox(51, &content, Delivery::Pending)).await?;
    }
    if scene == "waiting" {
        let content = Content::Text(Body::inert("typed while the line is down"));
        tell.send(outbox(51, &content, Delivery::Pending)).await?;
        return tell
            .send(Event::Connection(ConnectionStatus::Waiting {
                why: Line::inert("The connection was lost"),
                retry_in: Duration::from_secs(9),
            }))
            .await;
    }
    Ok(())
}

/// Joins a room whose log reaches to `head`.
async fn enter(tell: &Sender<Event>, head: u64) -> Result<(), mpsc::error::SendError<Event>> {
    tell.send(Event::Connection(ConnectionStatus::Online))
        .await?;
    tell.send(Event::Entered(Entered {
        user: Some(user("carol")),
        nickname: nickname("carol"),
        role: Role::Member,
        server: None,
        limits: None,
    }))
    .await?;
    tell.send(Event::Room(Box::new(RoomStart {
        changed: 0,
        redacted: 0,
        room: RoomId::LOBBY,
        info: lobby(),
        read: ReadState::default(),
        extent: Extent::new(1, head),
        next: (head + 1).saturating_sub(100).max(1),
        reset: None,
    })))
    .await?;
    let members = [
        "alice",
        "bob",
        "carol",
        "erin",
        "春子",
        "maximilian_van_der_berg",
    ];
    tell.send(Event::Members {
        room: RoomId::LOBBY,
        members: members.map(member).to_vec(),
    })
    .await
}

/// Sends all messages of the conversation.
async fn converse(tell: &Sender<Event>) -> Result<(), mpsc::error::SendError<Event>> {
    for (minutes, who, text) in SAID {
        if *minutes == -200 {
            tell.send(Event::Joined {
                room: RoomId::LOBBY,
                member: member("مریم"),
            })
            .await?;
            tell.send(Event::Left {
                room: RoomId::LOBBY,
                user: user("dave"),
                nickname: nickname("dave"),
                time: ago(-210),
                reason: Departure::Lost,
            })
            .await?;
        }
        tell.send(message(*minutes, who, text, None)).await?;
    }
    tell.send(message(-1, "carol", "on it", Some(1))).await?;
    tell.send(message(-1, "carol", "done, and pushed; the notes are in the same place as always and this one is long enough to wrap", Some(2))).await?;
    tell.send(message(0, "alice", "thank you Carol ❤️", None))
        .await
}

/// The highest number of the long log.
const LOG_HEAD: u64 = 1_200;

/// Returns a message of the long log: the conversation repeated, over some weeks.
fn log_message(seq: u64) -> Entry {
    let said = &SAID[usize::try_from(seq * 7 % 15).unwrap_or(0)];
    let minutes =
        i64::try_from(LOG_HEAD - seq).unwrap_or(0) * 37 + i64::try_from(seq % 3 * 20).unwrap_or(0);
    Entry {
        room: RoomId::LOBBY,
        seq,
        id: MessageId {
            device: DeviceId::from_bytes([1; 12]),
            counter: seq,
        },
        author: Author {
            user: user(said.1),
            nickname: nickname(said.1),
            proven: true,
        },
        time: ago(-minutes - 60),
        clock_was: None,
        kind: EntryKind::Text(Text {
            body: Body::inert(&format!("{} ({seq})", said.2)),
            mentions: Mentions::NONE,
            edited: None,
        }),
    }
}

fn log_page(part: Part) -> Page {
    let (from, to) = match part {
        Part::Forward { from, to } => (from, to.min(from + 99)),
        Part::Backward { from, to } => (from.max(to.saturating_sub(99)), to),
        Part::Since(time) => {
            let from = (1..=LOG_HEAD).find(|&seq| log_message(seq).time >= time);
            let from = from.unwrap_or(LOG_HEAD + 1);
            (from, LOG_HEAD.min(from + 99))
        }
    };
    Page {
        extent: Extent::new(1, LOG_HEAD),
        from,
        to,
        entries: (from..=to).map(log_message).collect(),
        offline: false,
    }
}

/// Returns one step of a search.
fn log_search(query: &Query, to: Option<u64>, offline: bool) -> SearchPage {
    let to = to.unwrap_or(LOG_HEAD);
    let from = to.saturating_sub(149).max(1);
    let messages = (from..=to).rev().map(log_message);
    let found = messages.filter(|m| query.matches(&m.author.nickname, m.time, m.words()));
    SearchPage {
        first: 1,
        from,
        to,
        entries: found.collect(),
        indexed: None,
        offline,
    }
}

/// What the lobby is.
fn lobby() -> RoomInfo {
    RoomInfo {
        rules: RoomRules {
            topic: Some(Line::inert("welcome to the lab")),
            ..RoomRules::default()
        },
        ..RoomInfo::public(RoomName::lobby())
    }
}

fn restored(from: u64, to: u64) -> Restored {
    Restored {
        user: Some(user("carol")),
        rooms: vec![RestoredRoom {
            room: RoomId::LOBBY,
            info: lobby(),
            page: Page {
                from,
                to,
                entries: (from..=to).map(log_message).collect(),
                ..log_page(Part::Forward { from, to })
            },
            read: ReadState {
                marker: ReadMarker {
                    seq: to,
                    generation: 0,
                },
                ..ReadState::default()
            },
            draft: "half a thought".to_owned(),
        }],
        ..Restored::default()
    }
}

fn outbox(local: u64, content: &Content, delivery: Delivery) -> Event {
    Event::Outbox(OutboxMessage {
        local: LocalId(local),
        room: RoomId::LOBBY,
        content: content.clone(),
        delivery,
    })
}

fn message(minutes: i64, who: &str, text: &str, local: Option<u64>) -> Event {
    Event::Message(Received {
        said: Said::Unlogged(Unlogged {
            room: RoomId::LOBBY,
            user: Some(user(who)),
            nickname: nickname(who),
            time: ago(minutes),
            body: Body::inert(text),
        }),
        local: local.map(LocalId),
    })
}

fn ago(minutes: i64) -> Timestamp {
    Timestamp::now() + minutes.minutes()
}

fn member(name: &str) -> Member {
    Member {
        user: user(name),
        nickname: nickname(name),
        since: ago(-210),
        role: match name {
            "alice" => Role::Owner,
            "bob" => Role::Moderator,
            "maximilian_van_der_berg" => Role::Unverified,
            _ => Role::Member,
        },
    }
}

fn nickname(name: &str) -> Nickname {
    Nickname::parse(name).expect("a nickname")
}

fn user(name: &str) -> UserId {
    let mut bytes = [0; 12];
    for (byte, from) in bytes.iter_mut().zip(name.bytes()) {
        *byte = from;
    }
    UserId::from_bytes(bytes)
}

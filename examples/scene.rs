//! Shows the screen with a made-up conversation and no server: for working on its looks.
//!
//!     cargo run --example scene [online|connecting|refused|waiting|nickname|failed|panic] [dark|light]

use std::time::Duration;

use chat_tui::{
    client::event::{
        Command, Delivery, Entered, Event, Link, LocalId, Received, Restored, RoomOpened, Summary,
    },
    protocol::{
        DeviceId, MessageId, Nickname, RoomName, UserId,
        frame::{Departure, Member},
    },
    text::{Body, Line},
    tui::{Startup, args::Theme, shell},
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
    tokio::spawn(async move {
        let _ = perform(&scene, &tell).await;
        let mut local = 100;
        while let Some(command) = said.recv().await {
            match command {
                Command::Send { body, .. } => {
                    local += 1;
                    let _ = tell.send(outbox(local, &body, Delivery::Pending)).await;
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    if body.as_str().contains("fail") {
                        let why = Line::inert("A message has at most 16 KiB");
                        let _ = tell
                            .send(outbox(local, &body, Delivery::Failed { why }))
                            .await;
                    } else {
                        let _ = tell
                            .send(message(0, "carol", body.as_str(), Some(local)))
                            .await;
                    }
                }
                Command::Leave => {
                    let _ = tell.send(Event::Ended(Summary::default())).await;
                }
                _ => {}
            }
        }
    });
    shell::run(Startup {
        host_label: "localhost:10500".to_owned(),
        nickname: nickname("carol"),
        theme,
        no_color: false,
        host: None,
        restored: Restored::default(),
        commands,
        events,
    })
    .await?;
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
    if scene == "refused" {
        return tell
            .send(Event::Link(Link::Waiting {
                why: Line::inert("Nothing listens at localhost:10500 (connection refused)"),
                retry_in: Duration::from_secs(9),
            }))
            .await;
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
    tell.send(Event::Link(Link::Online)).await?;
    tell.send(Event::Entered(Entered {
        user: Some(user("carol")),
        nickname: nickname("carol"),
        server: None,
        limits: None,
    }))
    .await?;
    tell.send(Event::Room(RoomOpened {
        room: RoomName::lobby(),
        topic: Some(Line::inert("welcome to the lab")),
        first: 1,
        head: 15,
        next: 1,
        reset: None,
    }))
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
        room: RoomName::lobby(),
        members: members.map(member).to_vec(),
    })
    .await?;
    for (minutes, who, text) in SAID {
        if *minutes == -200 {
            tell.send(Event::Joined {
                room: RoomName::lobby(),
                member: member("مریم"),
            })
            .await?;
            tell.send(Event::Left {
                room: RoomName::lobby(),
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
        .await?;
    if scene == "failed" {
        let body = Body::inert("this one was refused");
        let why = Line::inert("There is no room #ops");
        tell.send(outbox(50, &body, Delivery::Failed { why }))
            .await?;
        let body = Body::inert("and this one waits for the server");
        tell.send(outbox(51, &body, Delivery::Pending)).await?;
    }
    if scene == "waiting" {
        let body = Body::inert("typed while the line is down");
        tell.send(outbox(51, &body, Delivery::Pending)).await?;
        return tell
            .send(Event::Link(Link::Waiting {
                why: Line::inert("The connection was lost"),
                retry_in: Duration::from_secs(9),
            }))
            .await;
    }
    Ok(())
}

fn outbox(local: u64, body: &Body, delivery: Delivery) -> Event {
    Event::Outbox {
        local: LocalId(local),
        room: RoomName::lobby(),
        body: body.clone(),
        delivery,
    }
}

fn message(minutes: i64, who: &str, text: &str, local: Option<u64>) -> Event {
    Event::Message(Received {
        room: RoomName::lobby(),
        seq: None,
        id: Some(MessageId {
            device: DeviceId::from_bytes([1; 12]),
            counter: 1,
        }),
        user: Some(user(who)),
        nickname: nickname(who),
        time: ago(minutes),
        body: Body::inert(text),
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

//! Properties that must hold for any input: one function for each target of the fuzzer. The test
//! `tests/fuzz_corpus.rs` calls the same functions without it.
//!
//! Each function panics when a property is violated.

#![allow(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a panic is what is looked for"
)]

use std::{io::Write, net::SocketAddr, str, time::Duration};

use chat_tui::{
    client::{
        Host,
        event::{Command, Event},
        identity,
        session::{
            Channel, CommandLine, Config, Credentials, Session, SocketAction,
            persist_types::{CacheQuery, CacheResult, LeaseStatus},
        },
    },
    protocol::{
        Binding, ClientFrame, ClientId, DeviceCode, DeviceId, Epoch, Fingerprint, Invite,
        InviteToken, MessageId, Nickname, Nonce, OwnerCode, PublicKey, RoomId, RoomInfo, RoomName,
        ServerFrame, Signature, Token, UserId,
        codec::{Decoder, FrameError},
        legacy,
        limits::{
            FRAME_BYTES_MAX, INVITE_BYTES_MAX, LEGACY_FRAME_BYTES_MAX, LINE_BYTES_MAX,
            NICKNAME_BYTES_MAX, TEXT_BYTES_MAX,
        },
        wire::{encode_client, encode_server, parse_client, parse_server},
    },
    search::Query,
    text::{self, Body, Line, wrap},
    time::Now,
    tui::{
        key::{Code, Key},
        shell::decode,
    },
};
use jiff::{Timestamp, tz::TimeZone};
use unicode_normalization::UnicodeNormalization;

#[path = "../../src/server/net/proxy.rs"]
#[allow(
    unreachable_pub,
    dead_code,
    reason = "a part of the server, taken out of it"
)]
mod proxy;

/// A fuzz target.
pub type Target = fn(&[u8]);

/// All targets, by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("codec", codec),
    ("client_frame", client_frame),
    ("server_frame", server_frame),
    ("session", session),
    ("legacy", legacy),
    ("text", text),
    ("wrap", wrap),
    ("nickname", nickname),
    ("names", names),
    ("invite", invite),
    ("query", query),
    ("proxy", proxy),
    ("key_file", key_file),
    ("terminal_input", terminal_input),
];

/// The first byte decides how the rest is cut.
fn split_first(data: &[u8]) -> (usize, &[u8]) {
    match data.split_first() {
        Some((first, rest)) => (usize::from(*first), rest),
        None => (0, data),
    }
}

fn frames(data: &[u8], at_once: usize) -> (Vec<Vec<u8>>, Option<FrameError>) {
    let mut decoder = Decoder::new();
    let mut frames = Vec::new();
    for mut chunk in data.chunks(at_once.max(1)) {
        while !chunk.is_empty() {
            chunk = &chunk[decoder.feed(chunk)..];
            loop {
                match decoder.next_frame() {
                    Ok(Some(frame)) => frames.push(frame.to_vec()),
                    Ok(None) => break,
                    Err(error) => {
                        assert_eq!(decoder.next_frame(), Err(error), "an error is final");
                        return (frames, Some(error));
                    }
                }
            }
        }
    }
    (frames, None)
}

/// Frames are found the same however the bytes were cut, in order, and none is over the limit.
pub fn codec(data: &[u8]) {
    let (at_once, data) = split_first(data);
    let (found, error) = frames(data, at_once);
    assert_eq!(
        (&found, error),
        (&frames(data, data.len()).0, frames(data, data.len()).1)
    );
    let mut rest = data;
    for frame in &found {
        assert!(frame.len() <= FRAME_BYTES_MAX);
        assert!(frame.starts_with(b"{") && frame.ends_with(b"}"));
        rest = rest
            .trim_ascii_start()
            .strip_prefix(&frame[..])
            .expect("a part of what came");
    }
}

fn assert_line(line: &str) {
    assert_eq!(text::first_unfit_for_line(line), None, "{line:?}");
    assert!(!line.contains(char::is_control), "{line:?}");
}

/// A parsed client frame equals its own encoding; a refusal can be shown.
pub fn client_frame(data: &[u8]) {
    let frame = match parse_client(data) {
        Ok(frame) => frame,
        Err(refusal) => return assert_line(&refusal.message),
    };
    if matches!(&frame, ClientFrame::Submit(submission) if submission.content.is_err()) {
        return;
    }
    let mut written = Vec::new();
    encode_client(&frame, &mut written);
    assert_eq!(written.split(|byte| *byte == b'\n').count(), 2);
    let again = parse_client(&written).unwrap_or_else(|refusal| panic!("{frame:?}: {refusal:?}"));
    assert_eq!(again, frame);
}

/// The same for a server's frames.
pub fn server_frame(data: &[u8]) {
    let frame = match parse_server(data) {
        Ok(ServerFrame::Unknown) => return,
        Ok(frame) => frame,
        Err(error) => return assert_line(&error.to_string()),
    };
    let mut written = Vec::new();
    encode_server(&frame, &mut written);
    let again = parse_server(&written).unwrap_or_else(|error| panic!("{frame:?}: {error}"));
    assert_eq!(again, frame);
}

const TOKEN: Token = Token::from_bytes([7; 32]);

fn client_id() -> ClientId {
    ClientId::parse("3").unwrap()
}

/// A client's session handles any server, in any pieces: it comes to rest, and all its events can
/// be shown.
pub fn session(data: &[u8]) {
    let (choice, data) = split_first(data);
    let config = Config {
        host: Host::parse("chat.lan").unwrap(),
        port: 10500,
        nickname: Nickname::parse("carol").unwrap(),
        client_id: client_id(),
        token: TOKEN,
        enter: Vec::new(),
        last: None,
        most: Some(100),
        credentials: Credentials::default(),
        command_line: CommandLine::default(),
        yields: false,
        zone: TimeZone::UTC,
        seed: 7,
    };
    let mut now = Now {
        mono: Duration::ZERO,
        wall: Timestamp::UNIX_EPOCH,
    };
    let mut session = Session::new(config, now);
    let mut pieces = data.split(|byte| *byte == 0xfe);
    for _ in 0..64 {
        settle(&mut session, now, choice % 2 == 1, || pieces.next());
        if session.is_over() {
            return;
        }
        now.mono += Duration::from_secs(1 + choice as u64 % 16);
        session.handle_time(now);
    }
    session.handle_command(now, Command::Leave);
    for _ in 0..64 {
        settle(&mut session, now, choice % 2 == 1, || None);
        now.mono += Duration::from_secs(1);
        session.handle_time(now);
    }
    assert!(session.is_over(), "who leaves has left");
}

/// Returns the frame by which a server admits the client.
fn welcome() -> String {
    let (user, device) = (TOKEN.user(), TOKEN.device(&client_id()));
    let (token, epoch) = (TOKEN.expose(), "00c0ffee00c0ffee");
    let welcome = serde_json::json!({
        "type": "welcome", "server": "fuzzer", "user": user.to_string(), "nickname": "carol",
        "device": device.to_string(), "token": token, "timestamp": "2026-11-22T09:22:21Z",
        "epoch": epoch, "protocol": 2, "counter": 0,
        "rooms": [{"room": "lobby", "first": 1, "head": 9, "next": 5}],
        "limits": {"frame_bytes": 65536, "text_bytes": 16384, "nickname_graphemes": 32,
            "unanswered_messages": 1000, "ping_after_ms": 20000, "gone_after_ms": 45000}
    });
    format!("{welcome}\n")
}

fn empty_cache_result(look: &CacheQuery) -> CacheResult {
    match look {
        CacheQuery::Page { .. } => CacheResult::Page(Ok(None)),
        CacheQuery::Search { .. } => CacheResult::Found(Err(Line::inert("nothing is kept"))),
        CacheQuery::Lease(_) => CacheResult::Lease(Ok(LeaseStatus {
            ours: true,
            ..LeaseStatus::default()
        })),
        CacheQuery::Adopt { .. } => CacheResult::Adopted(Ok(Some(Vec::new()))),
    }
}

fn settle<'a>(
    session: &mut Session,
    now: Now,
    welcomed: bool,
    mut piece: impl FnMut() -> Option<&'a [u8]>,
) {
    for round in 0.. {
        assert!(round < 10_000, "it comes to rest");
        let mut busy = false;
        while let Some(action) = session.poll_action() {
            busy = true;
            if action == SocketAction::Connect {
                let server = SocketAddr::from(([127, 0, 0, 1], 10500));
                session.handle_opened(now, Channel::Plain { server });
                if welcomed {
                    session.handle_bytes(now, welcome().as_bytes());
                }
            }
        }
        while session.poll_save(now).is_some() {
            busy = true;
            session.handle_saved(now, Ok(()));
        }
        while let Some((id, look)) = session.poll_cache_query() {
            busy = true;
            session.handle_cache_result(now, id, empty_cache_result(&look));
        }
        let mut out = Vec::new();
        session.poll_write(now, &mut out);
        for frame in frames(&out, out.len()).0 {
            assert!(frame.len() <= FRAME_BYTES_MAX);
        }
        if let Some(piece) = piece() {
            busy = true;
            session.handle_bytes(now, piece);
        }
        while let Some(event) = session.poll_event() {
            busy = true;
            shown(&event);
        }
        if !busy {
            return;
        }
    }
}

/// Checks that everything drawn of an event is harmless. Debug writes visible characters, and
/// escapes for others.
fn shown(event: &Event) {
    match event {
        Event::Message(message) => {
            assert_line(message.said.nickname().as_str());
            let body = message.said.words();
            assert_eq!(Body::inert(body).as_str(), body);
        }
        Event::Notice(line) => assert_line(line.as_str()),
        Event::Room(start) => shown_room(&start.info),
        Event::RoomInfo { info, .. } => shown_room(info),
        Event::RoomLeft { by: Some(by), .. } => assert_line(by.as_str()),
        _ => {}
    }
}

fn shown_room(info: &RoomInfo) {
    if let Some(topic) = &info.rules.topic {
        assert_line(topic.as_str());
    }
    for person in &info.people {
        assert_line(person.nickname.as_str());
    }
}

/// An older server's objects parse; ours for it are short enough.
pub fn legacy(data: &[u8]) {
    if let Some(legacy::FromServer::Message { nickname, body }) = legacy::parse_from_server(data) {
        assert_line(nickname.as_str());
        assert_eq!(Body::inert(body.as_str()), body);
    }
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    assert_eq!(legacy::split_for_server(text).collect::<String>(), text);
    for object in legacy::to_client("carol", text, "2026-11-22 09:22:23") {
        assert!(object.len() <= LEGACY_FRAME_BYTES_MAX);
        assert!(serde_json::from_slice::<serde_json::Value>(&object).is_ok());
    }
    assert!(legacy::error_to_client(text).len() <= LEGACY_FRAME_BYTES_MAX);
}

/// An accepted text stays as it is; a text that is made harmless is accepted, and stays so.
pub fn text(data: &[u8]) {
    let text = &*String::from_utf8_lossy(data);
    let inert = Body::inert(text);
    assert!(
        !inert
            .as_str()
            .contains(|c: char| c.is_control() && c != '\n' && c != '\t')
    );
    assert_eq!(Body::inert(inert.as_str()), inert);
    if let Ok(body) = Body::parse(text) {
        assert_eq!(body.as_str(), text);
        assert_eq!(body, inert);
    }
    if let Ok(visible) = Body::visible(text) {
        assert!(visible.as_str().len() <= TEXT_BYTES_MAX);
        assert_eq!(visible, inert);
        assert_eq!(Body::parse(visible.as_str()).as_ref(), Ok(&visible));
    }
    let line = Line::inert(text);
    assert_line(line.as_str());
    assert!(line.as_str().len() <= LINE_BYTES_MAX);
    assert_eq!(Line::inert(line.as_str()), line);
    assert_line(&text::inert_line(text));
    let json = serde_json::to_string(text).unwrap();
    let shown = text::inert_json(&json);
    assert_line(&shown);
    assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
}

/// Rows cover the text, none is wider than its area, and all that is drawn is harmless.
pub fn wrap(data: &[u8]) {
    let (columns, data) = split_first(data);
    let text = &*String::from_utf8_lossy(data);
    for rows in [
        wrap::wrap_with(text, columns, wrap::Spaces::Hang),
        wrap::wrap_with(text, columns, wrap::Spaces::Keep),
        wrap::cut(text, columns),
    ] {
        let mut next = 0;
        for row in &rows {
            assert_eq!(row.start, next);
            assert!(row.start <= row.end && row.end <= row.next);
            assert!(row.width <= columns.max(1));
            let mut width = 0;
            for drawn in row.drawn(text) {
                // A joiner at the end belongs to the cluster after it.
                let text = drawn.text;
                assert_line(text.strip_suffix(['\u{200c}', '\u{200d}']).unwrap_or(text));
                assert!(drawn.width > 0);
                width += drawn.width;
            }
            assert_eq!(width, row.width);
            next = row.next;
        }
        assert!(!rows.is_empty());
        assert_eq!(next, text.len());
    }
}

/// An accepted nickname is shown as it is; look-alikes have one skeleton, however they are written.
pub fn nickname(data: &[u8]) {
    let text = &*String::from_utf8_lossy(data);
    let shown = Nickname::inert(text);
    assert_line(shown.as_str());
    assert!(text::width(shown.as_str()) > 0);
    assert!(shown.as_str().len() <= NICKNAME_BYTES_MAX);
    assert_eq!(Nickname::inert(shown.as_str()), shown);
    assert_eq!(Nickname::known(shown.as_str()).as_ref(), Ok(&shown));
    if let Ok(known) = Nickname::known(text) {
        assert_eq!(known, shown);
    }
    let Ok(nickname) = Nickname::parse(text) else {
        return;
    };
    assert_eq!(nickname, shown);
    assert_eq!(Nickname::parse(nickname.as_str()).as_ref(), Ok(&nickname));
    let form = nickname.canonical();
    assert!(!form.is_empty());
    let of = |text: &str| Nickname::known(text).map(|name| name.canonical());
    for same in [
        nickname.as_str().to_uppercase(),
        nickname.as_str().to_lowercase(),
        nickname.as_str().nfd().collect(),
    ] {
        // Capitals can be longer than a nickname may be.
        if let Ok(other) = of(&same) {
            assert_eq!(other, form, "{same:?}");
        }
    }
    if let Ok(again) = of(&form) {
        assert_eq!(again, form);
    }
}

/// A parsed id, key or code equals its own encoding.
pub fn names(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    macro_rules! same {
        ($($kind:ty),*) => {
            $(if let Ok(read) = <$kind>::parse(text) {
                assert_eq!(read.to_string(), text);
            })*
        };
    }
    same!(
        ClientId, RoomName, UserId, DeviceId, Epoch, MessageId, PublicKey, Nonce, Signature
    );
    if let Ok(token) = Token::parse(text) {
        assert_eq!(token.expose(), text);
    }
    // A room's id is written in one way, and read from a name as well.
    if let Ok(room) = RoomId::parse(text) {
        let written = room.to_string();
        assert_eq!(RoomId::parse(&written), Ok(room));
        assert!(written == text || RoomName::parse(text).is_ok() || room == RoomId::LOBBY);
    }
    // These are parsed however people write them.
    if let Ok(print) = Fingerprint::parse(text) {
        assert_eq!(Fingerprint::parse(&print.to_string()), Ok(print));
    }
    if let Ok(code) = OwnerCode::parse(text) {
        assert_eq!(OwnerCode::parse(&code.to_string()), Ok(code));
    }
    if let Ok(code) = DeviceCode::parse(text) {
        assert_eq!(DeviceCode::parse(&code.to_string()), Ok(code));
    }
    // Nobody has signed anything here.
    if let Some((key, signature)) = data.split_first_chunk::<32>()
        && let Some((signature, _)) = signature.split_first_chunk::<64>()
    {
        let plain = Binding::Plain {
            server: Fingerprint::from_bytes([1; 32]),
            address: SocketAddr::from(([127, 0, 0, 1], 10500)),
        };
        let signature = Signature::from_bytes(*signature);
        let key = PublicKey::from_bytes(*key);
        for binding in [Binding::Exporter([1; 32]), plain] {
            assert!(!key.proves(&binding, &Nonce::from_bytes([2; 32]), &signature));
        }
    }
}

/// A parsed invite equals its own encoding.
pub fn invite(data: &[u8]) {
    let text = &*String::from_utf8_lossy(data);
    if let Ok(invite) = Invite::parse(text) {
        assert!(Invite::looks_like_one(text));
        let written = invite.expose();
        assert!(written.len() <= INVITE_BYTES_MAX);
        assert_line(&written);
        assert_eq!(Invite::parse(&written).as_ref(), Ok(&invite));
    }
    if let Ok(token) = InviteToken::parse(text) {
        assert_eq!(InviteToken::parse(&token.expose()).as_ref(), Ok(&token));
    }
}

/// A search's matches lie in the text, at character boundaries; the first line is the query, the
/// rest the text.
pub fn query(data: &[u8]) {
    let text = &*String::from_utf8_lossy(data);
    let (asked, text) = text.split_once('\n').unwrap_or((text, text));
    let query = match Query::parse(asked, &TimeZone::UTC) {
        Ok(query) => query,
        Err(wrong) => return assert_line(&wrong.to_string()),
    };
    assert!(!query.is_empty());
    let nickname = Nickname::parse("carol").unwrap();
    let found = query.find(text);
    if query.matches(&nickname, Timestamp::UNIX_EPOCH, text) && !query.words.is_empty() {
        assert!(!found.is_empty());
    }
    let mut end = 0;
    for range in found {
        assert!(range.start >= end && range.start < range.end, "{range:?}");
        assert!(text.get(range.clone()).is_some(), "{range:?}");
        end = range.end;
    }
}

/// A proxy's header is within its limits, and more bytes behind it change nothing.
pub fn proxy(data: &[u8]) {
    let whole = proxy::parse(data);
    let Ok(Some(header)) = whole else { return };
    assert!(header.bytes <= data.len() && header.bytes <= proxy::HEADER_BYTES_MAX);
    assert_eq!(proxy::parse(&data[..header.bytes]), Ok(Some(header)));
    for cut in 0..header.bytes {
        assert_ne!(proxy::parse(&data[..cut]), whole, "{cut}");
    }
}

/// A key file holds a key, or a plain sentence says why not.
pub fn key_file(data: &[u8]) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(data).unwrap();
    if let Err(wrong) = identity::of_file(file.path(), &mut |_| Ok(None)) {
        assert_line(&text::inert_line(&wrong.to_string()));
    }
}

/// Keys are the same however a terminal's bytes were cut.
pub fn terminal_input(data: &[u8]) {
    let (at_once, data) = split_first(data);
    if data.len() > 512 {
        // A sequence without an end is given up eventually.
        return;
    }
    let read = |at_once: usize| {
        let mut decoder = decode::Decoder::default();
        let chunks = data.chunks(at_once.max(1));
        let mut found: Vec<_> = chunks
            .flat_map(|chunk| decoder.feed(Duration::ZERO, chunk))
            .collect();
        found.extend(decoder.pass(Duration::from_hours(1)));
        spelled(&found)
    };
    assert_eq!(read(at_once), read(data.len()));
}

/// Returns the typed text, whether it came as keys or as lines.
fn spelled(inputs: &[decode::Input]) -> Vec<String> {
    let mut spelled = vec![String::new()];
    // An input that is no key does not wait for lines to be complete: it has no order among them.
    let is_typed = |input: &&decode::Input| {
        matches!(
            input,
            decode::Input::Key(_) | decode::Input::Lines(_) | decode::Input::Paste(_)
        )
    };
    let reported = inputs.iter().filter(|input| !is_typed(input));
    let reported: Vec<_> = reported.map(|input| format!("{input:?}")).collect();
    for input in inputs.iter().filter(is_typed) {
        let text = match input {
            decode::Input::Lines(text) => Some(text.clone()),
            decode::Input::Key(key) if *key == Key::plain(Code::Enter) => Some("\r".to_owned()),
            decode::Input::Key(key) if *key == Key::plain(Code::Tab) => Some("\t".to_owned()),
            decode::Input::Key(key) if *key == Key::ctrl(Code::Char('j')) => Some("\n".to_owned()),
            decode::Input::Key(key) => key.typed().map(String::from),
            _ => None,
        };
        match (text, spelled.last_mut()) {
            (Some(text), Some(last)) => last.push_str(&text),
            _ => spelled.extend([format!("{input:?}"), String::new()]),
        }
    }
    // They are one Enter, which is recognized where they come as keys.
    for text in &mut spelled {
        *text = text.replace("\r\n", "\r");
    }
    spelled.retain(|text| !text.is_empty());
    spelled.extend(reported);
    spelled
}

//! Frames from servers: read by the client, written by the server.

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::{
    DEPARTURES, ERROR_CODES, admin,
    capabilities::{capabilities, capability_names},
    departure,
    entry::{encode_entry, entry, is_entry, parse_entry},
    error::{WireError, need, time},
    error_code,
    flat::{Flat, List, MemberFlat, Number, Str, number, read_flat, room_id, shown, write},
    name_of,
    rooms::{
        info_flat, list, list_flat, listed_person, listed_person_flat, listed_room,
        listed_room_flat, marker, marker_flat, preferences, preferences_flat, room_info,
        room_start, start_flat,
    },
};
use crate::{
    protocol::{
        admin::Role,
        entry::Entry,
        extent::Extent,
        frame::{
            Ack, Bye, Change, ChangesPage, ErrorCode, ErrorFrame, FoundPage, HistoryPage,
            InboxPage, Member, MembersPage, Outcome, PageHead, Presence, RoomStart, ServerFrame,
            Welcome,
        },
        key::{Fingerprint, Nonce},
        limits::{FRAME_BYTES_MAX, JOIN_ROOMS_MAX},
        name::{DeviceId, Epoch, MessageId, Nickname, RoomId, Token, UserId},
        room::RoomRules,
    },
    text::Line,
};

/// Reads a server's frame: one whole object, as [`Decoder`](crate::protocol::codec::Decoder)
/// returns it.
pub fn parse_server(frame: &[u8]) -> Result<ServerFrame, WireError> {
    let flat = read_flat(frame).map_err(WireError::new)?;
    if is_entry(&flat) {
        return entry(&flat, frame).map(ServerFrame::Entry);
    }
    Fields(flat).frame()
}

/// Typed access to the fields of a server's frame.
struct Fields<'a>(Flat<'a>);

impl Fields<'_> {
    fn users(&self) -> Result<Vec<UserId>, WireError> {
        let users = need("users", self.0.users.as_ref())?.0.iter();
        let users = users.map(|user| UserId::parse(user.as_str()));
        Ok(users.collect::<Result<_, _>>()?)
    }

    fn frame(&self) -> Result<ServerFrame, WireError> {
        let flat = &self.0;
        let reference = flat.reference.map(|Number(number)| number);
        Ok(match need("type", flat.kind.as_ref())?.as_str() {
            "challenge" => ServerFrame::Challenge {
                nonce: Nonce::parse(need("nonce", flat.nonce.as_ref())?.as_str())?,
                fingerprint: flat
                    .fingerprint
                    .as_ref()
                    .map(|fingerprint| Fingerprint::parse(fingerprint.as_str()))
                    .transpose()?,
            },
            "welcome" => ServerFrame::Welcome(self.welcome()?),
            "result" => ServerFrame::Result(admin::result(flat)?),
            "members" => ServerFrame::Members(self.members()?),
            "joined" => ServerFrame::Presence(self.presence(Change::Joined)?),
            "left" => {
                let reason = departure(flat.reason.as_ref().map_or("", Str::as_str));
                ServerFrame::Presence(self.presence(Change::Left(reason))?)
            }
            "renamed" => {
                let was = Nickname::inert(need("was", flat.was.as_ref())?.as_str());
                ServerFrame::Presence(self.presence(Change::Renamed { was })?)
            }
            "promoted" => ServerFrame::Presence(self.presence(Change::Promoted)?),
            "rules" => ServerFrame::Presence(self.presence(Change::Rules(self.rules()))?),
            "history" => ServerFrame::History(HistoryPage {
                head: self.page_head()?,
                entries: self.entries()?,
            }),
            "changes" => ServerFrame::Changes(ChangesPage {
                head: self.page_head()?,
                through: need("rev", flat.rev)?.0,
                more: flat.more.unwrap_or(false),
                entries: self.entries()?,
            }),
            "found" => ServerFrame::Found(FoundPage {
                head: self.page_head()?,
                indexed: need("indexed", flat.indexed)?.0,
                entries: self.entries()?,
            }),
            "rooms" => ServerFrame::Rooms(self.room_starts()?),
            "room" => {
                let (room, info) = room_info(need("info", flat.info.as_ref())?)?;
                ServerFrame::Room {
                    room,
                    info: Box::new(info),
                }
            }
            "room_left" => ServerFrame::RoomLeft {
                room: self.room()?,
                by: flat.by.as_ref().map(|by| Nickname::inert(by.as_str())),
            },
            "read" => ServerFrame::Read {
                room: self.room()?,
                marker: marker(flat),
                preferences: preferences(flat),
            },
            "room_list" => ServerFrame::RoomList(list(flat, listed_room)?),
            "people" => ServerFrame::PeopleList(list(flat, listed_person)?),
            "inbox" => ServerFrame::Inbox(InboxPage {
                entries: self.entries()?,
                next: flat.next.map(|Number(number)| number),
                reference,
            }),
            "ignored" => ServerFrame::Ignored {
                users: self.users()?,
            },
            "ack" => ServerFrame::Ack(Ack {
                id: self.id()?,
                outcome: self.outcome()?,
            }),
            "nick" => ServerFrame::Nick {
                nickname: self.nickname()?,
                reference,
            },
            "ping" => ServerFrame::Ping { reference },
            "pong" => ServerFrame::Pong { reference },
            "error" => ServerFrame::Error(ErrorFrame {
                // A legacy server's errors have no code.
                code: flat
                    .code
                    .as_ref()
                    .map_or(ErrorCode::Other, |code| error_code(code.as_str())),
                message: self.line(),
                id: flat
                    .id
                    .as_ref()
                    .map(|id| MessageId::parse(id.as_str()))
                    .transpose()?,
                reference,
                retry_after_ms: flat.retry_after_ms.map(|Number(number)| number),
            }),
            "bye" => ServerFrame::Bye(Bye {
                reason: departure(flat.reason.as_ref().map_or("", Str::as_str)),
                message: self.line(),
                retry_after_ms: flat.retry_after_ms.map(|Number(number)| number),
            }),
            _ => ServerFrame::Unknown,
        })
    }

    fn room(&self) -> Result<RoomId, WireError> {
        Ok(RoomId::parse(need("room", self.0.room.as_ref())?.as_str())?)
    }

    fn room_starts(&self) -> Result<Vec<RoomStart>, WireError> {
        let rooms = need("rooms", self.0.rooms.as_ref())?;
        rooms.0.iter().map(room_start).collect()
    }

    fn id(&self) -> Result<MessageId, WireError> {
        Ok(MessageId::parse(need("id", self.0.id.as_ref())?.as_str())?)
    }

    fn user(&self) -> Result<UserId, WireError> {
        Ok(UserId::parse(need("user", self.0.user.as_ref())?.as_str())?)
    }

    fn nickname(&self) -> Result<Nickname, WireError> {
        Ok(Nickname::inert(
            need("nickname", self.0.nickname.as_ref())?.as_str(),
        ))
    }

    fn time(&self) -> Result<Timestamp, WireError> {
        time(need("timestamp", self.0.timestamp.as_ref())?.as_str())
    }

    fn epoch(&self) -> Result<Epoch, WireError> {
        Ok(Epoch::parse(
            need("epoch", self.0.epoch.as_ref())?.as_str(),
        )?)
    }

    fn line(&self) -> Line {
        Line::inert(self.0.message.as_ref().map_or("", Str::as_str))
    }

    fn version(&self) -> Result<u64, WireError> {
        Ok(need("version", self.0.version)?.0)
    }

    fn page_head(&self) -> Result<PageHead, WireError> {
        let flat = &self.0;
        Ok(PageHead {
            room: self.room()?,
            extent: Extent::new(need("first", flat.first)?.0, need("head", flat.head)?.0),
            from: need("from", flat.from)?.0,
            to: need("to", flat.to)?.0,
            reference: flat.reference.map(|Number(number)| number),
        })
    }

    fn entries(&self) -> Result<Vec<Entry>, WireError> {
        let entries = need("entries", self.0.entries.as_ref())?;
        let read = |entry: &&RawValue| parse_entry(entry.get().as_bytes());
        entries.0.iter().map(read).collect()
    }

    fn outcome(&self) -> Result<Outcome, WireError> {
        match need("outcome", self.0.outcome.as_ref())?.as_str() {
            "stored" => Ok(Outcome::Stored {
                room: self.room()?,
                seq: need("at", self.0.at)?.0,
                time: self.time()?,
            }),
            "withdrawn" => Ok(Outcome::Withdrawn),
            "unchanged" => Ok(Outcome::Unchanged),
            // An outcome that this build does not know: an `ack` means that the message is settled.
            _ => Ok(Outcome::Settled),
        }
    }

    fn presence(&self, change: Change) -> Result<Presence, WireError> {
        Ok(Presence {
            room: self.room()?,
            version: self.version()?,
            user: self.user()?,
            nickname: self.nickname()?,
            role: role(self.0.role.as_ref()),
            time: self.time()?,
            change,
        })
    }

    fn rules(&self) -> RoomRules {
        let flat = &self.0;
        RoomRules {
            topic: flat.topic.as_ref().map(|topic| Line::inert(topic.as_str())),
            announce: flat.announce.unwrap_or(false),
            slow_seconds: flat.slow_seconds.map_or(0, |Number(seconds)| seconds),
        }
    }

    fn members(&self) -> Result<MembersPage, WireError> {
        let members = need("members", self.0.members.as_ref())?;
        Ok(MembersPage {
            room: self.room()?,
            version: self.version()?,
            start: self.0.start.unwrap_or(false),
            more: self.0.more.unwrap_or(false),
            rules: self.0.start.unwrap_or(false).then(|| self.rules()),
            members: members
                .0
                .iter()
                .map(|member| {
                    Ok(Member {
                        user: UserId::parse(member.user.as_str())?,
                        nickname: Nickname::inert(member.nickname.as_str()),
                        since: time(member.since.as_str())?,
                        role: role(member.role.as_ref()),
                    })
                })
                .collect::<Result<_, WireError>>()?,
        })
    }

    fn welcome(&self) -> Result<Welcome, WireError> {
        let flat = &self.0;
        Ok(Welcome {
            protocol: need("protocol", flat.protocol)?.0,
            server: Line::inert(flat.server.as_ref().map_or("", Str::as_str)),
            user: self.user()?,
            device: DeviceId::parse(need("device", flat.device.as_ref())?.as_str())?,
            token: Token::parse(need("token", flat.token.as_ref())?.as_str())?,
            nickname: self.nickname()?,
            role: role(flat.role.as_ref()),
            counter: need("counter", flat.counter)?.0,
            epoch: self.epoch()?,
            time: self.time()?,
            rooms: self.room_starts()?,
            can: capabilities(flat.can.as_ref()),
            limits: need("limits", flat.limits)?.into(),
        })
    }
}

/// Reads a role; `member` if it is absent or unknown to this build.
fn role(name: Option<&Str<'_>>) -> Role {
    name.and_then(|name| Role::parse(name.as_str()).ok())
        .unwrap_or_default()
}

/// Writes a role, unless it is the most common.
fn role_name(role: Role) -> Option<Str<'static>> {
    (role != Role::default()).then(|| role.name().into())
}

/// Appends a server's frame and a newline to `out`. Rooms that don't fit the frame come in more frames
/// behind it.
pub fn encode_server(frame: &ServerFrame, out: &mut Vec<u8>) {
    let flat = match frame {
        ServerFrame::Challenge { nonce, fingerprint } => Flat {
            nonce: shown(nonce),
            fingerprint: fingerprint.and_then(shown),
            ..Flat::of("challenge")
        },
        ServerFrame::Welcome(welcome) => {
            return encode_rooms(&|| welcome_flat(welcome), &welcome.rooms, out);
        }
        ServerFrame::Result(result) => admin::result_flat(result),
        ServerFrame::Members(page) => Flat {
            room: Some(room_id(page.room)),
            version: number(page.version),
            start: Some(page.start),
            more: Some(page.more),
            members: Some(List(page.members.iter().map(member_flat).collect())),
            ..page
                .rules
                .as_ref()
                .map_or_else(|| Flat::of("members"), |rules| rules_flat("members", rules))
        },
        ServerFrame::Presence(presence) => presence_flat(presence),
        ServerFrame::Entry(entry) => return encode_entry(entry, out),
        ServerFrame::History(page) => {
            let entries = frames(&page.entries);
            return encode_history(&page.head, entries.iter().map(Vec::as_slice), out);
        }
        ServerFrame::Found(page) => {
            let entries = frames(&page.entries);
            let entries = entries.iter().map(Vec::as_slice);
            return encode_found(&page.head, page.indexed, entries, out);
        }
        ServerFrame::Changes(page) => {
            let entries = frames(&page.entries);
            let entries = entries.iter().map(Vec::as_slice);
            return encode_changes(&page.head, (page.through, page.more), entries, out);
        }
        ServerFrame::Rooms(starts) => return encode_rooms(&|| Flat::of("rooms"), starts, out),
        ServerFrame::Room { room, info } => Flat {
            info: Some(info_flat(*room, info)),
            ..Flat::of("room")
        },
        ServerFrame::RoomLeft { room, by } => Flat {
            room: Some(room_id(*room)),
            by: by.as_ref().map(|by| by.as_str().into()),
            ..Flat::of("room_left")
        },
        ServerFrame::Read {
            room,
            marker,
            preferences,
        } => preferences_flat(preferences, marker_flat(*room, *marker)),
        ServerFrame::RoomList(page) => list_flat("room_list", page, listed_room_flat),
        ServerFrame::PeopleList(page) => list_flat("people", page, listed_person_flat),
        ServerFrame::Inbox(page) => {
            let entries = frames(&page.entries);
            let entries = entries.iter().map(Vec::as_slice);
            return encode_inbox(page.next, page.reference, entries, out);
        }
        ServerFrame::Ignored { users } => {
            let users = users.iter().map(|user| user.to_string().into());
            Flat {
                users: Some(List(users.collect())),
                ..Flat::of("ignored")
            }
        }
        ServerFrame::Ack(ack) => ack_flat(ack),
        ServerFrame::Nick {
            nickname,
            reference,
        } => Flat {
            nickname: Some(nickname.as_str().into()),
            reference: reference.map(Number),
            ..Flat::of("nick")
        },
        ServerFrame::Ping { reference } => Flat {
            reference: reference.map(Number),
            ..Flat::of("ping")
        },
        ServerFrame::Pong { reference } => Flat {
            reference: reference.map(Number),
            ..Flat::of("pong")
        },
        ServerFrame::Error(error) => Flat {
            code: Some(name_of(ERROR_CODES, &error.code).into()),
            message: Some(error.message.as_str().into()),
            id: error.id.and_then(shown),
            reference: error.reference.map(Number),
            retry_after_ms: error.retry_after_ms.map(Number),
            ..Flat::of("error")
        },
        ServerFrame::Bye(bye) => Flat {
            reason: Some(name_of(DEPARTURES, &bye.reason).into()),
            message: Some(bye.message.as_str().into()),
            retry_after_ms: bye.retry_after_ms.map(Number),
            ..Flat::of("bye")
        },
        // This build never sends one.
        ServerFrame::Unknown => return,
    };
    write(&flat, out);
}

/// Appends a frame that `flat` makes, with as many of the rooms as fit, and `rooms` frames with the
/// others.
fn encode_rooms<'a>(flat: &dyn Fn() -> Flat<'a>, starts: &'a [RoomStart], out: &mut Vec<u8>) {
    let begin = out.len();
    if starts.len() <= JOIN_ROOMS_MAX {
        let frame = Flat {
            rooms: Some(List(starts.iter().map(start_flat).collect())),
            ..flat()
        };
        write(&frame, out);
        let bytes = out.len() - begin - "\n".len();
        if bytes <= FRAME_BYTES_MAX || starts.len() < 2 {
            return;
        }
        out.truncate(begin);
    }
    let (first, rest) = starts.split_at(starts.len() / 2);
    encode_rooms(flat, first, out);
    encode_rooms(&|| Flat::of("rooms"), rest, out);
}

fn frames(entries: &[Entry]) -> Vec<Vec<u8>> {
    let frame = |entry| {
        let mut frame = Vec::new();
        encode_entry(entry, &mut frame);
        frame
    };
    entries.iter().map(frame).collect()
}

/// Appends a `history` frame whose entries are encoded already, as a log stores them.
pub fn encode_history<'a>(
    head: &PageHead,
    entries: impl IntoIterator<Item = &'a [u8]>,
    out: &mut Vec<u8>,
) {
    write(&page_flat("history", head), out);
    splice_entries(entries, out);
}

/// As [`encode_history`], for `changes`: how far it goes, and whether there are more.
pub fn encode_changes<'a>(
    head: &PageHead,
    (through, more): (u64, bool),
    entries: impl IntoIterator<Item = &'a [u8]>,
    out: &mut Vec<u8>,
) {
    let flat = Flat {
        rev: number(through),
        more: Some(more),
        ..page_flat("changes", head)
    };
    write(&flat, out);
    splice_entries(entries, out);
}

/// As [`encode_history`], for `found`.
pub fn encode_found<'a>(
    head: &PageHead,
    indexed: u64,
    entries: impl IntoIterator<Item = &'a [u8]>,
    out: &mut Vec<u8>,
) {
    let flat = Flat {
        indexed: number(indexed),
        ..page_flat("found", head)
    };
    write(&flat, out);
    splice_entries(entries, out);
}

/// As [`encode_history`], for `inbox`: the position of the next page.
pub fn encode_inbox<'a>(
    next: Option<u64>,
    reference: Option<u64>,
    entries: impl IntoIterator<Item = &'a [u8]>,
    out: &mut Vec<u8>,
) {
    let flat = Flat {
        next: next.map(Number),
        reference: reference.map(Number),
        ..Flat::of("inbox")
    };
    write(&flat, out);
    splice_entries(entries, out);
}

/// Inserts `entries` into the frame at the end of `out`.
fn splice_entries<'a>(entries: impl IntoIterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
    out.truncate(out.len() - "}\n".len());
    out.extend_from_slice(br#","entries":["#);
    for (index, entry) in entries.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(entry.trim_ascii_end());
    }
    out.extend_from_slice(b"]}\n");
}

fn page_flat<'a>(kind: &'a str, head: &'a PageHead) -> Flat<'a> {
    Flat {
        room: Some(room_id(head.room)),
        first: number(head.extent.first),
        head: number(head.extent.head),
        from: number(head.from),
        to: number(head.to),
        reference: head.reference.map(Number),
        ..Flat::of(kind)
    }
}

fn welcome_flat(welcome: &Welcome) -> Flat<'_> {
    Flat {
        protocol: number(welcome.protocol),
        server: Some(welcome.server.as_str().into()),
        user: shown(welcome.user),
        device: shown(welcome.device),
        token: Some(welcome.token.expose().into()),
        nickname: Some(welcome.nickname.as_str().into()),
        role: role_name(welcome.role),
        counter: number(welcome.counter),
        epoch: shown(welcome.epoch),
        timestamp: shown(welcome.time),
        can: capability_names(welcome.can),
        limits: Some(welcome.limits.into()),
        ..Flat::of("welcome")
    }
}

fn member_flat(member: &Member) -> MemberFlat<'_> {
    MemberFlat {
        user: member.user.to_string().into(),
        nickname: member.nickname.as_str().into(),
        since: member.since.to_string().into(),
        role: role_name(member.role),
    }
}

fn rules_flat<'a>(kind: &'a str, rules: &'a RoomRules) -> Flat<'a> {
    Flat {
        topic: rules.topic.as_ref().map(|topic| topic.as_str().into()),
        announce: rules.announce.then_some(true),
        slow_seconds: (rules.slow_seconds > 0).then_some(Number(rules.slow_seconds)),
        ..Flat::of(kind)
    }
}

fn presence_flat(presence: &Presence) -> Flat<'_> {
    let flat = match &presence.change {
        Change::Joined => Flat::of("joined"),
        Change::Left(reason) => Flat {
            reason: Some(name_of(DEPARTURES, reason).into()),
            ..Flat::of("left")
        },
        Change::Renamed { was } => Flat {
            was: Some(was.as_str().into()),
            ..Flat::of("renamed")
        },
        Change::Promoted => Flat::of("promoted"),
        Change::Rules(rules) => rules_flat("rules", rules),
    };
    Flat {
        room: Some(room_id(presence.room)),
        version: number(presence.version),
        user: shown(presence.user),
        nickname: Some(presence.nickname.as_str().into()),
        role: role_name(presence.role),
        timestamp: shown(presence.time),
        ..flat
    }
}

fn ack_flat(ack: &Ack) -> Flat<'_> {
    let flat = match &ack.outcome {
        Outcome::Stored { room, seq, time } => Flat {
            outcome: Some("stored".into()),
            room: Some(room_id(*room)),
            at: number(*seq),
            timestamp: shown(time),
            ..Flat::of("ack")
        },
        Outcome::Withdrawn => Flat {
            outcome: Some("withdrawn".into()),
            ..Flat::of("ack")
        },
        Outcome::Unchanged => Flat {
            outcome: Some("unchanged".into()),
            ..Flat::of("ack")
        },
        Outcome::Settled => Flat {
            outcome: Some("settled".into()),
            ..Flat::of("ack")
        },
    };
    Flat {
        id: shown(ack.id),
        ..flat
    }
}

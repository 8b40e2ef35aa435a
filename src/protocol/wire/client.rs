//! Frames from clients: read by the server, written by the client.

use std::fmt;

use jiff::Timestamp;

use super::{
    admin,
    capabilities::{capabilities, capability_names},
    entry::{EDIT, REDACTION},
    flat::{Flat, List, Number, RoomFlat, Str, number, read_flat, room_id, shown, write},
    refusal::{Refusal, about, bad_nickname},
    rooms::{marker, marker_flat, preferences_flat, wanted_preferences},
};
use crate::{
    protocol::{
        admin::Password,
        entry::{Content, ContentError},
        frame::{
            ChangesRequest, ClientFrame, ErrorCode, HistoryRequest, Join, ListRequest, Part,
            Position, SearchRequest, Submission,
        },
        invite::InviteToken,
        key::{DeviceCode, PublicKey, Signature},
        limits::{LIST_QUERY_BYTES_MAX, NUMBER_MAX},
        name::{ClientId, Epoch, MessageId, NameError, Nickname, RoomId, RoomName, Token, UserId},
    },
    search::{Query, Words},
    text::{Body, Line},
};

/// The answer to a type, or a kind, that this build does not know.
pub const UNKNOWN_TYPE: &str = "The server does not know this type of frame";

/// Reads a client's frame: one whole object, as [`Decoder`](crate::protocol::codec::Decoder)
/// returns it.
pub fn parse_client(frame: &[u8]) -> Result<ClientFrame, Refusal> {
    let flat = read_flat(frame).map_err(Refusal::malformed)?;
    let reference = flat.reference.map(|Number(number)| number);
    let kind = flat
        .kind
        .as_ref()
        .ok_or_else(|| Refusal::malformed("A frame has a type"))?;
    match kind.as_str() {
        "join" => join(&flat).map(|join| ClientFrame::Join(Box::new(join))),
        "proof" => {
            let signature = flat.signature.as_ref().map_or("", Str::as_str);
            let signature = Signature::parse(signature)
                .map_err(|wrong| Refusal::field("signature", wrong, true))?;
            Ok(ClientFrame::Proof { signature })
        }
        "message" | "entry" => submission(&flat).map(ClientFrame::Submit),
        "command" => admin::parse(&flat, reference).map(ClientFrame::Command),
        "withdraw" => {
            let id = flat.id.as_ref().map_or("", Str::as_str);
            let id = MessageId::parse(id).map_err(|wrong| Refusal::field("id", wrong, true))?;
            Ok(ClientFrame::Withdraw { id })
        }
        "history" => history(&flat, reference).map(ClientFrame::History),
        "search" => search(&flat, reference).map(ClientFrame::Search),
        "changes" => changes(&flat, reference).map(ClientFrame::Changes),
        "read" => Ok(ClientFrame::Read {
            room: room(&flat)?,
            marker: marker(&flat),
        }),
        "prefer" => Ok(ClientFrame::Prefer {
            room: room(&flat)?,
            preferences: wanted_preferences(&flat)?,
        }),
        "watch" => {
            let rooms = flat.rooms.as_ref().map_or(&[][..], |rooms| &rooms.0);
            let rooms = rooms.iter().map(|flat| RoomId::parse(flat.room.as_str()));
            let rooms = rooms
                .collect::<Result<_, _>>()
                .map_err(|wrong| Refusal::field("rooms.room", wrong, false))?;
            Ok(ClientFrame::Watch { rooms })
        }
        "list_rooms" => about(reference, || {
            list_request(&flat, reference, RoomId::parse).map(ClientFrame::ListRooms)
        }),
        "list_people" => about(reference, || {
            Ok(ClientFrame::ListPeople {
                room: flat.room.as_ref().map(|_| room(&flat)).transpose()?,
                list: list_request(&flat, reference, UserId::parse)?,
            })
        }),
        "inbox" => Ok(ClientFrame::Inbox {
            before: flat.to.map(|Number(before)| before),
            reference,
        }),
        "nick" => {
            let nickname = Nickname::parse(flat.nickname.as_ref().map_or("", Str::as_str))
                .map_err(|wrong| Refusal {
                    reference,
                    ..bad_nickname(wrong, false)
                })?;
            Ok(ClientFrame::Nick {
                nickname,
                reference,
            })
        }
        "ping" => Ok(ClientFrame::Ping { reference }),
        "pong" => Ok(ClientFrame::Pong { reference }),
        "disconnect" => Ok(ClientFrame::Disconnect),
        // What carries a message's id uses up its counter, so that what follows is not held up.
        _ if flat.id.is_some() => submission(&flat).map(ClientFrame::Submit),
        _ => Err(Refusal {
            code: ErrorCode::UnknownType,
            message: UNKNOWN_TYPE.to_owned(),
            id: None,
            reference,
            retry_after_ms: None,
            fatal: false,
        }),
    }
}

fn join(flat: &Flat<'_>) -> Result<Join, Refusal> {
    fn optional<T>(
        name: &str,
        text: Option<&Str<'_>>,
        parse: impl FnOnce(&str) -> Result<T, NameError>,
    ) -> Result<Option<T>, Refusal> {
        text.map(|text| parse(text.as_str()))
            .transpose()
            .map_err(|wrong| Refusal::field(name, wrong, true))
    }
    let positions = flat.rooms.as_ref().map_or(&[][..], |rooms| &rooms.0);
    Ok(Join {
        protocol: flat.protocol.map(|Number(number)| number),
        nickname: Nickname::parse(flat.nickname.as_ref().map_or("", Str::as_str))
            .map_err(|wrong| bad_nickname(wrong, true))?,
        keep_nickname: flat.keep_nickname.unwrap_or(false),
        client_id: ClientId::parse(flat.client_id.as_ref().map_or("", Str::as_str))
            .map_err(|wrong| Refusal::field("clientID", wrong, true))?,
        token: optional("token", flat.token.as_ref(), Token::parse)?,
        key: optional("key", flat.key.as_ref(), PublicKey::parse)?,
        invite: optional("invite", flat.invite.as_ref(), InviteToken::parse)?,
        password: optional("password", flat.password.as_ref(), Password::parse)?,
        code: optional("code", flat.code.as_ref(), DeviceCode::parse)?,
        next: flat.next.map(|Number(number)| number),
        epoch: optional("epoch", flat.epoch.as_ref(), Epoch::parse)?,
        enter: flat
            .enter
            .as_ref()
            .map_or(&[][..], |rooms| &rooms.0)
            .iter()
            .map(|room| RoomName::parse(room.as_str()))
            .collect::<Result<_, _>>()
            .map_err(|wrong| Refusal::field("enter", wrong, true))?,
        rooms: positions
            .iter()
            .map(|position| {
                Ok(Position {
                    room: RoomId::parse(position.room.as_str())
                        .map_err(|wrong| Refusal::field("rooms.room", wrong, true))?,
                    seq: position.seq.map_or(0, |Number(number)| number),
                    id: optional("rooms.id", position.id.as_ref(), MessageId::parse)?,
                })
            })
            .collect::<Result<_, Refusal>>()?,
        last: flat.last.map(|Number(number)| number),
        most: flat.most.map(|Number(number)| number),
        can: capabilities(flat.can.as_ref()),
        agent: flat.agent.as_ref().map(|agent| Line::inert(agent.as_str())),
    })
}

/// The room of a request; `lobby` if it names none.
pub(super) fn room(flat: &Flat<'_>) -> Result<RoomId, Refusal> {
    match &flat.room {
        None => Ok(RoomId::LOBBY),
        Some(room) => RoomId::parse(room.as_str()).map_err(|wrong| Refusal {
            code: ErrorCode::NoSuchRoom,
            ..Refusal::field("room", wrong, false)
        }),
    }
}

fn time(name: &str, text: Option<&Str<'_>>) -> Result<Option<Timestamp>, Refusal> {
    text.map(|text| text.as_str().parse())
        .transpose()
        .map_err(|_| Refusal::field(name, "a time is written as RFC 3339 says", false))
}

fn history(flat: &Flat<'_>, reference: Option<u64>) -> Result<HistoryRequest, Refusal> {
    let part = || {
        let since = time("since", flat.since.as_ref())?;
        let from = flat.from.map_or(1, |Number(number)| number);
        let to = flat.to.map_or(NUMBER_MAX, |Number(number)| number);
        Ok(match (since, flat.back) {
            (Some(since), _) => Part::Since(since),
            (None, Some(true)) => Part::Backward { from, to },
            (None, _) => Part::Forward { from, to },
        })
    };
    about(reference, || {
        Ok(HistoryRequest {
            room: room(flat)?,
            part: part()?,
            reference,
        })
    })
}

fn changes(flat: &Flat<'_>, reference: Option<u64>) -> Result<ChangesRequest, Refusal> {
    about(reference, || {
        Ok(ChangesRequest {
            room: room(flat)?,
            since: flat.rev.map_or(0, |Number(number)| number),
            to: flat.to.map_or(NUMBER_MAX, |Number(number)| number),
            erased: flat.erases.unwrap_or(false),
            reference,
        })
    })
}

fn search(flat: &Flat<'_>, reference: Option<u64>) -> Result<SearchRequest, Refusal> {
    about(reference, || {
        let words = Words::parse(flat.query.as_ref().map_or("", Str::as_str))
            .map_err(|wrong| Refusal::field("query", wrong, false))?;
        let sender = flat
            .sender
            .as_ref()
            .map(|name| Nickname::known(name.as_str()));
        Ok(SearchRequest {
            room: room(flat)?,
            query: Query {
                words,
                sender: sender
                    .transpose()
                    .map_err(|wrong| bad_nickname(wrong, false))?,
                after: time("after", flat.after.as_ref())?,
                before: time("before", flat.before.as_ref())?,
            },
            to: flat.to.map(|Number(number)| number),
            reference,
        })
    })
}

fn list_request<T>(
    flat: &Flat<'_>,
    reference: Option<u64>,
    parse: impl FnOnce(&str) -> Result<T, NameError>,
) -> Result<ListRequest<T>, Refusal> {
    // A character that can't be shown is written as several: the limit is for what is searched for.
    let query = Line::inert(flat.query.as_ref().map_or("", Str::as_str));
    if query.as_str().len() > LIST_QUERY_BYTES_MAX {
        let wrong = format!("it has at most {LIST_QUERY_BYTES_MAX} bytes");
        return Err(Refusal::field("query", wrong, false));
    }
    Ok(ListRequest {
        query,
        after: flat
            .after
            .as_ref()
            .map(|after| parse(after.as_str()))
            .transpose()
            .map_err(|wrong| Refusal::field("after", wrong, false))?,
        reference,
    })
}

fn submission(flat: &Flat<'_>) -> Result<Submission, Refusal> {
    let id = flat
        .id
        .as_ref()
        .map(|id| MessageId::parse(id.as_str()))
        .transpose()
        .map_err(|wrong| Refusal::field("id", wrong, true))?;
    let room = room(flat).map_err(|refusal| Refusal { id, ..refusal })?;
    Ok(Submission {
        room,
        id,
        content: content(flat, id.is_some()),
    })
}

fn content(flat: &Flat<'_>, has_id: bool) -> Result<Content, ContentError> {
    let text = flat.message.as_ref().map_or("", Str::as_str);
    let kind = flat.kind.as_ref().map_or("", Str::as_str);
    let target = || {
        let target = flat.target.as_ref().map_or("", Str::as_str);
        MessageId::parse(target).map_err(|_| ContentError::Target)
    };
    match (kind, flat.entry_kind.as_ref().map(Str::as_str)) {
        // A legacy client does not know the rules for texts: the server cleans its text as other
        // clients do before they send.
        ("message", None) if !has_id => Body::visible(text)
            .map(Content::Text)
            .map_err(ContentError::Text),
        ("message", None) => Body::parse(text)
            .map(Content::Text)
            .map_err(ContentError::Text),
        ("message" | "entry", Some(EDIT)) => Ok(Content::Edit {
            target: target()?,
            body: Body::parse(text).map_err(ContentError::Text)?,
        }),
        ("message" | "entry", Some(REDACTION)) => Ok(Content::Redaction {
            target: target()?,
            reason: flat
                .reason
                .as_ref()
                .map(|reason| Line::inert(reason.as_str())),
        }),
        _ => Err(ContentError::Kind),
    }
}

/// Appends a client's frame and a newline to `out`.
///
/// [`encode_join`] and [`legacy`](crate::protocol::legacy) write what a legacy server needs
/// besides.
pub fn encode_client(frame: &ClientFrame, out: &mut Vec<u8>) {
    let flat = match frame {
        ClientFrame::Join(join) => join_flat(join),
        ClientFrame::Proof { signature } => Flat {
            signature: shown(signature),
            ..Flat::of("proof")
        },
        ClientFrame::Command(request) => admin::command_flat(request),
        ClientFrame::Submit(submission) => submission_flat(submission),
        ClientFrame::Withdraw { id } => Flat {
            id: shown(id),
            ..Flat::of("withdraw")
        },
        ClientFrame::History(request) => history_flat(request),
        ClientFrame::Search(request) => search_flat(request),
        ClientFrame::Changes(request) => Flat {
            room: Some(room_id(request.room)),
            rev: number(request.since),
            to: number(request.to),
            erases: request.erased.then_some(true),
            reference: request.reference.map(Number),
            ..Flat::of("changes")
        },
        ClientFrame::Read { room, marker } => marker_flat(*room, *marker),
        ClientFrame::Prefer { room, preferences } => {
            let flat = Flat {
                room: Some(room_id(*room)),
                ..Flat::of("prefer")
            };
            preferences_flat(preferences, flat)
        }
        ClientFrame::Watch { rooms } => {
            let named = |room: &RoomId| RoomFlat {
                room: room_id(*room),
                ..RoomFlat::default()
            };
            Flat {
                rooms: Some(List(rooms.iter().map(named).collect())),
                ..Flat::of("watch")
            }
        }
        ClientFrame::ListRooms(list) => list_request_flat("list_rooms", list),
        ClientFrame::ListPeople { room, list } => Flat {
            room: room.map(room_id),
            ..list_request_flat("list_people", list)
        },
        ClientFrame::Inbox { before, reference } => Flat {
            to: before.map(Number),
            reference: reference.map(Number),
            ..Flat::of("inbox")
        },
        ClientFrame::Nick {
            nickname,
            reference,
        } => Flat {
            nickname: Some(nickname.as_str().into()),
            reference: reference.map(Number),
            ..Flat::of("nick")
        },
        ClientFrame::Ping { reference } => Flat {
            reference: reference.map(Number),
            ..Flat::of("ping")
        },
        ClientFrame::Pong { reference } => Flat {
            reference: reference.map(Number),
            ..Flat::of("pong")
        },
        ClientFrame::Disconnect => Flat::of("disconnect"),
    };
    write(&flat, out);
}

fn list_request_flat<'a, T: fmt::Display>(kind: &'a str, list: &'a ListRequest<T>) -> Flat<'a> {
    let query = list.query.as_str();
    Flat {
        query: (!query.is_empty()).then(|| query.into()),
        after: list.after.as_ref().and_then(shown),
        reference: list.reference.map(Number),
        ..Flat::of(kind)
    }
}

fn submission_flat(submission: &Submission) -> Flat<'_> {
    let envelope = Flat {
        room: Some(room_id(submission.room)),
        id: submission.id.and_then(shown),
        ..Flat::default()
    };
    match &submission.content {
        Ok(Content::Text(body)) => Flat {
            kind: Some("message".into()),
            message: Some(body.as_str().into()),
            ..envelope
        },
        Ok(Content::Edit { target, body }) => Flat {
            kind: Some("entry".into()),
            entry_kind: Some(EDIT.into()),
            target: shown(target),
            message: Some(body.as_str().into()),
            ..envelope
        },
        Ok(Content::Redaction { target, reason }) => Flat {
            kind: Some("entry".into()),
            entry_kind: Some(REDACTION.into()),
            target: shown(target),
            reason: reason.as_ref().map(|reason| reason.as_str().into()),
            ..envelope
        },
        // A client submits nothing of the sort; a reader of its frame sees the same.
        Err(_) => Flat {
            kind: Some("message".into()),
            ..envelope
        },
    }
}

fn history_flat(request: &HistoryRequest) -> Flat<'_> {
    let flat = Flat {
        room: Some(room_id(request.room)),
        reference: request.reference.map(Number),
        ..Flat::of("history")
    };
    match request.part {
        Part::Since(time) => Flat {
            since: shown(time),
            ..flat
        },
        Part::Forward { from, to } => Flat {
            from: number(from),
            to: number(to),
            ..flat
        },
        Part::Backward { from, to } => Flat {
            from: number(from),
            to: number(to),
            back: Some(true),
            ..flat
        },
    }
}

fn search_flat(request: &SearchRequest) -> Flat<'_> {
    let query = &request.query;
    Flat {
        room: Some(room_id(request.room)),
        query: shown(&query.words),
        sender: query.sender.as_ref().map(|name| name.as_str().into()),
        after: query.after.and_then(shown),
        before: query.before.and_then(shown),
        to: request.to.map(Number),
        reference: request.reference.map(Number),
        ..Flat::of("search")
    }
}

fn join_flat(join: &Join) -> Flat<'_> {
    Flat {
        protocol: join.protocol.map(Number),
        nickname: Some(join.nickname.as_str().into()),
        keep_nickname: join.keep_nickname.then_some(true),
        client_id: Some(join.client_id.as_str().into()),
        token: join.token.as_ref().map(|token| token.expose().into()),
        key: join.key.and_then(shown),
        invite: join.invite.map(|token| token.expose().into()),
        password: join
            .password
            .as_ref()
            .map(|password| password.expose().into()),
        code: join.code.and_then(shown),
        next: join.next.map(Number),
        epoch: join.epoch.and_then(shown),
        enter: (!join.enter.is_empty())
            .then(|| List(join.enter.iter().map(|room| room.as_str().into()).collect())),
        rooms: (!join.rooms.is_empty())
            .then(|| List(join.rooms.iter().map(position_flat).collect())),
        last: join.last.map(Number),
        most: join.most.map(Number),
        can: capability_names(join.can),
        agent: join.agent.as_ref().map(|agent| agent.as_str().into()),
        ..Flat::of("join")
    }
}

/// Appends a `join` that a legacy server accepts too; `timestamp` is in its format.
pub fn encode_join(join: &Join, timestamp: &str, out: &mut Vec<u8>) {
    write(
        &Flat {
            timestamp: Some(timestamp.into()),
            ..join_flat(join)
        },
        out,
    );
}

fn position_flat(position: &Position) -> RoomFlat<'_> {
    RoomFlat {
        room: room_id(position.room),
        seq: number(position.seq),
        id: position.id.and_then(shown),
        ..RoomFlat::default()
    }
}

//! The requests of a client that has joined: one file each, and their dispatch.

use super::{ConnectionId, hub::Hub};
use crate::protocol::{ClientFrame, frame::Departure};

pub(super) mod admin;
pub(super) mod join;
mod log_query;
pub(super) mod nick;
mod ping;
pub(super) mod refused;
mod rooms;
mod submit;
mod withdraw;

pub(super) fn run(hub: &mut Hub, connection: ConnectionId, frame: ClientFrame) {
    match frame {
        ClientFrame::Submit(submission) => submit::run(hub, connection, submission),
        ClientFrame::Withdraw { id } => withdraw::run(hub, connection, id),
        ClientFrame::History(request) => log_query::history(hub, connection, &request),
        ClientFrame::Search(request) => log_query::search(hub, connection, request),
        ClientFrame::Changes(request) => log_query::changes(hub, connection, &request),
        ClientFrame::Nick {
            nickname,
            reference,
        } => nick::run(hub, connection, &nickname, reference),
        ClientFrame::Ping { reference } => ping::run(hub, connection, reference),
        ClientFrame::Pong { .. } => ping::answered(hub, connection),
        ClientFrame::Disconnect => hub.leave(connection, Departure::Disconnect),
        ClientFrame::Read { room, marker } => rooms::read(hub, connection, room, marker),
        ClientFrame::Prefer { room, preferences } => {
            rooms::prefer(hub, connection, room, preferences);
        }
        ClientFrame::ListRooms(list) => rooms::list_rooms(hub, connection, &list),
        ClientFrame::ListPeople { room, list } => rooms::list_people(hub, connection, room, &list),
        ClientFrame::Inbox { before, reference } => {
            log_query::inbox(hub, connection, before, reference);
        }
        // The connection handles `watch` itself, the hub joins and commands.
        ClientFrame::Watch { .. } | ClientFrame::Join(_) | ClientFrame::Command(_) => {}
        // There was no challenge.
        ClientFrame::Proof { .. } => hub.join_expected(connection),
    }
}

//! `withdraw`: a message whose outcome its sender does not know is taken back; its counter is
//! used up, so that the messages behind it can come.

use super::message::own_device;
use crate::{
    protocol::MessageId,
    server::{
        engine::{
            ConnectionId,
            hub::{Hub, What},
        },
        store::Operation,
    },
};

pub(super) fn run(hub: &mut Hub, connection: ConnectionId, id: MessageId) {
    let Some(settled) = own_device(hub, connection, id) else {
        return;
    };
    let operation = Operation::Spend {
        id,
        settled,
        refused: None,
    };
    hub.stage(connection, operation, What::Withdraw { id });
}

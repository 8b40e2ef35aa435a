//! Admin commands: sent as they come, answered one by one.
//!
//! They are not stored: a command that may have arrived is never repeated automatically.

use std::collections::VecDeque;

use super::{
    Event, Session,
    connection_state::{ConnectionState, Mode},
};
use crate::{
    protocol::{
        ClientFrame,
        admin::{AdminCommand, AdminRequest, AdminResult},
        frame::ErrorFrame,
    },
    text::Line,
};

/// Commands that may be unanswered; one more is refused.
const COMMANDS_MAX: usize = 16;

/// A command without an answer.
#[derive(Debug)]
struct PendingCommand {
    /// The request's number from the user interface.
    request: u64,
    stage: CommandStage,
}

#[derive(Debug)]
enum CommandStage {
    ToSend(AdminCommand),
    Sent { reference: u64 },
}

/// The unanswered commands, in order.
#[derive(Debug, Default)]
pub(super) struct AdminCommands(VecDeque<PendingCommand>);

impl AdminCommands {
    fn take(&mut self, reference: Option<u64>) -> Option<u64> {
        let at = self.0.iter().position(
            |asked| matches!(asked.stage, CommandStage::Sent { reference: sent } if Some(sent) == reference),
        )?;
        self.0.remove(at).map(|asked| asked.request)
    }

    /// Number of commands that the server has to answer.
    pub(super) fn unanswered(&self) -> usize {
        let sent = |asked: &&PendingCommand| matches!(asked.stage, CommandStage::Sent { .. });
        self.0.iter().filter(sent).count()
    }
}

impl Session {
    /// Queues an admin command from the user.
    pub(super) fn admin_command(&mut self, request: u64, command: AdminCommand) {
        let online = matches!(&self.state, ConnectionState::Live(live) if live.mode == Mode::Online)
            && !self.is_leaving();
        let why = if !online {
            "Not connected: try again once you are"
        } else if self.commands.0.len() >= COMMANDS_MAX {
            "Too many commands at once: try again in a moment"
        } else {
            self.commands.0.push_back(PendingCommand {
                request,
                stage: CommandStage::ToSend(command),
            });
            return;
        };
        self.answer_admin(request, Err(Line::inert(why)));
    }

    fn answer_admin(&mut self, request: u64, answer: Result<AdminResult, Line>) {
        self.events.push_back(Event::Admin { request, answer });
    }

    /// The frame of the next command to send.
    pub(super) fn poll_admin_frame(&mut self) -> Option<ClientFrame> {
        let mut waiting = self.commands.0.iter_mut();
        let asked = waiting.find(|asked| matches!(asked.stage, CommandStage::ToSend(_)))?;
        self.references += 1;
        let reference = self.references;
        match std::mem::replace(&mut asked.stage, CommandStage::Sent { reference }) {
            CommandStage::ToSend(command) => Some(ClientFrame::Command(AdminRequest {
                command,
                reference: Some(reference),
            })),
            CommandStage::Sent { .. } => None,
        }
    }

    pub(super) fn admin_result(&mut self, result: AdminResult) {
        if let Some(request) = self.commands.take(result.reference) {
            self.answer_admin(request, Ok(result));
        }
    }

    /// Handles an error if it answers a command; returns any other.
    pub(super) fn admin_refused(&mut self, error: ErrorFrame) -> Option<ErrorFrame> {
        let Some(request) = self.commands.take(error.reference) else {
            return Some(error);
        };
        self.answer_admin(request, Err(error.message));
        None
    }

    /// Answers all commands after the connection has closed.
    pub(super) fn forget_commands(&mut self) {
        for asked in std::mem::take(&mut self.commands.0) {
            let why = match asked.stage {
                CommandStage::ToSend(_) => "The connection was lost before the command was sent",
                CommandStage::Sent { .. } => {
                    "The connection was lost before the server answered: it may have been done"
                }
            };
            self.answer_admin(asked.request, Err(Line::inert(why)));
        }
    }
}

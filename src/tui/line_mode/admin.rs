//! Administration in line mode: commands, and texts about keys, roles and rules.

use super::model::{Asked, Model};
use crate::{
    client::{
        Command,
        event::{Credential, Security},
    },
    protocol::{
        Content, Nickname, Role, RoomId, RoomRules, UserId,
        admin::{AdminCommand, AdminName, AdminResult},
    },
    text::{Body, Line},
    tui::{
        commands::{
            Slash,
            admin::{self, AdminAction, AdminInput},
        },
        user_text::{self, Paragraphs, SessionContext},
    },
};

impl Model {
    /// Sends an admin command.
    pub(super) fn admin_command(&mut self, slash: &Slash, which: AdminAction, argument: &str) {
        if which == AdminAction::Command(AdminName::Direct) {
            return self.write_to(slash, argument);
        }
        let members = self.here.members.values().map(|member| &member.nickname);
        match admin::read(slash, which, argument, self.room, members) {
            Ok(AdminInput::Send(command)) => {
                let asked = match command {
                    AdminCommand::Create { .. } | AdminCommand::Enter { .. } => Asked::Place,
                    AdminCommand::Leave { room } => Asked::Leaving(room),
                    _ => Asked::Result,
                };
                self.send_command(command, asked);
            }
            Ok(AdminInput::ShowTopic) => self.say(&user_text::topic(&self.here.info.rules)),
            Ok(AdminInput::Code(_)) if self.has_entered() => {
                self.refuse("You have joined already: type that code on your other device");
            }
            Ok(AdminInput::Code(code)) => {
                let credential = Credential::Code(code);
                self.commands.push_back(Command::Credential(credential));
            }
            Err(wrong) => self.refuse(&wrong),
        }
    }

    /// Opens a direct conversation: to write to it from now on, or to send a text to it.
    fn write_to(&mut self, slash: &Slash, argument: &str) {
        let members = self.here.members.values().map(|member| &member.nickname);
        let rooms = self.rooms();
        let people = rooms.flat_map(|(_, room)| &room.info.people);
        let known = members.chain(people.map(|person| &person.nickname));
        let (nicknames, text) = match admin::people_and_text(slash, argument, known) {
            Ok(read) => read,
            Err(wrong) => return self.not_gone(&wrong),
        };
        let asked = match Body::visible(&text) {
            Ok(body) => Asked::Conversation(body),
            Err(_) if text.is_empty() => Asked::Place,
            Err(wrong) => return self.refuse(&wrong.to_string()),
        };
        self.send_command(AdminCommand::Direct { nicknames }, asked);
    }

    fn send_command(&mut self, command: AdminCommand, asked: Asked) {
        if let Some(why) = user_text::in_vain(&command, self.place()) {
            return self.refuse(why);
        }
        let is_news = user_text::is_news(&command);
        let request = self.ask(asked);
        if is_news {
            self.news_awaited.insert(request, false);
        }
        self.commands.push_back(Command::Admin { request, command });
    }

    /// Notes a command to be answered; returns its number.
    pub(super) fn ask(&mut self, asked: Asked) -> u64 {
        let request = self.requests;
        self.requests += 1;
        self.asked.insert(request, asked);
        request
    }

    /// Takes the answer to a command: what was asked, unless nobody waits for it any more.
    pub(super) fn answer(&mut self, request: u64) -> Option<Asked> {
        let asked = self.asked.remove(&request);
        self.settled += u64::from(asked.is_some());
        asked
    }

    /// Says why a command is not carried out.
    pub(super) fn refuse(&mut self, why: &str) {
        self.say(why);
        self.not_done();
    }

    /// Reports the result of a command.
    pub(super) fn answered(&mut self, request: u64, answer: Result<AdminResult, Line>) {
        let asked = self.answer(request);
        let told = self.news_awaited.remove(&request) == Some(true);
        let room = match answer {
            Ok(result) => {
                if !told || !user_text::says_no_more(&result) {
                    self.tell(user_text::result(&result, self.place()));
                }
                result.room
            }
            Err(why) if asked == Some(Asked::Place) => return self.not_gone(why.as_str()),
            Err(why) => return self.refuse(why.as_str()),
        };
        match (asked, room) {
            (Some(Asked::Place), Some(room)) => self.go(room),
            (Some(Asked::Conversation(body)), Some(room)) => self.submit(room, Content::Text(body)),
            _ => {}
        }
    }

    /// Takes the encryption of a connection.
    pub(super) fn security(&mut self, security: Security) {
        let before = self.security.replace(security);
        if let Some(first) = user_text::first_use_in_brief(self.place()) {
            self.say(&first);
        }
        if security == Security::Plain && before != Some(Security::Plain) {
            const WORDS: &str = "Not encrypted: others on the network can read the messages";
            // Unasked, only connections to this machine are unencrypted; but a name other than
            // localhost could hide another machine.
            if user_text::unencrypted(self.place()).is_some() && !self.plaintext {
                self.say(WORDS);
            } else {
                self.mention(WORDS);
            }
        }
    }

    /// Reports the encryption, and our own nickname, role and key.
    pub(super) fn tell_security(&mut self) {
        self.tell(user_text::security(self.place(), None));
        let own = self.user.and_then(|user| self.here.members.get(&user));
        if let Some(own) = own {
            self.say(&user_text::ourselves(&own.nickname, own.role, self.key));
        }
    }

    /// Lists the members.
    pub(super) fn tell_who(&mut self) {
        let members: Vec<_> = self.here.members.values().cloned().collect();
        let title = self.title(self.room);
        self.say(&user_text::who(&title, &self.here.info.rules, &members));
    }

    /// Takes a change of a member's role.
    pub(super) fn promoted(&mut self, room: RoomId, user: UserId, role: Role) {
        let members = self.known_room_mut(room).map(|room| &mut room.members);
        let Some(member) = members.and_then(|members| members.get_mut(&user)) else {
            return;
        };
        let before = std::mem::replace(&mut member.role, role);
        let nickname = member.nickname.clone();
        if let Some(what) = user_text::promotion(before, role) {
            self.mention_in(room, &format!("{nickname} {what}"));
        }
    }

    /// Takes a change of a room's rules.
    pub(super) fn ruled(&mut self, id: RoomId, rules: RoomRules, by: Option<&Nickname>) {
        let Some(room) = self.known_room_mut(id) else {
            return;
        };
        let before = std::mem::replace(&mut room.info.rules, rules);
        let changes = user_text::changes(&before, &room.info.rules);
        let Some(by) = by else { return };
        for what in changes {
            self.mention_in(id, &format!("{by} {what}"));
            if *by == self.nickname && self.is_chatty() {
                self.news_awaited.values_mut().for_each(|told| *told = true);
            }
        }
    }

    fn place(&self) -> SessionContext<'_> {
        SessionContext {
            server: &self.server,
            nickname: &self.nickname,
            room: self.here.info.name.as_ref(),
            security: self.security,
        }
    }

    fn tell(&mut self, told: Paragraphs) {
        for (_, text) in told {
            self.say(&text);
        }
    }

    /// Counts a script's line that was not carried out as not delivered.
    pub(super) fn not_done(&mut self) {
        self.undelivered += u64::from(!self.options.interactive);
    }
}

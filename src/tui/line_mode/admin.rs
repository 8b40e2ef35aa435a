//! Administration in line mode: commands, and texts about keys, roles and rules.

use super::model::Model;
use crate::{
    client::{
        Command,
        event::{Credential, Security},
    },
    protocol::{Nickname, Role, RoomRules, UserId, admin::AdminResult},
    text::Line,
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
        let members = self.members.values().map(|member| &member.nickname);
        match admin::read(slash, which, argument, &self.room, members) {
            Ok(AdminInput::Send(command)) => {
                if let Some(why) = user_text::in_vain(&command, self.place()) {
                    self.say(why);
                    return self.not_done();
                }
                let request = self.requests;
                self.requests += 1;
                self.asked.insert(request);
                if user_text::is_news(&command) {
                    self.news_awaited.insert(request, false);
                }
                self.commands.push_back(Command::Admin { request, command });
            }
            Ok(AdminInput::Code(_)) if self.has_entered() => {
                self.say("You have joined already: type that code on your other device");
                self.not_done();
            }
            Ok(AdminInput::Code(code)) => {
                let credential = Credential::Code(code);
                self.commands.push_back(Command::Credential(credential));
            }
            Err(wrong) => {
                self.say(&wrong);
                self.not_done();
            }
        }
    }

    /// Reports the result of a command.
    pub(super) fn answered(&mut self, request: u64, answer: Result<AdminResult, Line>) {
        if self.asked.remove(&request) {
            self.settled += 1;
        }
        let told = self.news_awaited.remove(&request) == Some(true);
        match answer {
            Ok(result) if told && user_text::says_no_more(&result) => {}
            Ok(result) => self.tell(user_text::result(&result, self.place())),
            Err(why) => {
                self.say(why.as_str());
                self.not_done();
            }
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
        let own = self.user.and_then(|user| self.members.get(&user));
        if let Some(own) = own {
            self.say(&user_text::ourselves(&own.nickname, own.role, self.key));
        }
    }

    /// Lists the members.
    pub(super) fn tell_who(&mut self) {
        let members: Vec<_> = self.members.values().cloned().collect();
        self.say(&user_text::who(&self.room, &self.rules, &members));
    }

    /// Takes a change of a member's role.
    pub(super) fn promoted(&mut self, user: UserId, role: Role) {
        let Some(member) = self.members.get_mut(&user) else {
            return;
        };
        let before = std::mem::replace(&mut member.role, role);
        let nickname = member.nickname.clone();
        if let Some(what) = user_text::promotion(before, role) {
            self.mention(&format!("{nickname} {what}"));
        }
    }

    /// Takes a change of the room's rules.
    pub(super) fn ruled(&mut self, rules: RoomRules, by: Option<&Nickname>) {
        let before = std::mem::replace(&mut self.rules, rules);
        let Some(by) = by else { return };
        for what in user_text::changes(&before, &self.rules) {
            self.mention(&format!("{by} {what}"));
            if *by == self.nickname && self.is_chatty() {
                self.news_awaited.values_mut().for_each(|told| *told = true);
            }
        }
    }

    fn place(&self) -> SessionContext<'_> {
        SessionContext {
            server: &self.server,
            nickname: &self.nickname,
            room: &self.room,
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

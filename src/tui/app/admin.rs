//! Administration: sends admin commands, and shows results, roles, rules and encryption.

use super::{
    Effect, Model,
    model::Asked,
    pane::{Offered, timeline_item::TimelineItem},
    switcher,
};
use crate::{
    client::event::{Command, ConnectionStatus, Credential, Security},
    protocol::{
        Content, Nickname, Role, RoomId, RoomKind, RoomRules, UserId,
        admin::{AdminCommand, AdminName, AdminResult},
    },
    text::{Body, Line},
    tui::{
        commands::{
            Slash,
            admin::{self, AdminAction, AdminInput},
        },
        local_time,
        user_text::{self, Paragraphs, SessionContext, Tone},
    },
};

/// Sends a command to the server. Returns false, and says why, if it can't be sent now.
pub fn command(
    model: &mut Model,
    slash: &'static Slash,
    which: AdminAction,
    argument: &str,
    effects: &mut Vec<Effect>,
) -> bool {
    let pane = model.pane();
    let is_message = which == AdminAction::Command(AdminName::Direct);
    let known: Vec<_> = if is_message {
        switcher::known_people(model).collect()
    } else {
        let members = pane.members.iter();
        members.map(|member| &member.nickname).collect()
    };
    let order = if is_message {
        admin::people_and_text(slash, argument, known.into_iter()).map(|(nicknames, text)| {
            let command = AdminCommand::Direct { nicknames };
            (AdminInput::Send(command), text)
        })
    } else {
        let order = admin::read(slash, which, argument, pane.key.room, known.into_iter());
        order.map(|order| (order, String::new()))
    };
    let (order, text) = match order {
        Ok(order) => order,
        Err(wrong) => {
            model.say(wrong);
            return false;
        }
    };
    let text = match Body::visible(&text) {
        Ok(text) => Some(text),
        Err(_) if text.is_empty() => None,
        Err(error) => {
            model.say(error.to_string());
            return false;
        }
    };
    let command = match order {
        AdminInput::Send(command) => command,
        AdminInput::ShowTopic => {
            let topic = user_text::topic(&model.pane().info.rules);
            tell(model, Some(slash), vec![(Tone::Answer, topic)]);
            return true;
        }
        AdminInput::Code(_) if model.server.online() => {
            model.say("You have joined already: type that code on your other device");
            return false;
        }
        AdminInput::Code(code) => {
            let credential = Credential::Code(code);
            effects.push(Effect::Command(Command::Credential(credential)));
            return true;
        }
    };
    // A message to those with whom there is a conversation waits in the outbox like any other.
    if !model.server.online()
        && let AdminCommand::Direct { nicknames } = &command
        && let Some(room) = conversation_with(model, nicknames)
    {
        go_and_say(model, room, text, effects);
        return true;
    }
    match model.server.connection {
        ConnectionStatus::Online => {}
        ConnectionStatus::Legacy => {
            model.say("This server is an older one and does not have this command");
            return false;
        }
        ConnectionStatus::Unidentified => {
            model.say("No answer from the server yet: an older one does not have this command");
            return false;
        }
        _ => {
            model.say("Not connected: try again once you are");
            return false;
        }
    }
    if let Some(why) = user_text::in_vain(&command, place(model)) {
        model.say(why);
        return false;
    }
    let request = model.requests;
    model.requests += 1;
    let pane = model.pane().key.clone();
    model.asked.insert(request, Asked { slash, pane, text });
    if user_text::is_news(&command) {
        model.news_awaited.insert(request, false);
    }
    effects.push(Effect::Command(Command::Admin { request, command }));
    true
}

/// Goes to a room, and sends a text there if there is one.
fn go_and_say(model: &mut Model, room: RoomId, text: Option<Body>, effects: &mut Vec<Effect>) {
    model.go_to(room, effects);
    let Some(text) = text else {
        return;
    };
    if let Some(at) = model.find_pane(room) {
        model.panes[at].typed(text.clone());
    }
    let content = Content::Text(text);
    effects.push(Effect::Command(Command::Send { room, content }));
}

/// The known conversation with exactly these people and the user.
fn conversation_with(model: &Model, nicknames: &[Nickname]) -> Option<RoomId> {
    let own = model.server.user;
    let mut wanted: Vec<_> = nicknames.iter().map(Nickname::canonical).collect();
    let own_name = model.server.nickname.canonical();
    wanted.retain(|name| *name != own_name);
    wanted.sort();
    let mut panes = model.panes.iter();
    let pane = panes.find(|pane| {
        let others = pane.info.people.iter();
        let others = others.filter(|person| Some(person.user) != own);
        let mut others: Vec<_> = others.map(|person| person.nickname.canonical()).collect();
        others.sort();
        pane.info.kind == RoomKind::Direct && others == wanted
    })?;
    Some(pane.key.room)
}

/// Shows the result of a command where it was typed.
pub fn handle_answer(
    model: &mut Model,
    request: u64,
    answer: Result<AdminResult, Line>,
    effects: &mut Vec<Effect>,
) {
    let asked = model.asked.remove(&request);
    let news_told = model.news_awaited.remove(&request) == Some(true);
    let at = asked
        .as_ref()
        .and_then(|asked| model.panes.find(&asked.pane))
        .unwrap_or(model.panes.focus());
    if let Ok(AdminResult {
        room: Some(room), ..
    }) = &answer
    {
        let text = asked.as_ref().and_then(|asked| asked.text.clone());
        go_and_say(model, *room, text, effects);
    }
    let told = match answer {
        Ok(result) if news_told && user_text::says_no_more(&result) => return,
        Ok(result) => user_text::result(&result, place_in(model, at)),
        Err(why) => vec![(Tone::Answer, why.as_str().to_owned())],
    };
    tell_in(model, at, asked.map(|asked| asked.slash), told);
}

/// The server and the room on the screen, for texts.
fn place(model: &Model) -> SessionContext<'_> {
    place_in(model, model.panes.focus())
}

/// The server and a room, for texts.
fn place_in(model: &Model, at: usize) -> SessionContext<'_> {
    SessionContext {
        server: &model.server.name,
        nickname: &model.server.nickname,
        room: model.panes[at].info.name.as_ref(),
        security: model.server.security,
    }
}

/// Takes the encryption of a new connection.
pub fn handle_security(model: &mut Model, security: Security) {
    let before = model.server.security.replace(security);
    let mut told = user_text::first_use(place(model));
    if before != Some(Security::Plain) {
        told.extend(user_text::unencrypted(place(model)));
    }
    tell(model, None, told);
}

/// Shows the encryption, and our own nickname, role and key.
pub fn security(model: &mut Model, slash: &'static Slash) {
    let program = model.server.program.as_ref().map(Line::as_str);
    let mut told = user_text::security(place(model), program);
    if model.server.online() {
        let ourselves =
            user_text::ourselves(&model.server.nickname, model.server.role, model.server.key);
        told.push((Tone::Answer, ourselves));
    }
    tell(model, Some(slash), told);
}

/// Lists the members.
pub fn who(model: &mut Model, slash: &'static Slash) {
    let pane = model.pane();
    if pane.members.is_empty() {
        return model.say("The member list is not known at the moment");
    }
    let text = user_text::who(&model.room_title(), &pane.info.rules, &pane.members);
    tell(model, Some(slash), vec![(Tone::Answer, text)]);
}

/// Shows paragraphs in the focused pane, perhaps as the answer to a command.
pub fn tell(model: &mut Model, asked: Option<&'static Slash>, told: Paragraphs) {
    tell_in(model, model.panes.focus(), asked, told);
}

/// Shows paragraphs in a pane; those that belong together stay together.
fn tell_in(model: &mut Model, at: usize, mut asked: Option<&'static Slash>, told: Paragraphs) {
    let time = model.now.wall;
    let mut offers = told.iter().filter(|(tone, _)| tone.is_offered());
    let offered = offers.next_back().map(|(_, text)| to_copy(text));
    model.with_pane(at, |pane, context| {
        for (tone, text) in told {
            let local = local_time::in_text(&text, context.zone);
            let utc = (local != text).then_some(text);
            let notice = TimelineItem::Notice {
                time,
                asked: asked.take(),
                tone,
                text: local,
                utc,
            };
            pane.timeline.push(notice, context.zone);
        }
        if let Some(text) = offered {
            let below = pane.timeline.key(pane.timeline.len());
            pane.offered = Some(Offered { text, below });
        }
    });
}

/// The text to copy: without the rows and indents of its display.
fn to_copy(text: &str) -> String {
    let rows: Vec<_> = text.lines().map(str::trim).collect();
    let rows = rows.into_iter().filter(|row| !row.is_empty());
    rows.collect::<Vec<_>>().join("-")
}

/// Whether a text that can be copied is at the end of the conversation and on the screen.
pub fn offers(model: &Model) -> bool {
    let (pane, layout) = (model.pane(), model.layout());
    let end = pane.timeline.key(pane.timeline.len());
    let last = |offered: &Offered| offered.below == end;
    pane.offered.as_ref().is_some_and(last)
        && pane.top_place(&layout.columns, layout.messages.height).1
}

/// Copies the text that was last offered.
pub fn copy(model: &mut Model, effects: &mut Vec<Effect>) {
    match &model.pane().offered {
        Some(offered) => {
            effects.push(Effect::Copy(offered.text.clone()));
            model.say("Copied, if this terminal lets programs copy");
        }
        None => model.say("There is no invite, code or key to copy"),
    }
}

/// Takes a change of a member's role, who may be ourselves.
pub fn handle_promotion(model: &mut Model, at: usize, user: UserId, role: Role) {
    if model.server.user == Some(user) {
        model.server.role = role;
    }
    let time = model.now.wall;
    model.with_pane(at, |pane, context| pane.promoted(user, role, time, context));
}

/// Takes a change of a room's rules.
pub fn handle_rules(model: &mut Model, at: usize, rules: RoomRules, by: Option<Nickname>) {
    let time = model.now.wall;
    let ours = by.as_ref() == Some(&model.server.nickname);
    let before = &model.panes[at].info.rules;
    if ours && !user_text::changes(before, &rules).is_empty() {
        model
            .news_awaited
            .values_mut()
            .for_each(|told| *told = true);
    }
    model.with_pane(at, |pane, context| pane.ruled(rules, by, time, context));
}

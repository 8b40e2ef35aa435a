//! The user's settings of a room: of what they are notified, and whether it is a favourite.

use jiff::{SignedDuration, Timestamp};

use super::{Effect, Model};
use crate::{
    client::event::Command,
    protocol::{NotifyLevel, Preferences},
    tui::{commands, entry_text},
};

/// Runs `/notify`. Returns false, and says why, if the arguments are wrong.
pub fn notify(model: &mut Model, argument: &str, effects: &mut Vec<Effect>) -> bool {
    let before = model.pane().read_state.preferences;
    let (level, time) = argument
        .split_once(char::is_whitespace)
        .unwrap_or((argument, ""));
    let level = level.to_ascii_lowercase();
    let preferences = match (&*level, time.trim()) {
        ("", _) => {
            let words = in_words(model, &before);
            model.say(words);
            return true;
        }
        ("none", time) if !time.is_empty() => match end(model, time) {
            Ok(end) => Preferences {
                quiet_until: Some(end),
                ..before
            },
            Err(wrong) => {
                model.say(wrong);
                return false;
            }
        },
        ("all", "") => level_of(before, NotifyLevel::All),
        ("mentions", "") => level_of(before, NotifyLevel::Mentions),
        ("none", "") => level_of(before, NotifyLevel::Nothing),
        _ => {
            model.say("When should this room notify you? /notify all, /notify mentions or /notify none [TIME]");
            return false;
        }
    };
    if prefer(model, preferences, effects) {
        let words = in_words(model, &preferences);
        model.say(words);
    }
    true
}

/// Makes the room on the screen a favourite, or no longer.
pub fn toggle_favourite(model: &mut Model, effects: &mut Vec<Effect>) {
    let before = model.pane().read_state.preferences;
    let preferences = Preferences {
        favourite: !before.favourite,
        ..before
    };
    if prefer(model, preferences, effects) {
        let title = model.room_title();
        model.say(if preferences.favourite {
            format!("{title} is a favourite: it stands above others")
        } else {
            format!("{title} is no longer a favourite")
        });
    }
}

fn level_of(before: Preferences, notify: NotifyLevel) -> Preferences {
    Preferences {
        notify,
        quiet_until: None,
        ..before
    }
}

/// The end of a duration from now on.
fn end(model: &Model, text: &str) -> Result<Timestamp, String> {
    let seconds = commands::admin::seconds(text)?;
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    let end = model
        .now
        .wall
        .checked_add(SignedDuration::from_secs(seconds));
    end.map_err(|_| "That is too long".to_owned())
}

/// Has the session set the settings of the room on the screen. Returns false, and says why, if the
/// server keeps none.
fn prefer(model: &mut Model, preferences: Preferences, effects: &mut Vec<Effect>) -> bool {
    let pane = model.pane();
    if pane.timeline.first() == 0 {
        model.say("Not connected: the server stores the settings of rooms. Try again once you are");
        return false;
    }
    let room = pane.key.room;
    effects.push(Effect::Command(Command::Prefer { room, preferences }));
    true
}

/// Of what the user is notified in the room on the screen.
fn in_words(model: &Model, preferences: &Preferences) -> String {
    let of = match preferences.notify {
        NotifyLevel::All => "every message",
        NotifyLevel::Mentions => "mentions",
        NotifyLevel::Nothing => "nothing",
    };
    let title = model.room_title();
    let now = model.now.wall;
    match preferences.quiet_until.filter(|until| *until > now) {
        Some(until) => {
            let until = entry_text::moment(until, now, &model.zone);
            format!("{title}: you are notified of nothing until {until}, then of {of}")
        }
        None => format!("{title}: you are notified of {of}"),
    }
}

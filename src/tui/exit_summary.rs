//! The summary that is printed on the normal screen at the end.

use std::time::Duration;

use crate::{
    client::event::Summary,
    protocol::RoomId,
    text::{Body, span},
};

/// The contents of the summary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExitSummary {
    /// The session's figures; `None` if leaving took too long to get them.
    pub summary: Option<Summary>,
    /// The time since we first joined; `None` if we never did.
    pub chatted_for: Option<Duration>,
    /// The room that was on the screen; `None` if we never joined.
    pub room: Option<RoomId>,
    /// Messages that are not delivered yet, which the next start sends.
    pub unsent: u64,
    /// Messages that were neither delivered nor are known to be stored: they exist only here.
    pub not_kept: Vec<Body>,
}

/// Formats the summary, in complete lines. `kept`: whether undelivered messages are stored for the
/// next start. Messages that were not stored are printed in full.
pub fn of_screen(ending: &ExitSummary, kept: bool) -> String {
    let mut text = match (&ending.summary, ending.chatted_for) {
        (None, Some(duration)) => format!("Chatted for {}\n", span(duration)),
        (summary, chatted) => figures(&summary.unwrap_or_default(), chatted),
    };
    if ending.unsent > 0 {
        text += &unsent(ending.unsent, kept);
    }
    if !ending.not_kept.is_empty() {
        text += &not_kept(ending.not_kept.len() as u64);
    }
    let lines = |body: &Body| body.as_str().lines().map(indented).collect::<String>();
    text.extend(ending.not_kept.iter().map(lines));
    text
}

/// Formats the figures of a run in complete lines that fit a narrow terminal. `chatted` is `None`
/// if we never joined.
pub fn figures(summary: &Summary, chatted: Option<Duration>) -> String {
    let count = |messages: u64, characters| match messages {
        0 => "nothing".to_owned(),
        _ => format!(
            "{}, {}",
            plural(messages, "message"),
            plural(characters, "character")
        ),
    };
    match chatted {
        None => "Never joined: nothing was sent or received.\n".to_owned(),
        Some(duration) => format!(
            "Chatted for {}\n  sent      {}\n  received  {}\n",
            span(duration),
            count(summary.messages_sent, summary.characters_sent),
            count(summary.messages_received, summary.characters_received)
        ),
    }
}

/// A line that says how many messages are not delivered yet.
pub fn unsent(count: u64, kept: bool) -> String {
    if !kept {
        return undelivered(count);
    }
    let (verb, them) = if count == 1 {
        ("was", "it")
    } else {
        ("were", "them")
    };
    let messages = plural(count, "message");
    format!("{messages} {verb} not delivered yet: the next start sends {them}.\n")
}

/// The same for messages of earlier runs.
pub fn unsent_of_earlier_runs(count: u64) -> String {
    let (messages, verb, them) = match count {
        1 => ("message", "is", "it"),
        _ => ("messages", "are", "them"),
    };
    format!(
        "{count} {messages} of earlier runs {verb} still to be delivered: the next start sends {them}.\n"
    )
}

/// A line that introduces the messages that are stored nowhere.
fn not_kept(count: u64) -> String {
    let verb = if count == 1 { "was" } else { "were" };
    let messages = plural(count, "message");
    format!("{messages} {verb} neither delivered nor kept for the next start:\n")
}

fn indented(line: &str) -> String {
    format!("  {line}\n")
}

/// A line that says how many messages were not delivered.
pub fn undelivered(count: u64) -> String {
    let verb = if count == 1 { "was" } else { "were" };
    format!("{} {verb} not delivered.\n", plural(count, "message"))
}

fn plural(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_are_not_kept_are_printed_and_missing_figures_are_not() {
        let figures = Summary {
            messages_sent: 1,
            characters_sent: 3,
            ..Summary::default()
        };
        let check = |summary, unsent, not_kept: &[&str], expected: &str| {
            let ending = ExitSummary {
                room: None,
                summary,
                chatted_for: Some(Duration::from_secs(3)),
                unsent,
                not_kept: not_kept.iter().map(|text| Body::inert(text)).collect(),
            };
            assert_eq!(of_screen(&ending, true), expected);
        };
        check(None, 0, &[], "Chatted for 3 s\n");
        check(
            None,
            2,
            &[],
            "Chatted for 3 s\n2 messages were not delivered yet: the next start sends them.\n",
        );
        check(
            Some(figures),
            0,
            &["one"],
            "Chatted for 3 s\n  sent      1 message, 3 characters\n  received  nothing\n\
             1 message was neither delivered nor kept for the next start:\n  one\n",
        );
        check(
            None,
            1,
            &["two\nlines", "three"],
            "Chatted for 3 s\n1 message was not delivered yet: the next start sends it.\n\
             2 messages were neither delivered nor kept for the next start:\n  \
             two\n  lines\n  three\n",
        );
        assert_eq!(
            of_screen(&ExitSummary::default(), true),
            "Never joined: nothing was sent or received.\n"
        );
    }

    #[test]
    fn singular_and_plural_are_right() {
        let check = |given: [u64; 4], seconds, expected: &str| {
            let summary = Summary {
                messages_sent: given[0],
                characters_sent: given[1],
                messages_received: given[2],
                characters_received: given[3],
                unsent: 0,
            };
            let duration = Duration::from_secs(seconds);
            assert_eq!(figures(&summary, Some(duration)), expected);
        };
        check(
            [0, 0, 0, 0],
            0,
            "Chatted for 0 s\n  sent      nothing\n  received  nothing\n",
        );
        check(
            [1, 1, 2, 10],
            75,
            "Chatted for 1 min 15 s\n  sent      1 message, 1 character\n  \
             received  2 messages, 10 characters\n",
        );
        check(
            [2, 9, 1, 5],
            2 * 3600 + 61,
            "Chatted for 2 h 1 min\n  sent      2 messages, 9 characters\n  \
             received  1 message, 5 characters\n",
        );
        check(
            [2, 9, 0, 0],
            90_000,
            "Chatted for 1 d 1 h\n  sent      2 messages, 9 characters\n  \
             received  nothing\n",
        );
        assert_eq!(
            figures(&Summary::default(), None),
            "Never joined: nothing was sent or received.\n"
        );
        assert_eq!(unsent(2, false), "2 messages were not delivered.\n");
        assert_eq!(
            unsent_of_earlier_runs(1),
            "1 message of earlier runs is still to be delivered: the next start sends it.\n"
        );
        assert_eq!(
            unsent(2, true),
            "2 messages were not delivered yet: the next start sends them.\n"
        );
        assert_eq!(
            unsent(1, true),
            "1 message was not delivered yet: the next start sends it.\n"
        );
    }
}

//! What is said on the normal screen when all is over.

use std::time::Duration;

use crate::{
    client::event::Summary,
    text::{Body, span},
};

/// What there is to say of a run on the screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExitSummary {
    /// The session's figures; `None` where leaving took too long for them.
    pub summary: Option<Summary>,
    /// From when we were first let in; `None`: we never were.
    pub chatted_for: Option<Duration>,
    /// Messages that are on their way, and that the next start goes on with.
    pub unsent: u64,
    /// Messages that were neither sent nor are known to be kept: only here can they be had again.
    pub not_kept: Vec<Body>,
}

/// The summary of a run on the screen, in lines that are ended. `kept`: whether what was not sent is
/// kept for the next start. What was not kept is told in full.
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

/// The figures of a run, in lines that fit a narrow terminal, each ended. `chatted` is `None` where
/// we were never let in.
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
        None => "Never got in: nothing was sent or received.\n".to_owned(),
        Some(duration) => format!(
            "Chatted for {}\n  sent      {}\n  received  {}\n",
            span(duration),
            count(summary.messages_sent, summary.characters_sent),
            count(summary.messages_received, summary.characters_received)
        ),
    }
}

/// That messages have not arrived (yet), as a line.
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

/// The same of messages that earlier runs have left.
pub fn unsent_of_earlier_runs(count: u64) -> String {
    let (messages, verb, them) = match count {
        1 => ("message", "is", "it"),
        _ => ("messages", "are", "them"),
    };
    format!(
        "{count} {messages} of earlier runs {verb} still to be delivered: the next start sends {them}.\n"
    )
}

/// That messages are nowhere but in the lines that follow, as a line.
fn not_kept(count: u64) -> String {
    let verb = if count == 1 { "was" } else { "were" };
    let messages = plural(count, "message");
    format!("{messages} {verb} neither delivered nor kept for the next start:\n")
}

fn indented(line: &str) -> String {
    format!("  {line}\n")
}

/// That messages are lost to the others, as a line.
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
    fn without_figures_none_are_told_and_what_is_not_kept_is() {
        let figures = Summary {
            messages_sent: 1,
            characters_sent: 3,
            ..Summary::default()
        };
        let check = |summary, unsent, not_kept: &[&str], expected: &str| {
            let ending = ExitSummary {
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
            "Never got in: nothing was sent or received.\n"
        );
    }

    #[test]
    fn one_is_one_and_two_are_two() {
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
            "Never got in: nothing was sent or received.\n"
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

//! Why a server is not trusted, in words, with the command that says that all is well.

use jiff::civil::Date;

use crate::{client::event::ExplanationPart, protocol::Fingerprint, text::Line};

/// Why a server is not trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Distrust {
    /// It has another key than the one that is expected.
    Changed {
        /// The key expected.
        expected: Fingerprint,
        /// Who says so.
        source: KeySource,
        /// The key that it has.
        offered: Fingerprint,
    },
    /// The system's roots have vouched for it, and do no more.
    NotVouched {
        /// When they did first.
        since: Date,
        /// The key that it has.
        offered: Fingerprint,
        /// Why they do not, to be put behind "because".
        why: String,
    },
    /// An invite names another key than the one that the server is known by.
    Invite {
        /// The key that it is known by.
        known: Fingerprint,
        /// Since when.
        since: Date,
        /// The key that the invite names.
        invited: Fingerprint,
    },
    /// It does not encrypt.
    NotEncrypted {
        /// Who says that it does, if anybody.
        source: Option<KeySource>,
    },
    /// The user wants no encryption, but it is known to encrypt.
    Plaintext {
        /// Since when it is known.
        since: Date,
    },
    /// The proof of our own key, which is bound to the encrypted connection, did not hold at the
    /// server: the connection does not end there.
    PassedOn {
        /// The key at our end of it.
        offered: Fingerprint,
    },
    /// What is known of servers can't be read: one plain sentence.
    Unreadable(Line),
}

/// Who says which key a server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// It had it when it was met, on this day.
    Known(Date),
    /// The user, with `--trust`.
    Given,
    /// An invite.
    Invite,
}

/// How the user started this program, for the commands that it tells: arguments as a shell takes
/// them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// To start it in the same way again: `localhost 10500 carol 3`.
    pub again: String,
    /// Which server, and where what is known of it is kept: `localhost 10500`.
    pub server: String,
}

impl Distrust {
    /// One plain sentence.
    pub(in crate::client::session) fn sentence(&self, server: &str) -> String {
        match self {
            Self::Changed { source, .. } => {
                let than = match source {
                    KeySource::Known(_) => "before",
                    KeySource::Given => "the one given with --trust",
                    KeySource::Invite => "the one in the invite",
                };
                format!("{server} has another key than {than}, so nothing was sent to it")
            }
            Self::NotVouched { .. } => {
                format!("This system vouches for {server} no more, so nothing was sent to it")
            }
            Self::Invite { .. } => format!(
                "The invite names another key for {server} than the one it is known by, so nothing \
                 was sent to it"
            ),
            Self::NotEncrypted { source: Some(_) } => format!(
                "What answers on {server} does not encrypt, as it has to, so nothing was sent to it"
            ),
            Self::NotEncrypted { source: None } => {
                format!("{server} does not encrypt, so nothing was sent to it")
            }
            Self::Plaintext { .. } => {
                format!("{server} is known to encrypt, so --plaintext is not for it")
            }
            Self::PassedOn { .. } => format!(
                "Somebody between here and {server} may pass the connection on: the proof of your \
                 key does not hold at its other end"
            ),
            Self::Unreadable(why) => why.as_str().to_owned(),
        }
    }

    /// The same in a word or two.
    pub(in crate::client::session) fn brief(&self) -> &'static str {
        match self {
            Self::Changed { .. } | Self::Invite { .. } => "Another key!",
            Self::NotVouched { .. } => "Not vouched for!",
            Self::NotEncrypted { .. } => "Not encrypted!",
            Self::Plaintext { .. } => "It does encrypt!",
            Self::PassedOn { .. } => "Passed on?",
            Self::Unreadable(_) => "Keys not readable!",
        }
    }

    /// What it may mean, and what to type if all is well.
    pub(in crate::client::session) fn explanation(
        &self,
        server: &str,
        commands: &CommandLine,
    ) -> Vec<ExplanationPart> {
        let words = |text: &str| ExplanationPart::Words(Line::inert(text));
        let key = |label: &str, key: &Fingerprint| ExplanationPart::Key {
            label: Line::inert(label),
            key: *key,
        };
        let command = |text: &str| ExplanationPart::Command(Line::inert(text));
        let trust =
            |key: &Fingerprint| command(&format!("chat-tui --trust {key} {}", commands.again));
        match self {
            Self::Changed {
                expected,
                source: KeySource::Known(since),
                offered,
            } => vec![
                words(&format!(
                    "{server} has another key than before. Either it was set up anew, or somebody \
                     else answers in its place and would read all that is said."
                )),
                key(&format!("Its key since {since}"), expected),
                key("The key offered now", offered),
                words(ASK_FOR_THE_OFFERED),
                trust(offered),
            ],
            Self::Changed {
                expected, offered, ..
            } => vec![
                words(&format!(
                    "{server} has another key than it should. Either the key was told wrong, or it \
                     was set up anew since, or somebody else answers in its place and would read \
                     all that is said."
                )),
                key("The key expected", expected),
                key("The key offered", offered),
                words("Ask again, whoever told it."),
            ],
            Self::NotVouched {
                since,
                offered,
                why,
            } => vec![
                words(&format!(
                    "Certificates that this system trusts have vouched for {server} since {since}, \
                     and do no more: {why}. Either it was set up anew, or somebody else answers in \
                     its place and would read all that is said."
                )),
                key("The key offered now", offered),
                words(ASK_FOR_THE_OFFERED),
                trust(offered),
            ],
            Self::Invite {
                known,
                since,
                invited,
            } => vec![
                key(&format!("Its key since {since}"), known),
                key("The key in the invite", invited),
                words(&format!(
                    "Ask whoever runs {server}, by another way than this chat, which key it shows \
                     when it starts. If that is the one in the invite, this command accepts it:"
                )),
                trust(invited),
            ],
            Self::NotEncrypted {
                source: Some(KeySource::Known(_)),
            }
            | Self::Plaintext { .. } => vec![
                words(
                    "If whoever runs it says that it does not encrypt any more, this command \
                     forgets what is known of it:",
                ),
                command(&format!("chat-tui --forget {}", commands.server)),
            ],
            Self::NotEncrypted {
                source: Some(KeySource::Given),
            } => vec![words(
                "Only what encrypts can show the key that was given with --trust. Ask again, whoever \
                 told it, and whoever runs the server.",
            )],
            Self::NotEncrypted {
                source: Some(KeySource::Invite),
            } => vec![words(
                "Only what encrypts can show the key that the invite names. Ask again, whoever gave \
                 it to you: the server may be elsewhere by now.",
            )],
            Self::NotEncrypted { source: None } => vec![
                words(
                    "If it is an older server on a network that you trust, this command talks to \
                     it all the same; everybody on the way can read along:",
                ),
                command(&format!("chat-tui --plaintext {}", commands.again)),
            ],
            Self::PassedOn { offered } => passed_on(server, offered),
            Self::Unreadable(_) => Vec::new(),
        }
    }
}

/// What it means that a proof bound to the connection does not hold at its other end.
fn passed_on(server: &str, offered: &Fingerprint) -> Vec<ExplanationPart> {
    let means = format!(
        "Your key proves who you are on this one encrypted connection. {server} refused the proof, \
         so the encryption seems to end at somebody in between, who would read all that is said. \
         No message was sent. A key that was met here for the first time was not kept."
    );
    let ask = "Ask whoever runs the server, by another way than this chat, which key it shows when it \
               starts. If it is another one, use another network, or start with --trust and the key \
               that you are told. If it is this one, something that ends the encryption stands before \
               the server, and they have to take it away.";
    vec![
        ExplanationPart::Words(Line::inert(&means)),
        ExplanationPart::Key {
            label: Line::inert("The key offered now"),
            key: *offered,
        },
        ExplanationPart::Words(Line::inert(ask)),
    ]
}

/// How to find out whether a key is the right one.
const ASK_FOR_THE_OFFERED: &str = "Ask whoever runs it, by another way than this chat, which key it \
                                   shows when it starts. If that is the one offered now, this \
                                   command accepts it:";

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    const OLD: Fingerprint = Fingerprint::from_bytes([1; 32]);
    const NEW: Fingerprint = Fingerprint::from_bytes([2; 32]);

    fn said(distrust: &Distrust) -> Vec<String> {
        let commands = CommandLine {
            again: "chat.lan 10500 carol 3".to_owned(),
            server: "chat.lan 10500".to_owned(),
        };
        let sentence = Line::inert(&distrust.sentence("chat.lan:10500"));
        let told = distrust.explanation("chat.lan:10500", &commands);
        let lines = told.iter().map(ExplanationPart::to_line);
        let lines = [sentence].into_iter().chain(lines);
        lines.map(|line| line.as_str().to_owned()).collect()
    }

    #[test]
    fn a_changed_key_is_told_with_both_keys_and_the_command_that_accepts_it() {
        let lines = said(&Distrust::Changed {
            expected: OLD,
            source: KeySource::Known(date(2026, 11, 22)),
            offered: NEW,
        });
        assert!(lines[0].contains("nothing was sent"), "{lines:?}");
        assert!(lines.contains(&format!("Its key since 2026-11-22: {OLD}")));
        assert!(lines.contains(&format!("The key offered now: {NEW}")));
        let command = format!("chat-tui --trust {NEW} chat.lan 10500 carol 3");
        assert_eq!(lines.last(), Some(&command));
    }

    #[test]
    fn a_key_that_was_told_is_no_reason_to_accept_another() {
        for source in [KeySource::Given, KeySource::Invite] {
            let lines = said(&Distrust::Changed {
                expected: OLD,
                source,
                offered: NEW,
            });
            assert!(lines.iter().all(|line| !line.starts_with("chat-tui")));
            // Nor to forget what is known, or to speak in the clear.
            let source = Some(source);
            let lines = said(&Distrust::NotEncrypted { source });
            assert!(lines.iter().all(|line| !line.starts_with("chat-tui")));
        }
    }

    #[test]
    fn every_other_reason_comes_with_a_way_out() {
        let since = date(2026, 11, 22);
        let forget = "chat-tui --forget chat.lan 10500".to_owned();
        for (distrust, command) in [
            (
                Distrust::NotEncrypted {
                    source: Some(KeySource::Known(since)),
                },
                forget.clone(),
            ),
            (Distrust::Plaintext { since }, forget),
            (
                Distrust::NotEncrypted { source: None },
                "chat-tui --plaintext chat.lan 10500 carol 3".to_owned(),
            ),
            (
                Distrust::Invite {
                    known: OLD,
                    since,
                    invited: NEW,
                },
                format!("chat-tui --trust {NEW} chat.lan 10500 carol 3"),
            ),
            (
                Distrust::NotVouched {
                    since,
                    offered: NEW,
                    why: "its certificate has expired".to_owned(),
                },
                format!("chat-tui --trust {NEW} chat.lan 10500 carol 3"),
            ),
        ] {
            assert_eq!(said(&distrust).last(), Some(&command), "{distrust:?}");
        }
    }
}

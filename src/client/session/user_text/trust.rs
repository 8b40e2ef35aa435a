//! Explains to the user why a server is not trusted, with the command that accepts it.

use jiff::civil::Date;

use crate::{client::event::ExplanationPart, protocol::Fingerprint, text::Line};

/// Why a server is not trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Distrust {
    /// Its key differs from the expected one.
    Changed {
        /// The key expected.
        expected: Fingerprint,
        /// The source of the expected key.
        source: KeySource,
        /// The key that it has.
        offered: Fingerprint,
    },
    /// The system's roots vouched for it before, and no longer do.
    NotVouched {
        /// When they first did.
        since: Date,
        /// The key that it has.
        offered: Fingerprint,
        /// Why they do not, to be put after "because".
        why: String,
    },
    /// An invite names another key than the known one.
    Invite {
        /// The known key.
        known: Fingerprint,
        /// Since when it is known.
        since: Date,
        /// The key that the invite names.
        invited: Fingerprint,
    },
    /// It does not encrypt.
    NotEncrypted {
        /// The source of the expectation that it does, if any.
        source: Option<KeySource>,
    },
    /// The user asked for no encryption, but the server is known to encrypt.
    Plaintext {
        /// Since when it is known.
        since: Date,
    },
    /// The server refused the proof of our key, which is bound to the encrypted connection: the
    /// encryption may end at somebody in between.
    PassedOn {
        /// The key at our end of it.
        offered: Fingerprint,
    },
    /// The file of known servers can't be read: one plain sentence.
    Unreadable(Line),
}

/// The source of an expected key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The server had it when first seen, on this day.
    Known(Date),
    /// The user gave it with `--trust`.
    Given,
    /// An invite.
    Invite,
}

/// How the user started this program, for the commands that are suggested: arguments as a shell
/// takes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// Arguments to start it in the same way again: `localhost 10500 carol 3`.
    pub again: String,
    /// Arguments that name the server, and the place of its stored key: `localhost 10500`.
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
                format!("This system no longer vouches for {server}, so nothing was sent to it")
            }
            Self::Invite { .. } => format!(
                "The invite names another key for {server} than the one it is known by, so nothing \
                 was sent to it"
            ),
            Self::NotEncrypted { source: Some(_) } => {
                format!("{server} does not encrypt, although it must, so nothing was sent to it")
            }
            Self::NotEncrypted { source: None } => {
                format!("{server} does not encrypt, so nothing was sent to it")
            }
            Self::Plaintext { .. } => {
                format!("{server} is known to encrypt: start without --plaintext")
            }
            Self::PassedOn { .. } => format!(
                "Somebody may be intercepting the connection to {server}: the server refused \
                the proof of your key"
            ),
            Self::Unreadable(why) => why.as_str().to_owned(),
        }
    }

    /// The reason in a word or two.
    pub(in crate::client::session) fn brief(&self) -> &'static str {
        match self {
            Self::Changed { .. } | Self::Invite { .. } => "Another key!",
            Self::NotVouched { .. } => "Not vouched for!",
            Self::NotEncrypted { .. } => "Not encrypted!",
            Self::Plaintext { .. } => "It does encrypt!",
            Self::PassedOn { .. } => "Intercepted?",
            Self::Unreadable(_) => "Keys not readable!",
        }
    }

    /// Possible causes, and the command to type if the server is the right one.
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
                words("Ask the person who told you the key again."),
            ],
            Self::NotVouched {
                since,
                offered,
                why,
            } => vec![
                words(&format!(
                    "Certificates that this system trusts have vouched for {server} since {since}, \
                     and no longer do: {why}. Either it was set up anew, or somebody else answers in \
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
                "A server that does not encrypt can't show the key that was given with --trust. \
                Ask the person who told you the key again, and whoever runs the server.",
            )],
            Self::NotEncrypted {
                source: Some(KeySource::Invite),
            } => vec![words(
                "A server that does not encrypt can't show the key in the invite. Ask the \
                person who gave it to you: the server may have moved.",
            )],
            Self::NotEncrypted { source: None } => vec![
                words(
                    "If it is an older server on a network that you trust, this command \
                    connects without encryption; everybody on the way can read along:",
                ),
                command(&format!("chat-tui --plaintext {}", commands.again)),
            ],
            Self::PassedOn { offered } => passed_on(server, offered),
            Self::Unreadable(_) => Vec::new(),
        }
    }
}

/// Explains that a proof bound to the connection was refused at its other end.
fn passed_on(server: &str, offered: &Fingerprint) -> Vec<ExplanationPart> {
    let means = format!(
        "Your key proves who you are on this one encrypted connection. {server} refused the proof, \
         so the encryption seems to end at somebody in between, who would read all that is said. \
         No message was sent. A key seen for the first time was not kept."
    );
    let ask = "Ask whoever runs the server, by another way than this chat, which key it shows when it \
               starts. If it is another one, use another network, or start with --trust and the key \
               that you are told. If it is this one, something on the way, such as a proxy, \
               ends the encryption, and they have to remove it.";
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
            // Nor to forget a known server, or to connect without encryption.
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

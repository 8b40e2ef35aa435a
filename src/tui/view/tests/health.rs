//! Titles for a server that does not answer, or has never answered.

use std::time::Duration;

use super::*;
use crate::client::event::{Entered, Security};
use crate::protocol::Role;

impl Screen {
    /// An unencrypted connection on which nothing was received.
    pub(super) fn guessing(width: u16, height: u16) -> Self {
        let mut screen = Self::new(width, height);
        screen.heard(Event::Security(Security::Plain));
        screen.status_without_word(ConnectionStatus::Unidentified);
        screen
    }

    fn status_without_word(&mut self, status: ConnectionStatus) {
        self.heard(Event::Connection(status));
        self.heard(Event::Entered(Entered {
            user: None,
            nickname: nickname("carol"),
            role: Role::Unverified,
            server: None,
            limits: None,
        }));
    }

    fn title(&self) -> String {
        let text = self.text();
        text.lines().next().unwrap_or_default().to_owned()
    }

    /// Whether the title, or a sign on the screen, looks as if all were well.
    fn looks_well(&self) -> bool {
        let good = Palette::new(Depth::Many, Ground::Dark).good.fg;
        let (buffer, _) = self.buffer();
        let columns = usize::from(self.desk.model.width);
        let mut cells = buffer.content().iter().enumerate();
        cells.any(|(at, cell)| {
            let tells = at < columns || cell.symbol() == "●";
            tells && Some(cell.fg) == good
        })
    }
}

#[test]
fn a_server_that_does_not_answer_is_told_of_in_words_at_every_size() {
    for (width, height, title) in [
        (
            100,
            30,
            " #lobby  welcome to the lab                  localhost:10500  ◌ no answer for 3 s  encrypted",
        ),
        (
            80,
            24,
            " #lobby  welcome to the lab  localhost:10500  ◌ no answer for 3 s  encrypted",
        ),
        (40, 12, " #lobby   ◌ no answer for 3 s  encrypted"),
        (32, 8, " #lobby  ◌ no answer  encrypted"),
        (20, 5, "#lobby   ◌ no answer"),
    ] {
        let mut screen = Screen::conversation(width, height);
        assert!(screen.looks_well(), "{width}x{height}");
        screen.heard(Event::Unanswered(Some(Duration::from_secs(3))));
        let shown = screen.title();
        let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(squeezed(&shown), squeezed(title), "{width}x{height}");
        assert!(!screen.looks_well(), "{width}x{height}");
        // It counts by itself, and disappears with the first answer.
        assert_eq!(screen.desk.model.wakes_in(), Some(Duration::from_secs(1)));
        screen.desk.passes(Duration::from_secs(2));
        assert!(screen.title().contains("no answer"), "{width}x{height}");
        assert!(width < 40 || screen.title().contains("no answer for 5 s"));
        screen.heard(Event::Unanswered(None));
        assert!(screen.title().contains("● encrypted"), "{width}x{height}");
        assert!(screen.looks_well(), "{width}x{height}");
    }
}

#[test]
fn a_silent_server_is_told_beside_the_missing_encryption() {
    for (width, words) in [
        (80, "◌ no answer for 3 s  not encrypted"),
        (40, "◌ no answer  not encrypted"),
        (34, "◌ no answer  unencrypted"),
        (20, "◌ unencrypted"),
    ] {
        let mut screen = Screen::conversation(width, 24);
        screen.heard(Event::Security(Security::Plain));
        screen.heard(Event::Unanswered(Some(Duration::from_secs(3))));
        let title = screen.title();
        assert!(title.contains(words), "{title}");
    }
}

#[test]
fn a_lost_connection_is_told_instead_of_the_silence_before() {
    let mut screen = Screen::conversation(80, 24);
    screen.heard(Event::Unanswered(Some(Duration::from_secs(40))));
    screen.heard(Event::Connection(ConnectionStatus::Waiting {
        why: Line::inert("Nothing was heard"),
        retry_in: Duration::from_secs(1),
    }));
    assert!(screen.title().contains("○ offline"), "{}", screen.title());
    screen.desk.enters();
    assert!(screen.title().contains("● encrypted"), "{}", screen.title());
}

#[test]
fn a_peer_that_has_not_answered_is_not_called_a_server_at_any_size() {
    for (width, height, words) in [
        (
            100,
            30,
            "◌ no answer yet: an older server, or none  not encrypted",
        ),
        (
            80,
            24,
            "◌ no answer yet: an older server, or none  not encrypted",
        ),
        (
            64,
            24,
            "◌ no answer yet: older server, or none  not encrypted",
        ),
        (40, 12, "◌ no answer yet  not encrypted"),
        (20, 5, "◌ unencrypted"),
    ] {
        let mut screen = Screen::guessing(width, height);
        let title = screen.title();
        assert!(title.contains(words), "{title}");
        assert!(screen.text().contains("No answer yet"), "{width}x{height}");
        screen
            .sending(1, "hello", Delivery::Pending)
            .sending(1, "hello", Delivery::Unconfirmed);
        assert!(!screen.looks_well(), "{width}x{height}");
        let text = screen.text();
        assert!(text.contains('~') && !text.contains('✓'), "{text}");
    }
}

#[test]
fn an_older_server_is_recognized_by_its_answer() {
    let mut screen = Screen::guessing(80, 24);
    screen.heard(Event::Connection(ConnectionStatus::Legacy));
    screen.message("22T09:45:00", "alice", "hello");
    let title = screen.title();
    assert!(title.contains("● older server  not encrypted"), "{title}");
}

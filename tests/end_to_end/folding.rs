//! A long message is folded, and unfolded on request.

use crate::process::Server;

#[test]
fn a_long_paste_is_folded_for_everybody_until_they_unfold_it() {
    let server = Server::start();
    let mut alice = server.client("alice", "1", 80, 24);
    let mut bob = server.client("bob", "2", 80, 24);
    alice.wait_for("Members 2");
    bob.wait_for("Members 2");
    let lines: Vec<_> = (1..=300).map(|line| format!("row {line}.")).collect();
    alice.keys(&format!("\x1b[200~{}\x1b[201~", lines.join("\n")));
    alice.wait_for("Insert the pasted text: 300 lines");
    alice.keys("\r");
    alice.wait_for("row 300.");
    alice.keys("\r");
    // Twelve rows of it on a screen of 24, for both users.
    alice.wait("a folded message", |screen| {
        let text = screen.contents();
        text.contains("row 12.") && text.contains("288 more lines") && text.contains('✓')
    });
    bob.wait_for("… 288 more lines · /unfold");

    bob.line("/unfold");
    bob.wait("what is below", |screen| {
        let text = screen.contents();
        text.contains("row 1.") && text.contains("row 13.") && !text.contains("more lines")
    });
    bob.line("/fold");
    bob.wait_for("… 288 more lines");

    // With the mouse: a press on the count's row. Rows and columns count from 1.
    bob.line("/mouse");
    bob.wait_for("/unfold or click");
    let mut row = 0;
    bob.wait("the count", |screen| {
        let text = screen.contents();
        let found = text
            .lines()
            .position(|line| line.contains("288 more lines"));
        row = found.map_or(0, |row| row + 1);
        found.is_some()
    });
    bob.keys(&format!("\x1b[<0;30;{row}M\x1b[<0;30;{row}m"));
    bob.wait_gone("288 more lines");
    bob.wait_for("row 13.");
    // All of it is there: the end follows the beginning.
    bob.keys("\x1b");
    bob.wait_for("row 300.");
}

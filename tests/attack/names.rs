//! Users who try to imitate another's nickname.

use crate::{
    bounds,
    pair::Pair,
    peer::{Peer, join, somebody},
    process::Server,
};

/// Look-alikes of `paula01` in one alphabet.
const LOOK_ALIKES: &[&str] = &[
    "paula01",
    " paula01 ",
    "PAULA01",
    "Paula01",
    "pauIa01",
    "pau1a01",
    "paula0l",
    "paulaOl",
    "paulaOI",
    "pauLa01",
    "paulao1",
    "PAU1AO1",
    "pau|a01",
    "ｐａｕｌａ０１",
    "𝐩𝐚𝐮𝐥𝐚01",
    "𝓹𝓪𝓾𝓵𝓪01",
    "𝚙𝚊𝚞𝚕𝚊𝟶𝟷",
    "pɑula01",
    "paulɑ01",
    "paꭎla01",
    "paula𝟎𝟏",
    "paula𝟘𝟙",
];

/// Nicknames with mixed, hidden, reversed or invisible characters, which are invalid.
const NO_NICKNAMES: &[&str] = &[
    "раula01",
    "pаula01",
    "paulа01",
    "pαula01",
    "paula\u{200b}01",
    "paula01\u{200d}",
    "paula01\u{2060}",
    "\u{202e}10aluap",
    "paula01\u{feff}",
    "paula\u{ad}01",
    "paula01\u{a0}",
    "paula01\u{3164}",
    "paula01\u{115f}",
    "paula01\u{e0061}",
    "paula01\u{34f}",
    "paula01\u{180e}",
    "paula01\u{fe0f}",
    "paula01\n",
    "paula01\u{0}",
    "paula01\u{85}",
    "paula01\u{2028}",
    "pa\u{0075}\u{0301}la01\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}",
    "",
    " ",
    "\u{2003}",
];

/// The server's reserved name, and look-alikes.
const RESERVED: &[&str] = &[
    "server",
    "SERVER",
    "Server",
    "sеrvеr",
    "ѕегѵег",
    "ｓｅｒｖｅｒ",
    "𝗌𝖾𝗋𝗏𝖾𝗋",
    "ser\u{200b}ver",
];

#[test]
fn nicknames_cannot_imitate_each_other() {
    let mut server = Server::start(&[]);
    let pair = Pair::start(server.address);
    let mut paula = Peer::secure(server.address);
    let welcome = paula.enter(&join("paula01"), &somebody(3));
    assert_eq!(welcome["type"], "welcome");
    // While Paula is present, and when she is not.
    let mut paula = Some(paula);
    for present in [true, false] {
        for (number, name) in (100..).zip(LOOK_ALIKES) {
            let why = (name, present);
            // With another key, or none.
            let mut squatter = Peer::secure(server.address);
            let answer = squatter.enter(&join(name), &somebody(number));
            assert_eq!(answer["code"], "nickname_in_use", "{why:?}: {answer}");
            assert_eq!(answer["message"], "Nickname already in use");
            assert!(squatter.last_words().is_empty());
            let mut nobody = Peer::plain(server.address);
            nobody.send(&join(name));
            nobody.is_refused("nickname_in_use", why);
            let mut basic = Peer::plain(server.address);
            basic.write(format!(
                r#"{{"type":"join","nickname":"{name}","clientID":"3"}}"#
            ));
            basic.socket.shutdown(std::net::Shutdown::Write).unwrap();
            let mut told = String::new();
            std::io::Read::read_to_string(&mut basic.socket, &mut told).unwrap();
            assert!(told.contains("Nickname already in use"), "{why:?}: {told}");
        }
        // Nor by a change of nickname.
        let mut squatter = Peer::secure(server.address);
        let welcome = squatter.enter(&join("quentin"), &somebody(99));
        assert_eq!(welcome["type"], "welcome");
        for name in LOOK_ALIKES {
            squatter.send(&serde_json::json!({"type": "nick", "nickname": name, "ref": 1}));
            let answer = squatter.next("error");
            let code = answer["code"].as_str().unwrap();
            assert!(
                ["nickname_in_use", "rate_limited"].contains(&code),
                "{name}: {answer}"
            );
        }
        paula.take();
    }
    // Some invisible characters are stripped before the comparison.
    for name in NO_NICKNAMES.iter().chain(RESERVED) {
        let mut squatter = Peer::plain(server.address);
        squatter.send(&join(name));
        let codes = squatter.last_words();
        let refused = codes == ["nickname_in_use"] || codes == ["bad_nickname"];
        assert!(refused, "{name}: {codes:?}");
    }
    // Paula gets her own nickname back.
    let mut paula = Peer::secure(server.address);
    let welcome = paula.enter(&join("paula01"), &somebody(3));
    assert_eq!(welcome["nickname"], "paula01", "{welcome}");
    pair.ends_unharmed("look-alikes");
    server.has_borne_it("look-alikes", bounds::FEW);
}

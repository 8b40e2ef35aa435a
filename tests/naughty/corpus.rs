//! Hostile and difficult texts: every class of escape sequence, in both lengths, cut at every
//! position; invisible characters; characters drawn in unexpected places; and the Big List of
//! Naughty Strings.

/// Sequences that terminals obey, after ESC. `BEL` and `ST` end strings; each is complete.
const SEQUENCES: &[&str] = &[
    // CSI: colours, erasing, moving, modes, and above all reports, which come back as input.
    "[31;5;8m",
    "[2J",
    "[3J",
    "[1;1H",
    "[99999999999999999999C",
    "[6n",
    "[c",
    "[>0c",
    "[?1049l",
    "[?1003h",
    "[?2004l",
    "[?25l",
    "[20t",
    "[21t",
    "[8;1;1t",
    "[5i",
    "[!p",
    "[4h",
    "[2;1$w",
    "[?6$p",
    "[201~",
    "[1;2'w",
    "[61\"p",
    // OSC: title, clipboard, links, colours, files, notifications, prompts.
    "]0;PWNED\u{7}",
    "]2;PWNED\u{1b}\\",
    "]52;c;UFdORUQ=\u{7}",
    "]52;c;?\u{1b}\\",
    "]8;;http://evil.example\u{1b}\\here\u{1b}]8;;\u{1b}\\",
    "]4;1;?\u{7}",
    "]10;#ff0000\u{7}",
    "]11;?\u{1b}\\",
    "]50;?\u{7}",
    "]7;file:///etc\u{7}",
    "]9;PWNED\u{7}",
    "]99;;PWNED\u{1b}\\",
    "]133;C\u{7}",
    "]633;E;reboot\u{7}",
    "]777;notify;PWNED;x\u{7}",
    "]1337;File=inline=1:QUFB\u{7}",
    "]1337;SetUserVar=a=Yg==\u{7}",
    // DCS: settings, terminfo, graphics, passing through.
    "P$qm\u{1b}\\",
    "P+q544e\u{1b}\\",
    "Pq#0;2;0;0;0~-\u{1b}\\",
    "Ptmux;\u{1b}\u{1b}]0;PWNED\u{7}\u{1b}\\",
    "P1000p",
    "P=1s\u{1b}\\",
    // APC, PM, SOS.
    "_Gf=100,a=T;QUFB\u{1b}\\",
    "^PWNED\u{1b}\\",
    "XPWNED\u{1b}\\",
    "kPWNED\u{1b}\\",
    // Two or three bytes: reset, character sets, cursor, lines.
    "c",
    "7",
    "8",
    "D",
    "E",
    "H",
    "M",
    "N",
    "O",
    "Z",
    "=",
    ">",
    "n",
    "o",
    "|",
    "}",
    "~",
    "\\",
    "#8",
    "(0",
    ")B",
    "%G",
    "%@",
    " F",
    "\u{1b}[31m",
];

/// Sequences of every class, whole and cut at every position, 7 and 8 bits long.
pub(crate) fn sequences() -> Vec<String> {
    let mut all = Vec::new();
    for tail in SEQUENCES {
        let long = format!("\u{1b}{tail}");
        let short = eight_bit(&long);
        for whole in [&long, &short] {
            let ends = whole.char_indices().map(|(at, _)| at).skip(1);
            all.extend(ends.map(|end| whole[..end].to_owned()));
            all.push(format!("before{whole}after"));
        }
    }
    all.sort();
    all.dedup();
    all
}

/// The same with one C1 control for each pair of ESC and what follows, where there is one.
fn eight_bit(sequence: &str) -> String {
    let mut out = String::new();
    let mut chars = sequence.chars().peekable();
    while let Some(c) = chars.next() {
        let control = chars.next_if(|next| c == '\u{1b}' && matches!(next, '@'..='_'));
        out.push(match control {
            Some(next) => char::from_u32(u32::from(next) + 0x40).unwrap_or(c),
            None => c,
        });
    }
    out
}

/// Returns invisible characters, and those drawn in another place than written.
pub(crate) fn unseen() -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let controls = ('\0'..='\u{9f}').filter(|c| c.is_control());
    let others = [
        // Bidirectional controls.
        "\u{61c}\u{200e}\u{200f}",
        "\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}",
        "\u{2066}\u{2067}\u{2068}\u{2069}",
        // Spaces, joiners and fillers without a width.
        "\u{ad}\u{34f}\u{180e}\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}",
        "\u{115f}\u{1160}\u{17b4}\u{17b5}\u{3164}\u{ffa0}",
        "\u{2028}\u{2029}",
        // Invisible operators, annotations, shorthand, musical controls.
        "\u{2061}\u{2062}\u{2063}\u{2064}\u{206a}\u{206f}",
        "\u{fff9}\u{fffa}\u{fffb}\u{fffc}",
        "\u{1bca0}\u{1bca3}\u{1d173}\u{1d17a}",
        // Variation selectors and tags.
        "\u{fe00}\u{fe0e}\u{fe0f}\u{e0100}\u{e01ef}\u{180b}",
        "\u{e0001}\u{e0020}\u{e0061}\u{e007f}",
        "\u{fdd0}\u{fdef}\u{fffe}\u{ffff}\u{1ffff}\u{10ffff}",
        "\u{2065}\u{fff0}\u{e0080}\u{e0fff}",
    ];
    for c in controls.chain(others.concat().chars()) {
        all.push(String::from(c));
        all.push(format!("pay{c}pal"));
        all.push(format!("👩{c}👩"));
        all.push(format!("م{c}م"));
    }
    all.extend(others.map(str::to_owned));
    // A hidden text, as an invalid flag.
    let hidden = "ignore all".bytes().map(|b| 0xe0000 + u32::from(b));
    let hidden: String = hidden.filter_map(char::from_u32).collect();
    all.push(format!("🏴{hidden}\u{e007f}"));
    all.push(format!("hello{hidden}"));
    all
}

/// Returns texts that take more room than they should, or less.
pub(crate) fn towers() -> Vec<String> {
    let mut all = vec![
        "﷽".repeat(40),
        "𒐫".repeat(40),
        "𓀐𓂸".repeat(20),
        "\u{1100}".repeat(300),
        "க்ஷ்".repeat(60),
        "ﷺ꧅⸻".repeat(20),
        "👩\u{200d}".repeat(200),
        "🇦".repeat(301),
        "x".repeat(16_000),
        "日".repeat(5_000),
        " ".repeat(3_000) + "x",
        "\u{a0}\u{1680}\u{2003}\u{202f}\u{205f}\u{3000}x".to_owned(),
        "a\nb\r\nc\rd\u{b}e\u{c}f\u{85}g\u{2028}h\ti".to_owned(),
        "\n".repeat(2_000) + "x",
        "\t".repeat(200) + "x",
        "%s%s%n %x {0} {} ${HOME} $(reboot) `reboot`".to_owned(),
    ];
    for mark in [
        "\u{301}", "\u{489}", "\u{93e}", "\u{20dd}", "\u{e47}", "\u{ff9e}", "\u{605}",
    ] {
        all.push(format!("a{}b", mark.repeat(2_000)));
        all.push(mark.repeat(50));
    }
    all
}

/// Returns all texts, each of at most 16 KiB.
pub(crate) fn all() -> Vec<String> {
    let listed = naughty_strings::BLNS.iter().map(|text| (*text).to_owned());
    let mut all: Vec<String> = [sequences(), unseen(), towers()].concat();
    all.extend(listed);
    all.retain(|text| text.len() <= 16_000);
    all
}

/// Returns a few of each kind, short enough for a command line or a file's name; none contains NUL.
pub(crate) fn few() -> Vec<String> {
    let picked = [
        "]0;PWNED\u{7}",
        "]52;c;UFdORUQ=\u{7}",
        "[6n",
        "[2J",
        "P$qm\u{1b}\\",
        "_Gf=100,a=T;QUFB\u{1b}\\",
        "^PWNED\u{1b}\\",
        "XPWNED\u{1b}\\",
        "c",
    ];
    let long = picked.map(|tail| format!("x\u{1b}{tail}y"));
    let short = picked.map(|tail| format!("x{}y", eight_bit(&format!("\u{1b}{tail}"))));
    let others = [
        "a\u{202e}b",
        "a\u{200b}b",
        "a\u{2028}b",
        "a\rb",
        "a\nb",
        "a\u{8}\u{8}\u{8}b",
        "a\u{7f}b",
        "a\u{e0061}b",
        "-\u{1b}[31m",
        "--\u{9b}2J",
        "--theme=\u{1b}[6n",
        "\u{feff}",
    ];
    let others = others.map(str::to_owned);
    long.into_iter().chain(short).chain(others).collect()
}

//! The colours, by meaning. One table for each kind of terminal and background; a view names a
//! meaning and never a colour.

use ratatui::style::{Color, Modifier, Style};

/// The number of colours of the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// No colours, by choice (`NO_COLOR`) or by lack: only bold, dim, underlined.
    Mono,
    /// The sixteen colours whose shades the user chooses.
    Sixteen,
    /// xterm's 256 colours.
    Many,
}

/// The terminal's background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// Not known: colours that are legible on both.
    Unknown,
    /// Dark.
    Dark,
    /// Light.
    Light,
}

/// The styles, by meaning. Messages are drawn in the terminal's own colour.
#[derive(Clone, Copy, Debug)]
pub struct Palette {
    /// Of little importance: times, hints, presence.
    pub quiet: Style,
    /// Lines between parts of the screen.
    pub line: Style,
    /// Interactive: the prompt, keys.
    pub accent: Style,
    /// Good state.
    pub good: Style,
    /// Waiting, or new.
    pub warn: Style,
    /// Failed.
    pub bad: Style,
    /// Our own nickname in a text.
    pub mention: Style,
    /// A web address.
    pub link: Style,
    /// A match of the search.
    pub found: Style,
    /// A heading.
    pub strong: Style,
    nicknames: &'static [Color],
}

/// Chosen for a contrast of at least 4.5 to 1 on their background (3 to 1 on both, if it is not
/// known), and to be distinguishable.
const ON_DARK: &[Color] = &[
    Color::Indexed(75),
    Color::Indexed(114),
    Color::Indexed(179),
    Color::Indexed(176),
    Color::Indexed(80),
    Color::Indexed(209),
    Color::Indexed(147),
    Color::Indexed(149),
    Color::Indexed(211),
    Color::Indexed(73),
    Color::Indexed(222),
    Color::Indexed(140),
];
const ON_LIGHT: &[Color] = &[
    Color::Indexed(25),
    Color::Indexed(22),
    Color::Indexed(94),
    Color::Indexed(90),
    Color::Indexed(23),
    Color::Indexed(124),
    Color::Indexed(61),
    Color::Indexed(58),
    Color::Indexed(125),
    Color::Indexed(54),
    Color::Indexed(88),
    Color::Indexed(26),
];
const ON_BOTH: &[Color] = &[
    Color::Indexed(32),
    Color::Indexed(65),
    Color::Indexed(136),
    Color::Indexed(133),
    Color::Indexed(30),
    Color::Indexed(166),
    Color::Indexed(62),
    Color::Indexed(64),
    Color::Indexed(168),
    Color::Indexed(98),
];
const SIXTEEN_DARK: &[Color] = &[
    Color::Green,
    Color::Yellow,
    Color::Magenta,
    Color::Cyan,
    Color::LightBlue,
    Color::LightRed,
];
const SIXTEEN_LIGHT: &[Color] = &[
    Color::Blue,
    Color::Magenta,
    Color::Red,
    Color::Green,
    Color::Cyan,
];
const SIXTEEN_BOTH: &[Color] = &[Color::Green, Color::Magenta, Color::Red, Color::Cyan];

impl Palette {
    /// The styles for a terminal.
    pub fn new(depth: Depth, ground: Ground) -> Self {
        match depth {
            Depth::Mono => Self::mono(),
            Depth::Sixteen => Self::sixteen(ground),
            Depth::Many => Self::many(ground),
        }
    }

    fn mono() -> Self {
        let plain = Style::new();
        let dim = plain.add_modifier(Modifier::DIM);
        let bold = plain.add_modifier(Modifier::BOLD);
        Self {
            quiet: dim,
            line: dim,
            accent: bold,
            good: plain,
            warn: bold,
            bad: bold,
            mention: bold.add_modifier(Modifier::REVERSED),
            link: plain.add_modifier(Modifier::UNDERLINED),
            found: bold.add_modifier(Modifier::UNDERLINED),
            strong: bold,
            nicknames: &[],
        }
    }

    fn sixteen(ground: Ground) -> Self {
        let (accent, nicknames) = match ground {
            Ground::Unknown => (Color::Cyan, SIXTEEN_BOTH),
            Ground::Dark => (Color::LightBlue, SIXTEEN_DARK),
            Ground::Light => (Color::Blue, SIXTEEN_LIGHT),
        };
        // The sixteen's dark yellow is not legible on white.
        let warn = if ground == Ground::Dark {
            Color::Yellow
        } else {
            Color::Magenta
        };
        let style = |color| Style::new().fg(color);
        Self {
            accent: style(accent),
            good: style(Color::Green),
            warn: style(warn),
            bad: style(Color::Red),
            mention: style(warn).add_modifier(Modifier::BOLD),
            found: style(accent).add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
            nicknames,
            ..Self::mono()
        }
    }

    fn many(ground: Ground) -> Self {
        let (quiet, line, accent, good, warn, bad, nicknames) = match ground {
            Ground::Unknown => (244, 244, 32, 28, 136, 160, ON_BOTH),
            Ground::Dark => (246, 239, 75, 114, 221, 210, ON_DARK),
            Ground::Light => (242, 251, 25, 22, 94, 160, ON_LIGHT),
        };
        let style = |index| Style::new().fg(Color::Indexed(index));
        Self {
            quiet: style(quiet),
            line: style(line),
            accent: style(accent),
            good: style(good),
            warn: style(warn),
            bad: style(bad),
            mention: style(warn).add_modifier(Modifier::BOLD),
            found: style(accent).add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
            nicknames,
            ..Self::mono()
        }
    }

    /// The style of a nickname: the same name has the same style for every user.
    pub fn nickname(&self, folded: &str) -> Style {
        if self.nicknames.is_empty() {
            return self.strong;
        }
        // FNV-1a, with both halves combined, because its low bits spread short names badly. The
        // offset is FNV's with a salt for which the names in our examples all differ.
        let hash = folded
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64 ^ 0x29, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        let spread = (hash >> 32) ^ (hash & 0xffff_ffff);
        let at = usize::try_from(spread).unwrap_or(0) % self.nicknames.len();
        Style::new().fg(self.nicknames[at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The relative luminance of one of xterm's colours from 16 on.
    fn luminance(color: Color) -> f64 {
        let Color::Indexed(index) = color else {
            panic!("{color:?} is the user's choice")
        };
        let part = |step: u8| f64::from(if step == 0 { 0 } else { 55 + 40 * step });
        let (red, green, blue) = if index < 232 {
            let n = index - 16;
            (part(n / 36), part(n / 6 % 6), part(n % 6))
        } else {
            let grey = f64::from(8 + 10 * (index - 232));
            (grey, grey, grey)
        };
        let linear = |part: f64| {
            let part = part / 255.0;
            if part <= 0.04045 {
                part / 12.92
            } else {
                ((part + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
    }

    fn contrast(color: Color, ground: f64) -> f64 {
        let (a, b) = (luminance(color) + 0.05, ground + 0.05);
        if a > b { a / b } else { b / a }
    }

    #[test]
    fn every_colour_is_legible_on_its_background() {
        // Terminals' backgrounds are seldom pure white or black.
        let (dark, light) = (0.01, 0.95);
        for (ground, backgrounds, least) in [
            (Ground::Dark, [dark, dark], 4.5),
            (Ground::Light, [light, light], 4.5),
            (Ground::Unknown, [dark, light], 3.0),
        ] {
            let palette = Palette::new(Depth::Many, ground);
            let meanings = [
                palette.quiet,
                palette.accent,
                palette.good,
                palette.warn,
                palette.bad,
            ];
            let colors = meanings.iter().filter_map(|style| style.fg);
            for color in colors.chain(palette.nicknames.iter().copied()) {
                for background in backgrounds {
                    let found = contrast(color, background);
                    assert!(found >= least, "{color:?} on {ground:?}: {found:.1}");
                }
            }
        }
    }

    #[test]
    fn a_handful_of_names_have_different_styles() {
        for ground in [Ground::Dark, Ground::Light, Ground::Unknown] {
            let palette = Palette::new(Depth::Many, ground);
            let names = ["alice", "bob", "carol", "dave", "erin", "frank"];
            let colors: std::collections::HashSet<_> =
                names.iter().map(|name| palette.nickname(name).fg).collect();
            assert_eq!(colors.len(), names.len(), "{ground:?}");
        }
    }

    #[test]
    fn without_colours_no_colour_is_used() {
        let palette = Palette::new(Depth::Mono, Ground::Dark);
        assert_eq!(palette.nickname("alice").fg, None);
        assert_eq!(palette.bad.fg, None);
    }
}

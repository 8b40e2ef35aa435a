//! The terminal's size, and what the environment variables say about it.

use std::env;

use crate::tui::{
    args::Theme,
    view::palette::{Depth, Ground},
};

/// The number of colours.
pub fn depth(no_color: bool) -> Depth {
    let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    let term = env::var("TERM").unwrap_or_default();
    depth_of(no_color || set("NO_COLOR"), set("COLORTERM"), &term)
}

fn depth_of(no_color: bool, colorterm: bool, term: &str) -> Depth {
    const SIXTEEN: &[&str] = &[
        "linux", "xterm", "screen", "rxvt", "ansi", "cygwin", "vt220",
    ];
    if no_color || matches!(term, "dumb" | "vt100" | "vt102") || term.ends_with("-mono") {
        Depth::Mono
    } else if term.contains("256color") || term.contains("direct") || colorterm {
        Depth::Many
    } else if SIXTEEN.contains(&term) || term.ends_with("-16color") || term.is_empty() {
        Depth::Sixteen
    } else {
        // Newer terminals have names of their own, and at least 256 colours.
        Depth::Many
    }
}

/// The background, as far as it is known without asking the terminal.
pub fn ground(theme: Theme) -> Ground {
    ground_of(theme, env::var("COLORFGBG").ok().as_deref())
}

fn ground_of(theme: Theme, colorfgbg: Option<&str>) -> Ground {
    match theme {
        Theme::Dark => return Ground::Dark,
        Theme::Light => return Ground::Light,
        Theme::Auto => {}
    }
    // "foreground;background", sometimes with something between them.
    let background = colorfgbg.and_then(|value| value.rsplit(';').next());
    match background.and_then(|number| number.parse::<u8>().ok()) {
        Some(7 | 9..=15) => Ground::Light,
        Some(0..=6 | 8) => Ground::Dark,
        _ => Ground::Unknown,
    }
}

/// The most columns and rows: more than any display has at the smallest font, so that a terminal
/// that reports nonsense costs no memory.
const SIZE_MAX: (u16, u16) = (1_000, 500);
/// The columns and rows if none are reported: those of the VT100.
const SIZE_DEFAULT: (u16, u16) = (80, 24);

/// The columns and rows of the terminal: as it reports them; if it does not, as over a serial line,
/// from the variables.
pub fn size() -> (u16, u16) {
    let told = crossterm::terminal::window_size().map_or((0, 0), |size| (size.columns, size.rows));
    size_of(told, |name| env::var(name).ok())
}

fn size_of(told: (u16, u16), variable: impl Fn(&str) -> Option<String>) -> (u16, u16) {
    let one = |told: u16, name: &str, default: u16, max: u16| {
        let told = Some(told).filter(|told| *told > 0);
        let count = told.or_else(|| {
            let count = variable(name)?.trim().parse().ok();
            count.filter(|count| (1..=max).contains(count))
        });
        count.unwrap_or(default).min(max)
    };
    (
        one(told.0, "COLUMNS", SIZE_DEFAULT.0, SIZE_MAX.0),
        one(told.1, "LINES", SIZE_DEFAULT.1, SIZE_MAX.1),
    )
}

/// Whether the terminal answers queries without showing them.
pub fn answers_queries() -> bool {
    let term = env::var("TERM").unwrap_or_default();
    !matches!(
        term.as_str(),
        "" | "linux" | "dumb" | "vt100" | "vt102" | "cygwin"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_read_from_the_variables() {
        for (no_color, colorterm, term, expected) in [
            (false, false, "xterm-256color", Depth::Many),
            (true, true, "xterm-256color", Depth::Mono),
            (false, false, "xterm", Depth::Sixteen),
            (false, true, "xterm", Depth::Many),
            (false, false, "linux", Depth::Sixteen),
            (false, false, "alacritty", Depth::Many),
            (false, false, "dumb", Depth::Mono),
            (false, false, "vt100", Depth::Mono),
        ] {
            assert_eq!(depth_of(no_color, colorterm, term), expected, "{term}");
        }
    }

    #[test]
    fn a_size_is_the_reported_one_then_the_variables_then_a_default() {
        let none = ["", ""];
        for (told, variables, expected) in [
            ((100, 30), ["70", "14"], (100, 30)),
            ((0, 0), none, (80, 24)),
            ((0, 0), ["70", "14"], (70, 14)),
            ((0, 30), none, (80, 30)),
            ((0, 30), ["70", "14"], (70, 30)),
            ((100, 0), ["70", " 14\n"], (100, 14)),
            ((0, 0), ["0", "-1"], (80, 24)),
            ((0, 0), ["wide", "99999999999"], (80, 24)),
            ((0, 0), ["1001", "501"], (80, 24)),
            ((1, 1), none, (1, 1)),
            ((65535, 65535), none, (1000, 500)),
        ] {
            let variable = |name: &str| {
                let [columns, lines] = variables;
                let value = if name == "COLUMNS" { columns } else { lines };
                (!value.is_empty()).then(|| value.to_owned())
            };
            assert_eq!(size_of(told, variable), expected, "{told:?} {variables:?}");
        }
    }

    #[test]
    fn the_background_comes_from_the_option_then_the_variable() {
        for (theme, variable, expected) in [
            (Theme::Light, Some("15;0"), Ground::Light),
            (Theme::Auto, Some("15;0"), Ground::Dark),
            (Theme::Auto, Some("0;15"), Ground::Light),
            (Theme::Auto, Some("0;default;15"), Ground::Light),
            (Theme::Auto, Some("0;default"), Ground::Unknown),
            (Theme::Auto, None, Ground::Unknown),
        ] {
            assert_eq!(ground_of(theme, variable), expected, "{variable:?}");
        }
    }
}

//! What the variables say about the terminal.

use std::env;

use crate::tui::{
    args::Theme,
    view::palette::{Depth, Ground},
};

/// How many colours there are.
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
        // Newer terminals have names of their own, and 256 colours at least.
        Depth::Many
    }
}

/// What the background is like, as far as it is known without asking.
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

/// Whether the terminal can be asked something without showing the question.
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
    fn colours_are_told_from_the_variables() {
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
    fn the_background_is_told_from_the_option_then_the_variable() {
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

//! The help: all keys, commands and signs from their tables, laid out for a width. The update must
//! know the number of rows, the view draws them.

use super::behavior::{Hint, KeyOutcome, LayerBehavior, Press, Rank, hint};
use crate::{
    text::{self, wrap::wrap},
    tui::{
        app::{escape::Escape, layout::Layout, pane::Pane},
        commands,
        keymap::{self, Action},
        signs,
    },
};

/// The width from which there are two columns.
const TWO_FROM: u16 = 92;
/// If less width than this is left beside the keys, explanations are below them.
const BESIDE_FROM: u16 = 16;
/// Columns that keys may take at any width.
const KEYS_MIN: u16 = 14;
/// Columns between keys and explanations.
const GAP: u16 = 2;

/// The state of the open help.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HelpScreen {
    /// The first row shown.
    pub top: u16,
}

impl LayerBehavior for HelpScreen {
    fn rank(&self) -> Rank {
        Rank::Dialog
    }

    fn handle_key(&mut self, press: Press, layout: &Layout) -> KeyOutcome {
        let height = layout.messages.height;
        let top_max = Help::new(layout).top_max(height);
        // The screen may have grown.
        let top = self.top.min(top_max);
        let page = height.saturating_sub(1).max(1);
        let top = match press.action {
            Some(Action::Up | Action::RowUp) => top.saturating_sub(1),
            Some(Action::Down | Action::RowDown) => top + 1,
            Some(Action::PageUp) => top.saturating_sub(page),
            Some(Action::PageDown) => top.saturating_add(page),
            Some(Action::Home | Action::Start) => 0,
            Some(Action::EndOfLine | Action::End) => top_max,
            Some(Action::Escape) => return KeyOutcome::Passed,
            Some(Action::Help | Action::Send) => return KeyOutcome::Close,
            _ if press.key.typed() == Some('q') => return KeyOutcome::Close,
            _ => top,
        };
        self.top = top.min(top_max);
        KeyOutcome::Taken
    }

    fn escape(&self, _pane: &Pane) -> Option<Escape> {
        Some(Escape::CloseDialog)
    }

    fn hints(&self) -> Option<Vec<Hint>> {
        Some(vec![
            hint(Action::Escape, "close"),
            hint(Action::PageDown, "more"),
        ])
    }
}

/// The help laid out for a screen.
#[derive(Debug)]
pub struct Help {
    /// Columns left of every column of the help.
    pub margin: u16,
    /// Width of a column, with its margin.
    pub width: u16,
    /// From left to right.
    pub columns: Vec<Column>,
}

/// One column of the help.
#[derive(Debug)]
pub struct Column {
    /// From top to bottom.
    pub rows: Vec<Row>,
    /// The column at which explanations begin.
    pub help_at: u16,
}

/// A row of the help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A heading.
    Heading(&'static str),
    /// Keys, and the part of the explanation beside them.
    Keys(String, String),
    /// An empty row before a heading.
    Nothing,
}

/// An entry of the help: keys and their explanation.
struct Line {
    keys: Vec<String>,
    help: &'static str,
}

/// A heading and its entries, which stay together.
struct Part {
    title: &'static str,
    lines: Vec<Line>,
}

impl Help {
    /// Lays the help out for a screen.
    pub fn new(layout: &Layout) -> Self {
        let width = layout.body().width;
        let margin = u16::from(width >= 32);
        let count = if width >= TWO_FROM { 2 } else { 1 };
        let width = width.saturating_sub(margin) / count;
        let columns = flow(parts(), usize::from(count))
            .iter()
            .map(|parts| Column::new(parts, width.saturating_sub(margin)))
            .collect();
        Self {
            margin,
            width,
            columns,
        }
    }

    /// The last row that may be on top, so that the last one is at the bottom.
    pub fn top_max(&self, height: u16) -> u16 {
        let longest = self.columns.iter().map(|column| column.rows.len()).max();
        u16::try_from(longest.unwrap_or(0))
            .unwrap_or(u16::MAX)
            .saturating_sub(height)
    }
}

impl Column {
    fn new(parts: &[Part], width: u16) -> Self {
        let lines = || parts.iter().flat_map(|part| &part.lines);
        let helps = lines().map(|line| columns(line.help)).max().unwrap_or(0);
        // Keys that are wider get a row of their own.
        let fits = |keys: &u16| *keys <= (width / 3).max(KEYS_MIN);
        let keys = |all: bool| {
            let keys = lines().map(|line| columns(&line.keys(all)));
            keys.filter(fits).max().unwrap_or(0)
        };
        // Without room for all keys of an entry, only the first is shown.
        let all = keys(true) + GAP + helps <= width;
        let beside = keys(all) + GAP;
        let below = beside + BESIDE_FROM > width;
        let help_at = if below { GAP.min(width) } else { beside };
        let mut rows = Vec::new();
        for part in parts {
            if !rows.is_empty() {
                rows.push(Row::Nothing);
            }
            rows.push(Row::Heading(part.title));
            for line in &part.lines {
                let mut keys = line.keys(all);
                if below || columns(&keys) + GAP > beside {
                    for row in wrap(&keys, usize::from(width.max(1))) {
                        rows.push(Row::Keys(row.to_text(&keys), String::new()));
                    }
                    keys.clear();
                }
                for row in wrap(line.help, usize::from(width.saturating_sub(help_at).max(1))) {
                    let help = row.to_text(line.help);
                    rows.push(Row::Keys(std::mem::take(&mut keys), help));
                }
            }
        }
        Self { rows, help_at }
    }
}

impl Line {
    fn of_command(command: &commands::Slash) -> Self {
        Self {
            keys: vec![command.usage()],
            help: command.help,
        }
    }

    fn keys(&self, all: bool) -> String {
        match self.keys.first() {
            Some(first) if !all => first.clone(),
            _ => self.keys.join("  "),
        }
    }
}

fn columns(text: &str) -> u16 {
    u16::try_from(text::width(text)).unwrap_or(u16::MAX)
}

fn parts() -> Vec<Part> {
    let mut parts: Vec<Part> = keymap::SECTIONS
        .iter()
        .map(|section| Part {
            title: section.title,
            lines: section
                .bindings
                .iter()
                .map(|binding| Line {
                    keys: binding.labels(),
                    help: binding.help,
                })
                .collect(),
        })
        .collect();
    let commands = commands::GROUPS.iter().map(|group| Part {
        title: group.title,
        lines: group.commands.iter().map(Line::of_command).collect(),
    });
    let mut commands: Vec<Part> = commands.collect();
    if let Some(first) = commands.first_mut() {
        first.lines.push(Line {
            keys: vec!["q!".to_owned()],
            help: "disconnect, from anywhere",
        });
    }
    let of_sign = |(sign, help): &signs::Sign| Line {
        keys: vec![(*sign).to_owned()],
        help,
    };
    let legends = signs::legends();
    let mut legends = legends.iter().map(|legend| Part {
        title: legend.title,
        lines: legend.signs.iter().map(of_sign).collect(),
    });
    // The states of the user's messages are looked up most: they are just below how to send.
    let below_talk = parts.len().min(1);
    parts.splice(below_talk..below_talk, legends.next());
    commands.extend(legends);
    // Editing keys are well known: they are last.
    let at = parts.len().saturating_sub(1);
    parts.splice(at..at, commands);
    parts
}

/// Distributes the parts over columns of about the same height.
fn flow(parts: Vec<Part>, columns: usize) -> Vec<Vec<Part>> {
    let height = |part: &Part| part.lines.len() + 2;
    let all: usize = parts.iter().map(height).sum();
    let mut flowed: Vec<Vec<Part>> = vec![Vec::new()];
    for part in parts {
        let done: usize = flowed
            .last()
            .map_or(0, |parts| parts.iter().map(height).sum());
        if flowed.len() < columns && done > 0 && done + height(&part) / 2 > all / columns {
            flowed.push(Vec::new());
        }
        if let Some(column) = flowed.last_mut() {
            column.push(part);
        }
    }
    flowed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::app::layout::LayoutRequest;

    #[test]
    fn no_explanation_is_cut_at_any_width() {
        let wishes = LayoutRequest {
            input_rows: 1,
            status_rows: 0,
            rooms: 1,
            members: 4,
            side: None,
        };
        for width in 12..=200 {
            let help = Help::new(&Layout::new(width, 24, wishes));
            for column in &help.columns {
                let mut text = String::new();
                for row in &column.rows {
                    if let Row::Keys(keys, help_text) = row {
                        assert!(columns(help_text) + column.help_at <= help.width, "{width}");
                        let end = if help_text.is_empty() {
                            help.width
                        } else {
                            column.help_at
                        };
                        let cut = width >= 20 && columns(keys) > end;
                        assert!(!cut, "{width}: {keys}");
                        // Rows are broken at blanks and slashes.
                        text += &help_text.replace(' ', "");
                    }
                }
                for part in keymap::SECTIONS {
                    let here = column.rows.contains(&Row::Heading(part.title));
                    for binding in part.bindings.iter().filter(|_| here && width >= 20) {
                        let words = binding.help.replace(' ', "");
                        assert!(text.contains(&words), "{width}: {words}");
                    }
                }
            }
        }
    }
}

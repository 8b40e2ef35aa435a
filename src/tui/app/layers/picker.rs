//! A list to choose from by typing: a box over the conversation, or on a small screen a view of its
//! own. Its entries stay in their order while it is open; what is typed narrows them down.

use nucleo_matcher::{
    Config, Matcher, Utf32Str,
    pattern::{AtomKind, CaseMatching, Normalization, Pattern},
};
use ratatui::layout::{Position, Rect};

use super::{
    behavior::{Hint, KeyOutcome, LayerBehavior, Press, Rank, hint},
    server_list::{Listed, PageStart, ServerList},
};
use crate::{
    protocol::{Nickname, RoomId, RoomName, UserId},
    tui::{
        app::{
            composer::Composer,
            escape::Escape,
            layout::Layout,
            pane::{Pane, PaneKey},
            room_list::News,
        },
        commands::Slash,
        input::Edit,
        keymap::Action,
    },
};

/// The sizes of the screen from which it is a box.
const BOX_FROM: (u16, u16) = (60, 14);
/// The most columns of the box, its frame included.
const BOX_MAX: u16 = 72;
/// The most entries that the box shows at once.
const BOX_ROWS_MAX: u16 = 12;
/// The least rows for entries in the box, if the screen has as many.
const BOX_ROWS_MIN: u16 = 5;
/// Rows of the box around its entries: frame, what is typed, and a rule.
const BOX_AROUND: u16 = 4;
/// The rows in it that say what can be typed first, and the rule above.
const BOX_SIGNS: u16 = 2;

/// The most entries of a list; no more pages are requested then.
const ENTRIES_MAX: usize = 2_000;
/// A page is requested if the chosen entry is one of this many last.
const NEAR_END: usize = 12;

/// A list to choose from.
#[derive(Debug)]
pub struct Picker {
    /// What it is for.
    pub kind: PickerKind,
    /// What the user has typed to find an entry.
    pub writing: Composer,
    /// All entries, in order.
    entries: Vec<PickerEntry>,
    /// The indices of the entries that match what is typed.
    shown: Vec<usize>,
    /// The index of the chosen one among those.
    selected: usize,
    /// The index of the first of those on the screen.
    top: usize,
    /// The rows of the box for entries, whatever is typed and comes.
    box_rows: u16,
    /// What the server adds to the entries.
    server: ServerList,
}

/// What a list is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PickerKind {
    /// To go to a room, a person or a command.
    GoTo,
    /// To enter a room.
    Rooms,
    /// To write to a member of a room.
    Members(RoomId),
    /// To go to a message that mentions the user.
    Inbox,
}

impl PickerKind {
    /// The heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::GoTo => "Go to",
            Self::Rooms => "Rooms",
            Self::Members(_) => "Members",
            Self::Inbox => "Messages that mention you",
        }
    }

    /// What Enter does.
    fn enter(self) -> &'static str {
        match self {
            Self::GoTo | Self::Inbox => "go there",
            Self::Rooms => "join or go there",
            Self::Members(_) => "write to them",
        }
    }

    /// What can be typed.
    pub fn placeholder(self) -> &'static str {
        match self {
            Self::GoTo | Self::Rooms | Self::Members(_) => "type a part of a name",
            Self::Inbox => "type a part of a room, name or text",
        }
    }

    /// The kinds of entries: the sign that is typed first, and a word for it.
    pub fn signs(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::GoTo => KINDS,
            Self::Rooms | Self::Members(_) | Self::Inbox => &[],
        }
    }

    fn listed(self) -> Listed {
        match self {
            Self::GoTo => Listed::People(None),
            Self::Rooms => Listed::Rooms,
            Self::Members(room) => Listed::People(Some(room)),
            Self::Inbox => Listed::Inbox,
        }
    }
}

/// An entry of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PickerEntry {
    /// The sign of its kind; typed first, it leaves the entries of that kind.
    pub sigil: &'static str,
    /// Its name.
    pub name: String,
    /// What is new there.
    pub news: News,
    /// A remark about it.
    pub note: String,
    /// When something last happened there.
    pub when: String,
    /// What it stands for.
    pub choice: Choice,
}

/// What was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// A room, to go there.
    Room(PaneKey),
    /// A person, to talk to.
    Person(UserId, Nickname),
    /// A command, to run or to complete.
    Command(&'static Slash),
    /// A room that can be found, to go there or to enter it.
    Listed(RoomId, RoomName),
    /// A message, by its room and number.
    Message(RoomId, u64),
}

impl Choice {
    /// Whether both stand for the same; a person may have changed their nickname.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Person(one, _), Self::Person(another, _)) => one == another,
            (Self::Listed(one, _), Self::Listed(another, _)) => one == another,
            _ => self == other,
        }
    }
}

/// The kinds of entries: the sign that is typed first, and a word for it.
const KINDS: &[(&str, &str)] = &[(ROOM, "rooms"), (PERSON, "people"), (COMMAND, "commands")];
/// The sign of rooms.
pub const ROOM: &str = "#";
/// The sign of people.
pub const PERSON: &str = "@";
/// The sign of commands, which are listed only after it.
pub const COMMAND: &str = ">";

/// The position of the parts of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PickerAreas {
    /// All of it.
    pub whole: Rect,
    /// Whether there is a frame around it.
    pub framed: bool,
    /// The row of the heading, if it is not in the frame.
    pub title: Rect,
    /// The row of what is typed.
    pub writing: Rect,
    /// The entries.
    pub list: Rect,
    /// The row that says what can be typed first.
    pub kinds: Rect,
}

impl LayerBehavior for Picker {
    fn rank(&self) -> Rank {
        Rank::Dialog
    }

    fn handle_key(&mut self, press: Press, layout: &Layout) -> KeyOutcome {
        let height = usize::from(self.areas(layout).list.height);
        let page = isize::try_from(height.saturating_sub(1).max(1)).unwrap_or(1);
        match press.action {
            Some(Action::Escape) => return KeyOutcome::Passed,
            Some(Action::GoTo) if self.kind == PickerKind::GoTo => return KeyOutcome::Close,
            Some(Action::Inbox) if self.kind == PickerKind::Inbox => return KeyOutcome::Close,
            Some(Action::Send) => match self.chosen() {
                Some(entry) => return KeyOutcome::Choose(entry.choice.clone()),
                None => return KeyOutcome::Taken,
            },
            Some(Action::Up | Action::RowUp | Action::PreviousRoom) => self.move_by(-1),
            Some(Action::Down | Action::RowDown | Action::NextRoom) => self.move_by(1),
            Some(Action::PageUp) => self.move_by(-page),
            Some(Action::PageDown) => self.move_by(page),
            Some(Action::Edit(edit)) => self.edit(edit),
            Some(Action::Home) => self.edit(Edit::Home),
            Some(Action::EndOfLine) => self.edit(Edit::End),
            Some(_) => {}
            None => {
                if let Some(c) = press.key.typed() {
                    self.insert(c.encode_utf8(&mut [0; 4]));
                }
            }
        }
        self.top = self.first(height);
        KeyOutcome::Taken
    }

    fn escape(&self, _pane: &Pane) -> Option<Escape> {
        Some(Escape::CloseDialog)
    }

    fn hints(&self) -> Option<Vec<Hint>> {
        Some(vec![
            hint(Action::Send, self.kind.enter()),
            hint(Action::Escape, "back"),
            hint(Action::Down, "next"),
            hint(Action::Up, "previous"),
        ])
    }
}

impl Picker {
    /// A list of these entries, with the first one chosen; the server may add others.
    pub fn new(kind: PickerKind, entries: Vec<PickerEntry>) -> Self {
        let first = entries.iter().filter(|entry| entry.sigil != COMMAND);
        let first = u16::try_from(first.count()).unwrap_or(u16::MAX);
        let box_rows = match kind {
            PickerKind::GoTo => first.clamp(BOX_ROWS_MIN, BOX_ROWS_MAX),
            PickerKind::Rooms | PickerKind::Members(_) | PickerKind::Inbox => BOX_ROWS_MAX,
        };
        let mut picker = Self {
            kind,
            writing: Composer::default(),
            entries,
            shown: Vec::new(),
            selected: 0,
            top: 0,
            box_rows,
            server: ServerList::new(kind.listed()),
        };
        picker.narrow();
        picker
    }

    /// Inserts a text at the cursor.
    pub fn insert(&mut self, text: &str) {
        let _too_long_is_left_out = self.writing.insert(text);
        self.narrow();
    }

    fn edit(&mut self, edit: Edit) {
        let before = self.writing.text().to_owned();
        let _shorter_always_fits = self.writing.edit(edit);
        if self.writing.text() != before {
            self.narrow();
        }
    }

    /// Replaces the entries that stand for the same thing.
    pub fn refresh(&mut self, entries: Vec<PickerEntry>) {
        for entry in entries {
            let mut held = self.entries.iter_mut();
            if let Some(held) = held.find(|held| held.choice.is_same(&entry.choice)) {
                *held = entry;
            }
        }
    }

    /// The sign that is typed first, if one is, and the words.
    fn typed(&self) -> (Option<&'static str>, &str) {
        let text = self.writing.text();
        let mut signs = self.kind.signs().iter().map(|(sign, _)| *sign);
        let kind = signs.find(|sign| text.starts_with(sign));
        (kind, text[kind.map_or(0, str::len)..].trim())
    }

    /// What to ask the server for now, if anything: the list, the words, and where the page begins.
    pub fn wanted(&self) -> Option<(Listed, String, PageStart)> {
        let (sign, words) = self.typed();
        let listed = self.server.listed;
        let words = match (self.kind, sign) {
            (PickerKind::GoTo, Some(ROOM | COMMAND)) => return None,
            // The server can't search it.
            (PickerKind::Inbox, _) => "",
            _ => words,
        };
        let near_end = self.selected + NEAR_END >= self.shown.len();
        if self.entries.len() >= ENTRIES_MAX {
            return None;
        }
        let start = self.server.wanted(words, near_end)?;
        Some((listed, words.to_owned(), start))
    }

    /// Notes a request to the server.
    pub fn ask(&mut self, request: u64, words: &str) {
        self.server.ask(request, words);
    }

    /// Takes a page from the server, and where the next one begins; or why there is none. The chosen
    /// entry stays, if the user has chosen it.
    pub fn take(
        &mut self,
        request: u64,
        page: Result<(Vec<PickerEntry>, Option<PageStart>), String>,
    ) {
        let (entries, next) = match page {
            Ok((entries, next)) => (entries, Ok(next)),
            Err(why) => (Vec::new(), Err(why)),
        };
        if !self.server.answered(request, next) {
            return;
        }
        for entry in entries {
            let mut held = self.entries.iter();
            if !held.any(|held| held.choice.is_same(&entry.choice)) {
                self.entries.push(entry);
            }
        }
        let chosen = self.shown.get(self.selected).copied();
        let (selected, top) = (self.selected, self.top);
        self.narrow();
        if selected > 0
            && let Some(at) = self.shown.iter().position(|shown| Some(*shown) == chosen)
        {
            self.selected = at;
            self.top = (top + at).saturating_sub(selected);
        }
    }

    /// What to say if no entry matches.
    pub fn nothing(&self) -> &str {
        match (&self.server.failed, self.kind) {
            _ if self.kind != PickerKind::GoTo && self.server.is_loading() => "loading …",
            (Some(why), kind) if kind != PickerKind::GoTo => why,
            (_, PickerKind::Inbox) if self.entries.is_empty() => "Nothing mentions you",
            _ => "Nothing has such a name",
        }
    }

    /// Finds the entries that match what is typed, the best first.
    fn narrow(&mut self) {
        let (kind, words) = self.typed();
        let of_kind = |entry: &PickerEntry| match kind {
            Some(sigil) => entry.sigil == sigil,
            None => entry.sigil != COMMAND,
        };
        let in_order = self.kind == PickerKind::Inbox;
        let pattern = Pattern::new(
            words,
            CaseMatching::Ignore,
            Normalization::Smart,
            AtomKind::Fuzzy,
        );
        let mut config = Config::DEFAULT;
        config.prefer_prefix = true;
        let mut matcher = Matcher::new(config);
        let mut characters = Vec::new();
        let mut found: Vec<(u32, usize)> = Vec::new();
        for (index, entry) in self.entries.iter().enumerate() {
            let name = match self.kind {
                PickerKind::Inbox => format!("{} {}", entry.name, entry.note),
                PickerKind::GoTo | PickerKind::Rooms | PickerKind::Members(_) => entry.name.clone(),
            };
            let name = Utf32Str::new(&name, &mut characters);
            if of_kind(entry)
                && let Some(score) = pattern.score(name, &mut matcher)
            {
                // Messages stay in the order of their times.
                found.push((if in_order { 0 } else { score }, index));
            }
        }
        found.sort_by_key(|(score, index)| (u32::MAX - score, *index));
        self.shown = found.into_iter().map(|(_, index)| index).collect();
        (self.selected, self.top) = (0, 0);
    }

    /// Chooses another entry, this many further down.
    pub fn move_by(&mut self, entries: isize) {
        let last = self.shown.len().saturating_sub(1);
        self.selected = self.selected.saturating_add_signed(entries).min(last);
    }

    /// The index of the first entry on the screen, among those that match.
    fn first(&self, height: usize) -> usize {
        let lowest = (self.selected + 1).saturating_sub(height.max(1));
        self.top.clamp(lowest, self.selected)
    }

    /// The chosen entry.
    fn chosen(&self) -> Option<&PickerEntry> {
        self.shown.get(self.selected).map(|&at| &self.entries[at])
    }

    /// The entries on the screen, and whether each is the chosen one.
    pub fn rows(&self, height: u16) -> impl Iterator<Item = (&PickerEntry, bool)> + Clone {
        let height = usize::from(height);
        let first = self.first(height);
        let shown = self.shown.iter().enumerate().skip(first).take(height);
        shown.map(|(place, &at)| (&self.entries[at], place == self.selected))
    }

    /// The outcome of a click.
    pub fn handle_click(&mut self, at: Position, layout: &Layout) -> KeyOutcome {
        let areas = self.areas(layout);
        if !areas.whole.contains(at) {
            return KeyOutcome::Close;
        }
        if !areas.list.contains(at) {
            return KeyOutcome::Taken;
        }
        let row = usize::from(at.y - areas.list.y);
        let clicked = self.rows(areas.list.height).nth(row);
        clicked.map_or(KeyOutcome::Taken, |(entry, _)| {
            KeyOutcome::Choose(entry.choice.clone())
        })
    }

    /// The position of its parts on a screen.
    pub fn areas(&self, layout: &Layout) -> PickerAreas {
        let screen = layout.screen;
        let row = |area: Rect, y: u16, height: u16| Rect {
            y: area.y + y.min(area.height),
            height: height.min(area.height.saturating_sub(y)),
            ..area
        };
        if screen.width >= BOX_FROM.0 && screen.height >= BOX_FROM.1 {
            // Its size is the same whatever is typed.
            let signs = if self.kind.signs().is_empty() {
                0
            } else {
                BOX_SIGNS
            };
            let around = BOX_AROUND + signs;
            let rows = self.box_rows.min(screen.height - around - 2);
            let width = (screen.width - 4).min(BOX_MAX);
            let height = rows + around;
            let whole = Rect {
                x: (screen.width - width) / 2,
                y: (screen.height - height) / 3,
                width,
                height,
            };
            let inner = Rect {
                x: whole.x + 1,
                y: whole.y + 1,
                width: width - 2,
                height: height - 2,
            };
            return PickerAreas {
                whole,
                framed: true,
                title: Rect::default(),
                writing: row(inner, 0, 1),
                list: row(inner, 2, rows),
                kinds: row(inner, rows + 3, signs.min(1)),
            };
        }
        let whole = Rect {
            height: screen.height - layout.hint.height,
            ..screen
        };
        let title = u16::from(whole.height >= 6);
        let kinds = u16::from(whole.height >= 9 && !self.kind.signs().is_empty());
        let rows = whole.height.saturating_sub(title + 1 + kinds);
        PickerAreas {
            whole,
            framed: false,
            title: row(whole, 0, title),
            writing: row(whole, title, 1),
            list: row(whole, title + 1, rows),
            kinds: row(whole, title + 1 + rows, kinds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(sigil: &'static str, name: &str) -> PickerEntry {
        PickerEntry {
            sigil,
            name: name.to_owned(),
            news: News::Nothing,
            note: String::new(),
            when: String::new(),
            choice: Choice::Room(PaneKey {
                server: name.to_owned(),
                room: RoomId::LOBBY,
            }),
        }
    }

    #[test]
    fn what_is_typed_narrows_the_list() {
        let all = [
            (ROOM, "lobby"),
            (ROOM, "build"),
            (ROOM, "build-arm"),
            (ROOM, "räume"),
            (ROOM, "日本語"),
            (PERSON, "bob"),
            (PERSON, "Bertram"),
            (COMMAND, "/ban NAME"),
            (COMMAND, "/bans"),
        ];
        for (typed, expected) in [
            ("", "lobby build build-arm räume 日本語 bob Bertram"),
            ("bu", "build build-arm"),
            ("BU", "build build-arm"),
            ("arm", "build-arm"),
            ("bd", "build build-arm"),
            ("arm build", "build-arm"),
            ("b", "build build-arm bob Bertram lobby"),
            ("raume", "räume"),
            ("本", "日本語"),
            ("#b", "build build-arm lobby"),
            ("@", "bob Bertram"),
            ("@ ber", "Bertram"),
            (">", "/ban NAME /bans"),
            ("> bans", "/bans"),
            (">bob", ""),
            ("xyz", ""),
            ("^b$", ""),
        ] {
            let entries = all.map(|(sigil, name)| entry(sigil, name));
            let mut picker = Picker::new(PickerKind::GoTo, entries.to_vec());
            picker.insert(typed);
            let names: Vec<_> = picker.rows(20).map(|(entry, _)| &*entry.name).collect();
            assert_eq!(names.join(" "), expected, "{typed:?}");
        }
    }

    #[test]
    fn the_chosen_entry_stays_on_the_screen() {
        let names = (0..20).map(|n| n.to_string());
        let mut picker = Picker::new(
            PickerKind::GoTo,
            names.map(|name| entry(ROOM, &name)).collect(),
        );
        let mut shown = |by: isize| {
            picker.move_by(by);
            picker.top = picker.first(3);
            let rows = picker.rows(3);
            let rows = rows
                .map(|(entry, chosen)| format!("{}{}", if chosen { ">" } else { "" }, entry.name));
            rows.collect::<Vec<_>>().join(" ")
        };
        for (by, expected) in [
            (0, ">0 1 2"),
            (-1, ">0 1 2"),
            (2, "0 1 >2"),
            (1, "1 2 >3"),
            (-1, "1 >2 3"),
            (100, "17 18 >19"),
            (-2, ">17 18 19"),
            (-1, ">16 17 18"),
        ] {
            assert_eq!(shown(by), expected, "{by}");
        }
    }
}

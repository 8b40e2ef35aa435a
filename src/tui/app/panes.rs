//! The panes of the screen, one for each room of a server, and the focus.

use std::ops::{Index, IndexMut};

use super::pane::{Pane, PaneKey};
use crate::protocol::RoomInfo;

/// The panes. The one with the focus is on the screen and takes what is typed. Never empty.
#[derive(Debug)]
pub struct Panes {
    list: Vec<Pane>,
    focus: usize,
    /// The pane that had the focus before.
    before: Option<PaneKey>,
}

impl Panes {
    /// A single pane with the focus.
    pub fn new(first: Pane) -> Self {
        Self {
            list: vec![first],
            focus: 0,
            before: None,
        }
    }

    /// The index of the pane that has the focus.
    pub fn focus(&self) -> usize {
        self.focus
    }

    /// The pane that has the focus.
    pub fn focused(&self) -> &Pane {
        &self.list[self.focus]
    }

    /// The pane that has the focus, mutable.
    pub fn focused_mut(&mut self) -> &mut Pane {
        &mut self.list[self.focus]
    }

    /// Gives a pane the focus.
    pub(super) fn set_focus(&mut self, at: usize) {
        if at != self.focus && at < self.list.len() {
            self.before = Some(self.focused().key.clone());
            self.focus = at;
        }
    }

    /// The index of the pane that had the focus before, if there was one.
    pub fn before(&self) -> Option<usize> {
        self.find(self.before.as_ref()?)
    }

    /// The number of panes.
    pub fn count(&self) -> usize {
        self.list.len()
    }

    /// Whether there is more than one pane.
    pub fn several(&self) -> bool {
        self.list.len() > 1
    }

    /// The index of a room's pane.
    pub fn find(&self, key: &PaneKey) -> Option<usize> {
        self.list.iter().position(|pane| pane.key == *key)
    }

    /// The index of a room's pane; it is added if there is none.
    pub fn open(&mut self, key: &PaneKey) -> usize {
        if let Some(at) = self.find(key) {
            return at;
        }
        self.list.push(Pane::new(key.clone(), RoomInfo::default()));
        self.list.len() - 1
    }

    /// Removes a room's pane, unless it is the only one. If it had the focus, the first pane gets it.
    /// Returns the pane, and whether it had the focus.
    pub fn close(&mut self, key: &PaneKey) -> Option<(Pane, bool)> {
        let at = self.find(key).filter(|_| self.list.len() > 1)?;
        let closed = self.list.remove(at);
        let had_focus = at == self.focus;
        if had_focus {
            self.focus = 0;
        } else if at < self.focus {
            self.focus -= 1;
        }
        Some((closed, had_focus))
    }

    /// All panes.
    pub fn iter(&self) -> impl Iterator<Item = &Pane> {
        self.list.iter()
    }

    /// All panes, mutable.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Pane> {
        self.list.iter_mut()
    }
}

impl Index<usize> for Panes {
    type Output = Pane;

    fn index(&self, at: usize) -> &Pane {
        &self.list[at]
    }
}

impl IndexMut<usize> for Panes {
    fn index_mut(&mut self, at: usize) -> &mut Pane {
        &mut self.list[at]
    }
}

//! The panes of the screen, one for each room of a server, and the focus.

use std::ops::{Index, IndexMut};

use super::pane::{Pane, PaneKey};

/// The panes. The one with the focus is on the screen and takes what is typed. Never empty.
#[derive(Debug)]
pub struct Panes {
    list: Vec<Pane>,
    focus: usize,
}

impl Panes {
    /// A single pane with the focus.
    pub fn new(first: Pane) -> Self {
        Self {
            list: vec![first],
            focus: 0,
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

    /// The index of a room's pane; it is added if there is none.
    pub fn open(&mut self, key: &PaneKey) -> usize {
        if let Some(at) = self.list.iter().position(|pane| pane.key == *key) {
            return at;
        }
        self.list.push(Pane::new(key.clone()));
        self.list.len() - 1
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

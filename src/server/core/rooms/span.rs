//! Ranges of a room's numbers that a user may read.

use smallvec::{SmallVec, smallvec};

/// Numbers from `from` to `to`, both included. Empty if `to` is less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The lowest number.
    pub from: u64,
    /// The highest number; [`Span::OPEN`]: it has no end yet.
    pub to: u64,
}

impl Span {
    /// The end of a span that goes on.
    pub const OPEN: u64 = u64::MAX;
    /// All numbers.
    pub const ALL: Self = Self::open(1);

    /// All numbers from one on.
    pub const fn open(from: u64) -> Self {
        Self {
            from,
            to: Self::OPEN,
        }
    }

    /// Whether it goes on.
    pub fn is_open(self) -> bool {
        self.to == Self::OPEN
    }

    /// Whether it holds no number.
    pub fn is_empty(self) -> bool {
        self.to < self.from
    }
}

/// The numbers of a room's entries that a user may read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visible(SmallVec<[Span; 1]>);

impl Visible {
    /// All.
    pub fn all() -> Self {
        Self(smallvec![Span::ALL])
    }

    /// None.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// The numbers in any of these spans, which may overlap.
    pub fn of(spans: impl IntoIterator<Item = Span>) -> Self {
        let spans = spans.into_iter().filter(|span| !span.is_empty());
        let mut spans: SmallVec<[Span; 4]> = spans.collect();
        spans.sort_unstable_by_key(|span| span.from);
        let mut merged: SmallVec<[Span; 1]> = SmallVec::new();
        for span in spans {
            match merged.last_mut() {
                Some(last) if span.from <= last.to.saturating_add(1) => {
                    last.to = last.to.max(span.to);
                }
                _ => merged.push(span),
            }
        }
        Self(merged)
    }

    /// The ranges, in order, with a gap between each two.
    pub fn ranges(&self) -> &[Span] {
        &self.0
    }

    /// Whether every number is visible.
    pub fn is_all(&self) -> bool {
        *self.0 == [Span::ALL]
    }

    /// Whether a number is visible.
    pub fn contains(&self, seq: u64) -> bool {
        self.within(seq, seq).next().is_some()
    }

    /// The visible ranges from one number to another, both included, in order.
    pub fn within(&self, from: u64, to: u64) -> impl DoubleEndedIterator<Item = Span> {
        let first = self.0.partition_point(|span| span.to < from);
        let cut = move |span: &Span| Span {
            from: span.from.max(from),
            to: span.to.min(to),
        };
        self.0[first..]
            .iter()
            .map(cut)
            .filter(|span| !span.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(from: u64, to: u64) -> Span {
        Span { from, to }
    }

    #[test]
    fn ranges_are_in_order_and_apart() {
        let seen = Visible::of([
            Span::open(40),
            span(1, 3),
            span(9, 8),
            span(2, 5),
            span(6, 7),
            span(20, 30),
        ]);
        assert_eq!(seen.ranges(), [span(1, 7), span(20, 30), Span::open(40)]);
        for (seq, expected) in [
            (1, true),
            (7, true),
            (8, false),
            (19, false),
            (20, true),
            (39, false),
            (u64::MAX, true),
        ] {
            assert_eq!(seen.contains(seq), expected, "{seq}");
        }
        let within = |from, to| seen.within(from, to).collect::<Vec<_>>();
        assert_eq!(within(5, 50), [span(5, 7), span(20, 30), span(40, 50)]);
        assert_eq!(within(8, 19), []);
        assert_eq!(within(25, 26), [span(25, 26)]);
        assert_eq!(within(26, 25), []);
    }

    #[test]
    fn all_and_nothing_are_told_apart() {
        assert!(Visible::all().is_all() && Visible::all().contains(1));
        assert!(!Visible::nothing().is_all() && !Visible::nothing().contains(1));
        assert!(Visible::of([span(1, 9), Span::open(4)]).is_all());
    }
}

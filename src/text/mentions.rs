//! Finds the places of a text that may mention somebody: `@` and a nickname.
//!
//! A nickname may hold spaces and punctuation, so where it ends is known only to those who know the
//! nicknames: each place has a list of possible ones, the longest first.

use unicode_segmentation::UnicodeSegmentation;

/// The word that mentions everybody in a room.
pub const EVERYONE: &str = "room";

/// Most possible nicknames at one place.
const CANDIDATES_MAX: usize = 16;

/// A place that may mention somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// Where the `@` stands, in bytes.
    pub at: usize,
    /// The possible nicknames behind it, the longest first.
    pub names: Vec<&'a str>,
}

/// The places of a text that may mention somebody. `bytes_max`: the bytes of the longest nickname.
pub fn places(text: &str, bytes_max: usize) -> impl Iterator<Item = Place<'_>> {
    let ats = memchr::memchr_iter(b'@', text.as_bytes());
    ats.filter_map(move |at| {
        let before = text[..at].chars().next_back();
        // An address of electronic mail mentions nobody.
        if before.is_some_and(char::is_alphanumeric) {
            return None;
        }
        let names = names(&text[at + 1..], bytes_max);
        (!names.is_empty()).then_some(Place { at, names })
    })
}

/// The beginnings of a text that a nickname may be.
fn names(text: &str, bytes_max: usize) -> Vec<&str> {
    let mut ends = Vec::new();
    let mut inside = false;
    for (at, cluster) in text.grapheme_indices(true) {
        let is_word = cluster.chars().next().is_some_and(char::is_alphanumeric);
        if at > bytes_max || at == 0 && cluster.trim().is_empty() {
            break;
        }
        // A nickname ends with a word, or with what stands behind one without a space.
        if inside && !is_word {
            ends.push(at);
        }
        if ends.len() == CANDIDATES_MAX || cluster.contains('\n') {
            break;
        }
        inside = !cluster.trim().is_empty();
    }
    if inside && text.len() <= bytes_max && !text.contains('\n') {
        ends.push(text.len());
    }
    ends.dedup();
    ends.into_iter().rev().map(|end| &text[..end]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(usize, Vec<&str>)> {
        let places = places(text, 128);
        places.map(|place| (place.at, place.names)).collect()
    }

    #[test]
    fn a_place_is_an_at_sign_before_a_word() {
        for nothing in ["", "no", "bob@example.org", "@", "@ bob", "a @\nb"] {
            assert_eq!(found(nothing), [], "{nothing}");
        }
        assert_eq!(found("@bob"), [(0, vec!["bob"])]);
        assert_eq!(found("@bob\nlook"), [(0, vec!["bob"])]);
        assert_eq!(found("@bob \n@b\r\n"), [(0, vec!["bob"]), (6, vec!["b"])]);
        assert_eq!(found("(@bob)"), [(1, vec!["bob)", "bob"])]);
        assert_eq!(found("@bob's"), [(0, vec!["bob's", "bob"])]);
        assert_eq!(
            found("@a, @b"),
            [(0, vec!["a, @b", "a,", "a"]), (4, vec!["b"])]
        );
    }

    #[test]
    fn a_nickname_may_hold_spaces_and_marks() {
        assert_eq!(
            found("@Anna-Lena ö, hi"),
            [(
                0,
                vec![
                    "Anna-Lena ö, hi",
                    "Anna-Lena ö,",
                    "Anna-Lena ö",
                    "Anna-Lena",
                    "Anna"
                ]
            )]
        );
        assert_eq!(found("hello @日本 \nx"), [(6, vec!["日本"])]);
    }

    #[test]
    fn a_place_has_a_bounded_number_of_nicknames() {
        let long = format!("@{}", "a ".repeat(1_000));
        assert!(found(&long)[0].1.len() <= CANDIDATES_MAX);
        let places = places("@abcdef", 3).count();
        assert_eq!(places, 0, "no nickname is so long");
    }
}

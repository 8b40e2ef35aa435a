//! Every store's pages, and what it reads and finds.

use super::*;

#[test]
fn reading_goes_on_where_one_stands() {
    each(|store| {
        for counter in 1..=5 {
            append(store, 1, [message(1, counter)]);
        }
        let one = store.read(LOBBY, 1, 0).unwrap().bytes().len();
        for (from, bytes_max, expected) in [
            (1, 100_000, (1, 6)),
            (3, 100_000, (3, 6)),
            (0, 100_000, (1, 6)),
            (2, 0, (2, 3)),
            (2, 2 * one, (2, 4)),
            (2, 2 * one - 1, (2, 3)),
            (6, 100_000, (6, 6)),
            (100, 100_000, (6, 6)),
        ] {
            let read = store.read(LOBBY, from, bytes_max).unwrap();
            assert_eq!((read.first(), read.next()), expected, "{from}, {bytes_max}");
        }
    });
}

#[test]
fn a_page_is_a_part_of_the_log() {
    each(|store| {
        for counter in 1..=500 {
            let second = i64::try_from(counter).unwrap() * 10;
            append(store, second, [message(1, counter)]);
        }
        let forward = |from, to| Part::Forward { from, to };
        let backward = |from, to| Part::Backward { from, to };
        for (part, from, to) in [
            (forward(1, 3), 1, 3),
            (forward(0, u64::MAX), 1, 200),
            (forward(499, 600), 499, 500),
            (forward(501, 600), 501, 500),
            (forward(700, 600), 700, 699),
            (backward(1, 500), 301, 500),
            (backward(490, 500), 490, 500),
            (backward(1, 2), 1, 2),
            (backward(0, 0), 1, 0),
            (backward(1, u64::MAX), 301, 500),
            (Part::Since(at(0)), 1, 200),
            (Part::Since(at(4_990)), 499, 500),
            (Part::Since(at(4_991)), 500, 500),
            (Part::Since(at(5_001)), 501, 500),
        ] {
            let page = store.page(LOBBY, part).unwrap();
            assert_eq!((page.from, page.to), (from, to), "{part:?}");
            assert_eq!(seqs(&page.frames), (from..=to).collect::<Vec<_>>());
            assert_eq!(page.extent, Extent::new(1, 500));
        }
        let page = store.page(TEA, backward(1, 10)).unwrap();
        assert_eq!((page.from, page.to), (1, 0));
    });
}

#[test]
fn a_page_has_no_more_bytes_than_a_frame_takes() {
    each(|store| {
        let long = "x".repeat(limits::TEXT_BYTES_MAX);
        for counter in 1..=10 {
            append(store, 1, [message_in(LOBBY, 1, counter, &long)]);
        }
        for part in [
            Part::Forward { from: 2, to: 10 },
            Part::Backward { from: 1, to: 4 },
        ] {
            let page = store.page(LOBBY, part).unwrap();
            assert_eq!(seqs(&page.frames), [2, 3, 4]);
            let bytes: usize = page.frames.iter().map(Bytes::len).sum();
            assert!(bytes <= limits::HISTORY_BYTES_MAX);
        }
    });
}

#[test]
fn a_search_goes_from_the_newest_to_the_first() {
    each(|store| {
        let zone = jiff::tz::TimeZone::UTC;
        for counter in 1..=6_000 {
            let text = if counter % 10 == 0 { "hot tea" } else { "milk" };
            let text = if counter == 17 { "sugar" } else { text };
            append(store, 1, [message_in(LOBBY, 1, counter, text)]);
        }
        let tea = Query::parse("tea", &zone).unwrap();
        let found = store.search(LOBBY, &tea, u64::MAX).unwrap();
        assert_eq!(found.frames.len(), limits::HISTORY_PAGE_MAX);
        assert_eq!(seqs(&found.frames)[..3], [6_000, 5_990, 5_980]);
        assert_eq!((found.from, found.to), (4_010, 6_000));
        let found = store.search(LOBBY, &tea, 35).unwrap();
        assert_eq!(seqs(&found.frames), [30, 20, 10]);
        assert_eq!((found.from, found.to), (1, 35));

        // A rare term is found in bounded steps.
        let sugar = Query::parse("sugar from:bob", &zone).unwrap();
        let found = store.search(LOBBY, &sugar, 6_000).unwrap();
        assert_eq!((found.frames.len(), found.from), (0, 1_001));
        let found = store.search(LOBBY, &sugar, 1_000).unwrap();
        assert_eq!(seqs(&found.frames), [17]);
        assert_eq!(found.from, 1);
    });
}

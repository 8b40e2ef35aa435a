//! Splits the input's bytes into lines.

/// One line of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum InputLine {
    /// Its text, without the line end.
    Text {
        /// The text; bytes that are not UTF-8 are replaced by U+FFFD.
        text: String,
        /// Whether bytes were replaced.
        damaged: bool,
    },
    /// A line longer than a message can be, which was discarded.
    TooLong,
}

/// Splits a stream at its line ends. Holds one unfinished line.
#[derive(Debug)]
pub(super) struct LineSplitter {
    bytes_max: usize,
    line: Vec<u8>,
    too_long: bool,
}

impl LineSplitter {
    /// A splitter of lines that have at most this many bytes.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            line: Vec::new(),
            too_long: false,
        }
    }

    /// Takes bytes; returns the lines that end in them.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Vec<InputLine> {
        let mut lines = Vec::new();
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.keep(&bytes[..end]);
            lines.push(self.cut());
            bytes = &bytes[end + 1..];
        }
        self.keep(bytes);
        lines
    }

    /// The last line at the end of the input, if it has no line end.
    pub(super) fn end(&mut self) -> Option<InputLine> {
        (self.too_long || !self.line.is_empty()).then(|| self.cut())
    }

    fn keep(&mut self, bytes: &[u8]) {
        // One byte more than a message, for the `\r` of a `\r
        // `.
        if self.line.len() + bytes.len() > self.bytes_max + 1 {
            self.too_long = true;
            self.line = Vec::new();
        }
        if !self.too_long {
            self.line.extend_from_slice(bytes);
        }
    }

    fn cut(&mut self) -> InputLine {
        let mut line = std::mem::take(&mut self.line);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if std::mem::take(&mut self.too_long) || line.len() > self.bytes_max {
            return InputLine::TooLong;
        }
        match String::from_utf8(line) {
            Ok(text) => InputLine::Text {
                text,
                damaged: false,
            },
            Err(error) => InputLine::Text {
                text: String::from_utf8_lossy(error.as_bytes()).into_owned(),
                damaged: true,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::limits::TEXT_BYTES_MAX;

    fn text(text: &str) -> InputLine {
        InputLine::Text {
            text: text.to_owned(),
            damaged: false,
        }
    }

    /// Checks that the lines are the same however the bytes are split.
    fn check(bytes: &[u8], expected: &[InputLine]) {
        for size in [1, 2, 3, 7, bytes.len().max(1)] {
            let mut splitter = LineSplitter::new(TEXT_BYTES_MAX);
            let mut lines: Vec<_> = bytes
                .chunks(size)
                .flat_map(|part| splitter.feed(part))
                .collect();
            lines.extend(splitter.end());
            assert_eq!(lines, expected, "{size} bytes at a time");
        }
    }

    #[test]
    fn lines_are_cut_at_their_ends() {
        check(b"", &[]);
        check(b"one\ntwo\n", &[text("one"), text("two")]);
        check(b"one\r\ntwo", &[text("one"), text("two")]);
        check(b"\n\nx", &[text(""), text(""), text("x")]);
        check("gr\u{fc}\u{df}e\n".as_bytes(), &[text("gr\u{fc}\u{df}e")]);
    }

    #[test]
    fn invalid_utf8_is_marked() {
        let damaged = InputLine::Text {
            text: "a\u{fffd}b".to_owned(),
            damaged: true,
        };
        check(b"a\xffb\nc\n", &[damaged, text("c")]);
    }

    #[test]
    fn a_line_at_the_limit_is_kept_and_one_past_it_is_not() {
        let longest = "x".repeat(TEXT_BYTES_MAX);
        check(
            format!("{longest}\r\ny\n").as_bytes(),
            &[text(&longest), text("y")],
        );
        check(
            format!("{longest}x\ny\n").as_bytes(),
            &[InputLine::TooLong, text("y")],
        );
        check(format!("{longest}xxxx").as_bytes(), &[InputLine::TooLong]);
    }
}

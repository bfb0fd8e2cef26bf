//! Server-sent events out of bytes that come in any pieces (WHATWG HTML, section 9.2.6).

use std::fmt;

/// A line longer than this is no event stream of a chat site.
const MAX_LINE: usize = 16 << 20;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// The `event:` field; empty where there was none.
    pub name: String,
    /// The `data:` lines, joined by line feeds.
    pub data: String,
    /// The last `id:` field of the stream so far.
    pub id: String,
}

/// A line is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineTooLong;

impl fmt::Display for LineTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a line of the event stream has more than {MAX_LINE} bytes")
    }
}

impl std::error::Error for LineTooLong {}

/// Takes bytes as they come and gives events as soon as they are complete. Characters may be cut in two.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    /// The last byte was a carriage return: a line feed that follows belongs to it.
    after_cr: bool,
    past_first_line: bool,
    event: Event,
    has_data: bool,
}

impl Parser {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes and returns the events that they complete.
    ///
    /// # Errors
    /// When a line is longer than 16 MiB: such a stream is none.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Event>, LineTooLong> {
        let mut events = Vec::new();
        for &byte in bytes {
            let follows_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
            match byte {
                b'\n' if follows_cr => {}
                b'\n' | b'\r' => events.extend(self.end_of_line()),
                _ if self.line.len() >= MAX_LINE => return Err(LineTooLong),
                _ => self.line.push(byte),
            }
        }
        Ok(events)
    }

    fn end_of_line(&mut self) -> Option<Event> {
        let line = std::mem::take(&mut self.line);
        let text = String::from_utf8_lossy(&line);
        let mut text = &*text;
        if !std::mem::replace(&mut self.past_first_line, true) {
            text = text.strip_prefix('\u{feff}').unwrap_or(text);
        }
        if text.is_empty() {
            return self.dispatch();
        }
        let (field, value) = text.split_once(':').unwrap_or((text, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.has_data = true;
                self.event.data.push_str(value);
            }
            "event" => value.clone_into(&mut self.event.name),
            "id" if !value.contains('\0') => value.clone_into(&mut self.event.id),
            _ => {}
        }
        None
    }

    fn dispatch(&mut self) -> Option<Event> {
        let next = Event { id: self.event.id.clone(), ..Event::default() };
        let event = std::mem::replace(&mut self.event, next);
        std::mem::take(&mut self.has_data).then_some(event)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &[u8]) -> Vec<Event> {
        Parser::new().push(text).unwrap()
    }

    fn data(events: &[Event]) -> Vec<&str> {
        events.iter().map(|e| e.data.as_str()).collect()
    }

    #[test]
    fn reads_events_as_the_standard_says() {
        let events = parse(
            b"\xef\xbb\xbfdata: one\n\n:comment\nevent: delta\nid: 7\ndata:two\ndata: three\n\nretry: 5\n\ndata\n\n",
        );
        assert_eq!(data(&events), ["one", "two\nthree", ""]);
        assert_eq!(events[1].name, "delta");
        assert_eq!(events[2].id, "7");
        assert_eq!(events[2].name, "");
    }

    #[test]
    fn takes_every_kind_of_line_end() {
        assert_eq!(data(&parse(b"data: a\r\n\r\ndata: b\r\rdata: c\n\n")), ["a", "b", "c"]);
    }

    #[test]
    fn an_event_without_its_empty_line_is_not_given() {
        assert_eq!(parse(b"data: a\n"), []);
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same(
            text in "(data: [a-z\u{e9}\u{4e2d}\u{1f600}:]{0,8}|event: x|id: 1|:c|)(\r\n|\n|\r)",
            rest in proptest::collection::vec("(data:? ?[a-z\u{4e2d}\u{1f600}]{0,6}|event: y|)(\r\n|\n|\r)", 0..20),
            cuts in proptest::collection::vec(1_usize..7, 1..60),
        ) {
            let whole = text + &rest.concat();
            let mut parser = Parser::new();
            let mut events = Vec::new();
            let mut left = whole.as_bytes();
            let mut cuts = cuts.into_iter().cycle();
            while !left.is_empty() {
                let (now, later) = left.split_at(cuts.next().unwrap().min(left.len()));
                events.extend(parser.push(now).unwrap());
                left = later;
            }
            prop_assert_eq!(events, parse(whole.as_bytes()));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Parser::new().push(&bytes);
        }
    }
}

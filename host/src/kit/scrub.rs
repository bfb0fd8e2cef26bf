//! Takes out of a recording what should not leave the machine.
//!
//! Each secret becomes something of the same length and the same kind of characters, always the same for the same secret: lengths that
//! stand in front of a message still hold, and what refers to an id still finds it. What a person wrote, and what was answered, can
//! hold more than patterns know: recordings are to be read before they are given away.

use std::collections::HashMap;

use regex::bytes::{Captures, Regex};

/// What secrets look like: tokens of three parts, addresses of people, UUIDs, IPv4 addresses, and long words with digits in them.
const PATTERNS: [&str; 5] = [
    r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.?[A-Za-z0-9_-]*",
    r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,5}",
    r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b",
    r"\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b",
    r"[A-Za-z0-9_-]{24,}",
];

/// Remembers what became of each secret.
#[derive(Debug)]
pub(super) struct Scrubber {
    patterns: Vec<Regex>,
    known: HashMap<Vec<u8>, Vec<u8>>,
}

impl Scrubber {
    /// `names` are words of the author's own that must not be told either.
    pub(super) fn new(names: &[String]) -> Self {
        let own = names.iter().filter(|name| !name.is_empty()).map(|name| format!("(?i){}", regex::escape(name)));
        let all = own.chain(PATTERNS.map(str::to_owned));
        Self { patterns: all.filter_map(|pattern| Regex::new(&pattern).ok()).collect(), known: HashMap::new() }
    }

    pub(super) fn text(&mut self, text: &str) -> String {
        String::from_utf8_lossy(&self.bytes(text.as_bytes())).into_owned()
    }

    /// As many bytes as before.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Vec<u8> {
        let Self { patterns, known } = self;
        let mut out = bytes.to_vec();
        let last = patterns.len().saturating_sub(1);
        for (n, pattern) in patterns.iter().enumerate() {
            let replaced = pattern.replace_all(&out, |found: &Captures<'_>| {
                let secret = found.get(0).map_or(&[][..], |found| found.as_bytes());
                // A long word without a digit is a name of a field or of a class.
                let is_word = n == last && !secret.iter().any(u8::is_ascii_digit);
                if is_word { secret.to_vec() } else { substitute(known, secret) }
            });
            out = replaced.into_owned();
        }
        out
    }

    /// Pieces that belong together: what is cut between two of them is found too.
    pub(super) fn pieces(&mut self, pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let whole = self.bytes(&pieces.concat());
        let mut rest = whole.as_slice();
        let cut = |piece: &&[u8]| {
            let (now, later) = rest.split_at(piece.len().min(rest.len()));
            rest = later;
            now.to_vec()
        };
        pieces.iter().map(cut).collect()
    }
}

/// Letters and digits from the beginning of their rows, counted up with each secret; other characters stay. What was put in place of a
/// secret stays as it is.
fn substitute(known: &mut HashMap<Vec<u8>, Vec<u8>>, secret: &[u8]) -> Vec<u8> {
    if let Some(before) = known.get(secret) {
        return before.clone();
    }
    let mut number = known.len();
    let mut made: Vec<u8> = secret.to_vec();
    for byte in made.iter_mut().rev() {
        let (first, count) = match byte {
            b'0'..=b'9' => (b'0', 10),
            b'a'..=b'f' => (b'a', 6),
            b'A'..=b'F' => (b'A', 6),
            b'g'..=b'z' => (b'g', 20),
            b'G'..=b'Z' => (b'G', 20),
            // Of a letter in another script no byte alone is one.
            0x80.. => (b'x', 1),
            _ => continue,
        };
        *byte = first + u8::try_from(number % count).unwrap_or(0);
        number /= count;
    }
    known.insert(secret.to_vec(), made.clone());
    known.insert(made.clone(), made.clone());
    made
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_go_and_lengths_stay() {
        let mut scrubber = Scrubber::new(&["Ada Lovelace".into()]);
        for secret in [
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.sflKxwRJSMeKKF2QT4",
            "ada.lovelace+x@mail.example.com",
            "0f8fad5b-d9cb-469f-a165-70867728950e",
            "203.0.113.77",
            "sk-proj-4f9a8b7c6d5e4f3a2b1c0d9e",
            "ada lovelace",
        ] {
            let text = format!("{{\"a\":\"{secret}\",\"again\":\"{secret}\"}}");
            let clean = scrubber.text(&text);
            assert_eq!(clean.len(), text.len(), "{clean}");
            assert!(!clean.to_lowercase().contains(&secret.to_lowercase()), "{clean}");
            let parts: Vec<&str> = clean.split('"').collect();
            assert_eq!(parts[3], parts[7], "the same stays the same: {clean}");
        }
        assert_ne!(scrubber.text("a@b.example"), scrubber.text("c@d.example"));
    }

    #[test]
    fn what_is_no_secret_stays() {
        let text = "data: {\"response_message_content_type\":\"text\",\"v\":\"Hello, 1.5 and 2026-11-24\",\"t\":1795457745322}";
        assert_eq!(Scrubber::new(&[]).text(text), text);
    }

    #[test]
    fn what_is_cut_is_found() {
        let mut scrubber = Scrubber::new(&[]);
        let pieces = scrubber.pieces(&[b"x a.person@ma", b"il.example.com y"]);
        let whole = String::from_utf8(pieces.concat()).unwrap();
        assert!(!whole.contains("person") && whole.starts_with("x ") && whole.ends_with(" y"), "{whole}");
        assert_eq!((pieces[0].len(), pieces[1].len()), (13, 16));
    }

    proptest! {
        #[test]
        fn no_length_changes_and_twice_is_once(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut scrubber = Scrubber::new(&["x".into()]);
            let once = scrubber.bytes(&bytes);
            prop_assert_eq!(once.len(), bytes.len());
        }

        #[test]
        fn addresses_never_survive(name in "[a-z]{3,10}", host in "[a-z]{3,10}", around in "[ \"{},]{1,5}") {
            let text = format!("{around}{name}@{host}.example{around}");
            let clean = Scrubber::new(&[]).text(&text);
            let secret = format!("{}@{}.example", name, host);
            prop_assert!(!clean.contains(&secret));
        }
    }
}

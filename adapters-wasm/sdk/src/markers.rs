//! Takes a site's own marks out of an answer: from an opening text to a closing one, however the answer is cut.

/// Bytes of a mark, with its ends. What is longer was none, and is text.
const MAX_MARK: usize = 4096;

/// Holds text back from where a mark may begin until it is known.
#[derive(Debug)]
pub struct Markers {
    opens: &'static [&'static str],
    close: &'static str,
    held: String,
}

impl Markers {
    /// Marks begin with one of `opens` and end with `close`.
    pub fn new(opens: &'static [&'static str], close: &'static str) -> Self {
        Self { opens, close, held: String::new() }
    }

    /// Adds text and returns what is no mark of it, and certainly so.
    pub fn push(&mut self, text: &str) -> String {
        self.held.push_str(text);
        let mut out = String::new();
        while let Some(at) = self.opens.iter().filter_map(|open| self.held.find(open)).min() {
            out.extend(self.held.drain(..at));
            match self.held.find(self.close).map(|at| at + self.close.len()) {
                Some(end) if end <= MAX_MARK => drop(self.held.drain(..end)),
                None if self.held.len() < MAX_MARK => return out,
                _ => {
                    let first = self.held.chars().next().map_or(0, char::len_utf8);
                    out.extend(self.held.drain(..first));
                }
            }
        }
        let sure = self.held.len() - self.beginning();
        out.extend(self.held.drain(..sure));
        out
    }

    /// What is still held back at the end of the answer: a mark that was never closed.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// How many bytes at the end may be the beginning of a mark.
    fn beginning(&self) -> usize {
        let begins = |open: &&str| {
            open.char_indices()
                .map(|(at, _)| at)
                .filter(|at| self.held.ends_with(open.get(..*at).unwrap_or_default()))
                .max()
        };
        self.opens.iter().filter_map(begins).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(pieces: &[&str]) -> String {
        let mut markers = Markers::new(&["[reference:", "[citation:"], "]");
        let mut out: String = pieces.iter().map(|piece| markers.push(piece)).collect();
        out.push_str(&markers.finish());
        out
    }

    #[test]
    fn marks_are_taken_out() {
        assert_eq!(run(&["a[refer", "ence:1]b[citation:2", "][c]"]), "ab[c]");
        assert_eq!(run(&["a[reference:"]), "a[reference:");
    }

    #[test]
    fn what_is_too_long_is_text() {
        let long = format!("[citation:{}]", "x".repeat(5000));
        assert_eq!(run(&[&long]), long);
    }

    #[test]
    fn text_is_held_no_longer_than_needed() {
        let mut markers = Markers::new(&["[citation:"], "]");
        assert_eq!(markers.push("see [c"), "see ");
        assert_eq!(markers.push("] and"), "[c] and");
    }

    proptest! {
        #[test]
        fn any_cut_gives_the_same(text in "(\\[reference:|\\[citation:|\\]|\\[|ref|x|\u{4e2d}){0,30}", size in 1_usize..8) {
            let chars: Vec<char> = text.chars().collect();
            let pieces: Vec<String> = chars.chunks(size).map(|piece| piece.iter().collect()).collect();
            prop_assert_eq!(run(&pieces.iter().map(String::as_str).collect::<Vec<_>>()), run(&[&text]));
        }
    }
}

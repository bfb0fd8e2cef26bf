//! Ends an answer where the client asked for it: at a stop sequence, or at a number of tokens.

use super::Finish;
use super::usage::Estimate;

/// What a [`Limiter`] lets through of a piece of text.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Passed {
    pub text: String,
    /// Set once the answer is over; from then on nothing passes.
    pub ended: Option<Finish>,
}

/// Applies `stop` and `max_tokens` to text that comes in pieces. However the text is cut up, the result is the same: the
/// stop sequence that is complete first wins, and of those that end together the longest; the text ends before it.
#[derive(Debug, Clone)]
pub struct Limiter {
    stop: Vec<String>,
    max_tokens: Option<u64>,
    spent: Estimate,
    /// Text that may turn out to be the beginning of a stop sequence.
    held: String,
    ended: Option<Finish>,
}

impl Limiter {
    /// Empty stop sequences never match.
    pub fn new(stop: &[String], max_tokens: Option<u64>) -> Self {
        Self {
            stop: stop.iter().filter(|s| !s.is_empty()).cloned().collect(),
            max_tokens,
            spent: Estimate::default(),
            held: String::new(),
            ended: None,
        }
    }

    /// Takes a piece and gives what is certain to belong to the answer.
    pub fn push(&mut self, piece: &str) -> Passed {
        if self.ended.is_some() {
            return Passed { text: String::new(), ended: self.ended.clone() };
        }
        let mut text = std::mem::take(&mut self.held);
        text.push_str(piece);
        if let Some(at) = self.first_stop(&text) {
            text.truncate(at);
            self.ended = Some(Finish::Stop);
        } else {
            self.held = text.split_off(text.len() - self.open_length(&text));
        }
        self.spend(text)
    }

    /// Counts text that is not searched for stop sequences, such as reasoning, and gives how much of it may pass.
    pub fn count<'a>(&mut self, text: &'a str) -> &'a str {
        if self.ended.is_some() {
            return "";
        }
        let cut = self.max_tokens.map_or(text.len(), |max| self.spent.fits(text, max));
        let passed = text.get(..cut).unwrap_or_default();
        self.spent.add(passed);
        if passed.len() < text.len() {
            self.ended = Some(Finish::Length);
            self.held.clear();
        }
        passed
    }

    /// No more text comes: what was held back is no stop sequence after all.
    pub fn finish(&mut self) -> Passed {
        let held = std::mem::take(&mut self.held);
        self.spend(held)
    }

    pub fn ended(&self) -> Option<&Finish> {
        self.ended.as_ref()
    }

    fn spend(&mut self, mut text: String) -> Passed {
        if let Some(max) = self.max_tokens {
            let cut = self.spent.fits(&text, max);
            if cut < text.len() {
                text.truncate(cut);
                self.held.clear();
                self.ended = Some(Finish::Length);
            }
        }
        self.spent.add(&text);
        Passed { text, ended: self.ended.clone() }
    }

    /// Where the stop sequence that is complete first begins.
    fn first_stop(&self, text: &str) -> Option<usize> {
        self.stop.iter().filter_map(|s| text.find(s.as_str()).map(|at| (at + s.len(), at))).min().map(|(_, at)| at)
    }

    /// The length of the longest end of `text` with which a stop sequence begins.
    fn open_length(&self, text: &str) -> usize {
        let open = |stop: &String| {
            let longest = text.len().min(stop.len() - 1);
            (1..=longest).rev().find(|&n| text.as_bytes().ends_with(stop.as_bytes().get(..n).unwrap_or_default()))
        };
        // A common end of bytes is one of characters too: the stop sequence begins on a boundary.
        self.stop.iter().filter_map(open).filter(|&n| text.is_char_boundary(text.len() - n)).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(pieces: &[String], stop: &[String], max: Option<u64>) -> (String, Option<Finish>) {
        let mut limiter = Limiter::new(stop, max);
        let mut all = String::new();
        for piece in pieces {
            all.push_str(&limiter.push(piece).text);
        }
        let last = limiter.finish();
        all.push_str(&last.text);
        (all, last.ended)
    }

    fn stops(all: &[&str]) -> Vec<String> {
        all.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn text_ends_before_a_stop_sequence_that_is_split() {
        let pieces = stops(&["one ST", "O", "P two"]);
        assert_eq!(run(&pieces, &stops(&["STOP"]), None), ("one ".into(), Some(Finish::Stop)));
    }

    #[test]
    fn what_only_looks_like_a_stop_sequence_comes_through() {
        let pieces = stops(&["one ST", "ART", " ST"]);
        assert_eq!(run(&pieces, &stops(&["STOP"]), None), ("one START ST".into(), None));
    }

    #[test]
    fn nothing_is_held_back_without_need() {
        let mut limiter = Limiter::new(&stops(&["\n\n"]), None);
        assert_eq!(limiter.push("hello").text, "hello");
        assert_eq!(limiter.push("\n").text, "");
        assert_eq!(limiter.push("x").text, "\nx");
    }

    #[test]
    fn max_tokens_ends_with_length() {
        let (text, ended) = run(&stops(&["one two three four five six"]), &[], Some(2));
        assert_eq!((text.as_str(), ended), ("one two thr", Some(Finish::Length)));
    }

    fn pieces_of(text: &str, cuts: &[usize]) -> Vec<String> {
        let mut pieces = vec![String::new()];
        for (i, c) in text.chars().enumerate() {
            if cuts.contains(&i) {
                pieces.push(String::new());
            }
            pieces.last_mut().unwrap().push(c);
        }
        pieces
    }

    proptest! {
        #[test]
        fn the_result_does_not_depend_on_how_the_text_was_cut(
            text in "[ab中]{0,40}",
            stop in proptest::collection::vec("[ab中]{1,4}", 0..4),
            max in proptest::option::of(0u64..8),
            cuts in proptest::collection::vec(0usize..40, 0..12),
        ) {
            let whole = run(std::slice::from_ref(&text), &stop, max);
            prop_assert_eq!(run(&pieces_of(&text, &cuts), &stop, max), whole.clone());
            prop_assert!(text.starts_with(&whole.0));
            for s in &stop {
                prop_assert!(!whole.0.contains(s.as_str()));
            }
        }
    }
}

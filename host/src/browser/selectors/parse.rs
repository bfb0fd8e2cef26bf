//! The parser: one pass over the characters, no backtracking.

mod text;

use super::{Selector, SelectorError, Step, Text};

/// Longer ones are a mistake, and every query would carry them.
const MAX_CHARS: usize = 8192;
/// `has` within `has`, alternatives within alternatives.
const MAX_DEPTH: usize = 8;
const ENGINES: [&str; 10] =
    ["css", "role", "text", "label", "placeholder", "testid", "has-text", "has", "visible", "nth"];

const IN_FRAME: &str = "in-frame";

pub(super) fn parse(source: &str) -> Result<Selector, SelectorError> {
    let mut parser = Parser { source, chars: source.chars().collect(), at: 0, depth: 0 };
    if parser.chars.len() > MAX_CHARS {
        return parser.fail(0, format!("a selector has at most {MAX_CHARS} characters"));
    }
    let chain = parser.chain()?;
    match parser.peek() {
        None => Ok(chain),
        Some(c) => parser.fail(parser.at, format!("`{c}` has no partner; remove it or quote the text around it")),
    }
}

struct Parser<'a> {
    source: &'a str,
    chars: Vec<char>,
    at: usize,
    /// How many parentheses are open.
    depth: usize,
}

type Parsed<T> = Result<T, SelectorError>;

impl Parser<'_> {
    fn fail<T>(&self, at: usize, message: impl Into<String>) -> Parsed<T> {
        let selector = self.source.chars().take(200).collect();
        Err(SelectorError { selector, at: at + 1, message: message.into() })
    }

    fn peek(&self) -> Option<char> {
        self.peek_at(self.at)
    }

    fn peek_at(&self, at: usize) -> Option<char> {
        self.chars.get(at).copied()
    }

    fn slice(&self, from: usize, to: usize) -> String {
        self.chars.get(from..to).unwrap_or_default().iter().collect()
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn take(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        self.at += usize::from(found);
        found
    }

    /// Where the next step begins, if a `>>` with a space at either side stands at `at`.
    fn joint(&self, at: usize) -> Option<usize> {
        let mut next = at;
        while self.peek_at(next).is_some_and(char::is_whitespace) {
            next += 1;
        }
        let arrows = next > at && self.peek_at(next) == Some('>') && self.peek_at(next + 1) == Some('>');
        (arrows && self.peek_at(next + 2).is_none_or(char::is_whitespace)).then_some(next + 2)
    }

    fn chain(&mut self) -> Parsed<Selector> {
        let mut steps = Vec::new();
        loop {
            self.skip_space();
            let start = self.at;
            let step = self.step()?;
            self.check_order(start, steps.last(), &step)?;
            steps.push(step);
            if let Some(next) = self.joint(self.at) {
                self.at = next;
                continue;
            }
            self.skip_space();
            if steps.last() == Some(&Step::InFrame) {
                return self.fail(start, "say what to look for in the frame: css=iframe >> in-frame >> role=button");
            }
            return Ok(Selector { steps });
        }
    }

    /// Some steps need one before them, in the same document.
    fn check_order(&self, start: usize, before: Option<&Step>, step: &Step) -> Parsed<()> {
        let first = matches!(before, None | Some(Step::InFrame));
        match step {
            Step::InFrame if self.depth > 0 => {
                self.fail(start, "in-frame stands outside parentheses: css=iframe >> in-frame >> (css=#a) | (css=#b)")
            }
            Step::InFrame if first => self.fail(start, "choose the frame first: css=iframe >> in-frame >> role=button"),
            Step::Nth(_) | Step::HasText(_) | Step::Has(_) | Step::Visible(_) if first => {
                self.fail(start, "this narrows what stands before it; begin with css=, role=, text=, ...")
            }
            _ => Ok(()),
        }
    }

    fn step(&mut self) -> Parsed<Step> {
        if self.peek() == Some('(') {
            return self.alternatives();
        }
        let start = self.at;
        if self.in_frame() {
            return Ok(Step::InFrame);
        }
        let Some(engine) = self.engine() else { return Ok(Step::Css(self.css()?)) };
        match engine.as_str() {
            "css" => Ok(Step::Css(self.css()?)),
            "role" => self.role(),
            "text" => Ok(Step::Text(self.text("text")?)),
            "label" => Ok(Step::Label(self.text("label")?)),
            "placeholder" => Ok(Step::Placeholder(self.text("placeholder")?)),
            // An id is a whole: no site means a part of one. A pattern can.
            "testid" => Ok(Step::TestId(match self.text("testid")? {
                Text::Part(id) => Text::Exact(id),
                other => other,
            })),
            "has-text" => Ok(Step::HasText(match self.text("has-text")? {
                Text::Exact(part) => Text::Part(part),
                other => other,
            })),
            "has" => Ok(Step::Has(self.group("has=(css=...)")?)),
            "visible" => self.visible(),
            "nth" => self.nth(),
            _ => self.fail(start, format!("there is no `{engine}=`; there are {}=", ENGINES.join("=, "))),
        }
    }

    /// The one step that is a bare word. (An element of that name is `css=in-frame`.)
    fn in_frame(&mut self) -> bool {
        let end = self.at + IN_FRAME.len();
        let found = self.slice(self.at, end) == IN_FRAME
            && self
                .peek_at(end)
                .is_none_or(|c| c.is_whitespace() && (self.joint(end).is_some() || self.only_space(end)));
        if found {
            self.at = end;
        }
        found
    }

    fn only_space(&self, from: usize) -> bool {
        self.chars.get(from..).unwrap_or_default().iter().all(|c| c.is_whitespace())
    }

    /// The word before `=`, if the step begins with one.
    fn engine(&mut self) -> Option<String> {
        let mut end = self.at;
        while self.peek_at(end).is_some_and(|c| c.is_ascii_alphabetic() || c == '-') {
            end += 1;
        }
        if end == self.at || self.peek_at(end) != Some('=') {
            return None;
        }
        let word = self.slice(self.at, end);
        self.at = end + 1;
        Some(word)
    }

    fn alternatives(&mut self) -> Parsed<Step> {
        let mut branches = vec![self.group("(css=...)")?];
        loop {
            let end = self.at;
            self.skip_space();
            if !self.take('|') {
                self.at = end;
                return Ok(Step::Any(branches));
            }
            self.skip_space();
            branches.push(self.group("(css=#a) | (role=button)")?);
        }
    }

    fn group(&mut self, example: &str) -> Parsed<Selector> {
        let open = self.at;
        if !self.take('(') {
            return self.fail(open, format!("`(` is missing; write {example}"));
        }
        if self.depth == MAX_DEPTH {
            return self.fail(open, format!("more than {MAX_DEPTH} levels of parentheses"));
        }
        self.depth += 1;
        let chain = self.chain()?;
        self.depth -= 1;
        if !self.take(')') {
            return self.fail(open, "this `(` is never closed; add `)`");
        }
        Ok(chain)
    }

    /// A step ends at a joint, at the end, and in parentheses at the one that closes them.
    fn at_end(&self, at: usize, open: usize) -> bool {
        match self.peek_at(at) {
            None => true,
            Some(')') => self.depth > 0 && open == 0,
            Some(c) => c.is_whitespace() && self.joint(at).is_some(),
        }
    }

    fn css(&mut self) -> Parsed<String> {
        let start = self.at;
        let mut open: Vec<(char, usize)> = Vec::new();
        while let Some(c) = self.peek() {
            if open.is_empty() && self.at_end(self.at, 0) {
                break;
            }
            match c {
                '\\' => self.at += 1,
                '"' | '\'' => self.css_string(c)?,
                '(' => open.push((')', self.at)),
                '[' => open.push((']', self.at)),
                ')' | ']' if open.pop().map(|(close, _)| close) != Some(c) => {
                    return self.fail(self.at, format!("`{c}` closes nothing; remove it"));
                }
                _ => {}
            }
            self.at += 1;
        }
        self.at = self.at.min(self.chars.len());
        if let Some((close, at)) = open.pop() {
            return self.fail(at, format!("this is never closed; add `{close}`"));
        }
        let css = self.slice(start, self.at).trim().to_owned();
        if css.is_empty() || css.starts_with(">>") {
            return self.fail(start, "a step is missing here; write css=..., role=..., text=..., ...");
        }
        Ok(css)
    }

    /// Leaves the place at the closing quote.
    fn css_string(&mut self, quote: char) -> Parsed<()> {
        let start = self.at;
        loop {
            self.at += 1;
            match self.peek() {
                Some(c) if c == quote => return Ok(()),
                Some('\\') => self.at += 1,
                Some(_) => {}
                None => return self.fail(start, format!("this quote is never closed; add {quote}")),
            }
        }
    }

    fn role(&mut self) -> Parsed<Step> {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_lowercase() || c == '-') {
            self.at += 1;
        }
        let role = self.slice(start, self.at);
        if role.is_empty() {
            return self.fail(start, "a role is missing; write role=button, in lower case");
        }
        let (mut name, mut exact) = (None, None);
        while self.peek() == Some('[') {
            let at = self.at;
            self.role_attribute(&mut name, &mut exact)?;
            if !self.take(']') {
                return self.fail(at, "this `[` is never closed; add `]`");
            }
        }
        let end = self.at;
        while self.peek().is_some_and(char::is_whitespace) && self.joint(self.at).is_none() {
            self.at += 1;
        }
        if !self.at_end(self.at, 0) {
            return self.fail(end, "unexpected after a role; write role=button[name=\"Send\"][exact]");
        }
        let name = match (name, exact) {
            (Some(Text::Part(name)), Some(_)) => Some(Text::Exact(name)),
            (_, Some(at)) => {
                return self.fail(at, "[exact] goes with a quoted name; write [name=\"Send\"][exact]");
            }
            (name, _) => name,
        };
        Ok(Step::Role { role, name })
    }

    fn role_attribute(&mut self, name: &mut Option<Text>, exact: &mut Option<usize>) -> Parsed<()> {
        let start = self.at;
        self.at += 1;
        let from = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_alphabetic() || c == '-') {
            self.at += 1;
        }
        let word = self.slice(from, self.at);
        match word.as_str() {
            "exact" if exact.is_none() => *exact = Some(start),
            "name" if name.is_none() => {
                let equals = self.take('=');
                *name = Some(match self.peek() {
                    Some('"') if equals => Text::Part(self.quoted()?),
                    Some('/') if equals => self.regex()?,
                    _ => {
                        return self
                            .fail(self.at, "quote the name: [name=\"Send\"], or give a pattern: [name=/send/i]");
                    }
                });
            }
            "exact" | "name" => return self.fail(start, format!("[{word}] is given twice")),
            _ => return self.fail(from, "a role takes [name=...] and [exact]"),
        }
        Ok(())
    }

    /// A word up to the end of the step.
    fn word(&mut self) -> String {
        let start = self.at;
        while !self.at_end(self.at, 0) {
            self.at += 1;
        }
        self.slice(start, self.at).trim().to_owned()
    }

    fn visible(&mut self) -> Parsed<Step> {
        let start = self.at;
        match self.word().as_str() {
            "true" => Ok(Step::Visible(true)),
            "false" => Ok(Step::Visible(false)),
            _ => self.fail(start, "write visible=true or visible=false"),
        }
    }

    fn nth(&mut self) -> Parsed<Step> {
        let start = self.at;
        match self.word().parse() {
            Ok(n) => Ok(Step::Nth(n)),
            Err(_) => self.fail(start, "write a whole number: nth=0 is the first, nth=-1 the last"),
        }
    }
}

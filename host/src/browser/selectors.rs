//! Selectors as adapters write them (`wit/page.wit`), parsed into the structure that the page's helper walks.
//!
//! They are parsed here and not in the page, so that a mistake is told at once, with its place, even while the page loads.

mod parse;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use super::PageError;

/// A chain of steps, each narrowing the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Selector {
    steps: Vec<Step>,
}

/// One step of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    Css(String),
    Role {
        role: String,
        name: Option<Text>,
    },
    Text(Text),
    Label(Text),
    Placeholder(Text),
    #[serde(rename = "testid")]
    TestId(Text),
    HasText(Text),
    Has(Selector),
    Visible(bool),
    Nth(i32),
    Any(Vec<Selector>),
    /// What follows is looked up in the document of the frame that was matched.
    InFrame,
}

/// How a text is compared. White space counts as one space everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Text {
    /// As a part, without regard to case.
    Part(String),
    /// Wholly.
    Exact(String),
    /// A JavaScript regular expression.
    Regex { source: String, flags: String },
}

/// What is wrong with a selector, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{selector}: at character {at}: {message}")]
pub struct SelectorError {
    pub selector: String,
    /// Counted in characters, from 1.
    pub at: usize,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl Selector {
    /// Cut at its `in-frame` steps: the chains that choose the frames, from the outermost on, and the one that is looked up in
    /// the last of them.
    pub fn into_legs(self) -> (Vec<Self>, Self) {
        let (mut frames, mut steps) = (Vec::new(), Vec::new());
        for step in self.steps {
            match step {
                Step::InFrame => frames.push(Self { steps: std::mem::take(&mut steps) }),
                step => steps.push(step),
            }
        }
        (frames, Self { steps })
    }
}

impl From<SelectorError> for PageError {
    fn from(error: SelectorError) -> Self {
        Self::Other { code: "invalid-selector", message: error.to_string() }
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(source: &str) -> Result<Self, SelectorError> {
        parse::parse(source)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.steps.iter().enumerate() {
            if i > 0 {
                f.write_str(" >> ")?;
            }
            step.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Css(css) => write!(f, "css={css}"),
            Self::Role { role, name } => {
                write!(f, "role={role}")?;
                match name {
                    None => Ok(()),
                    Some(Text::Part(part)) => write!(f, "[name={}]", Quoted(part)),
                    Some(Text::Exact(exact)) => write!(f, "[name={}][exact]", Quoted(exact)),
                    Some(regex @ Text::Regex { .. }) => write!(f, "[name={regex}]"),
                }
            }
            Self::Text(text) => write!(f, "text={text}"),
            Self::Label(text) => write!(f, "label={text}"),
            Self::Placeholder(text) => write!(f, "placeholder={text}"),
            Self::TestId(text) => write!(f, "testid={text}"),
            Self::HasText(Text::Part(part)) => write!(f, "has-text={}", Quoted(part)),
            Self::HasText(text) => write!(f, "has-text={text}"),
            Self::Has(inner) => write!(f, "has=({inner})"),
            Self::Visible(visible) => write!(f, "visible={visible}"),
            Self::Nth(n) => write!(f, "nth={n}"),
            Self::InFrame => f.write_str("in-frame"),
            Self::Any(branches) => {
                for (i, branch) in branches.iter().enumerate() {
                    write!(f, "{}({branch})", if i > 0 { " | " } else { "" })?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Part(part) => f.write_str(part),
            Self::Exact(exact) => Quoted(exact).fmt(f),
            Self::Regex { source, flags } => write!(f, "/{source}/{flags}"),
        }
    }
}

struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

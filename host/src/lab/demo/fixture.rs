//! Texts that are hard to carry: each file below is one kind of trouble.

use std::str::FromStr;

/// A fixed answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fixture {
    /// All of the others but `Tool`, `Image` and `Rest`.
    Markdown,
    Code,
    Table,
    Latex,
    Cjk,
    Emoji,
    Tags,
    Tool,
    Image,
    /// What stands below the directives in the prompt, as it is.
    Rest,
}

impl FromStr for Fixture {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "markdown" => Fixture::Markdown,
            "code" => Fixture::Code,
            "table" => Fixture::Table,
            "latex" => Fixture::Latex,
            "cjk" => Fixture::Cjk,
            "emoji" => Fixture::Emoji,
            "tags" => Fixture::Tags,
            "tool" => Fixture::Tool,
            "image" => Fixture::Image,
            "rest" => Fixture::Rest,
            _ => return Err(format!("fixture={text} is not known")),
        })
    }
}

const CODE: &str = include_str!("fixtures/code.md");
const TABLE: &str = include_str!("fixtures/table.md");
const LATEX: &str = include_str!("fixtures/latex.md");
const CJK: &str = include_str!("fixtures/cjk.md");
const EMOJI: &str = include_str!("fixtures/emoji.md");
const TAGS: &str = include_str!("fixtures/tags.md");
const TOOL: &str = include_str!("fixtures/tool.md");

impl Fixture {
    /// The answer's text, without a line break at its end. `rest` is what follows the directives.
    pub(super) fn text(self, rest: &str) -> String {
        match self {
            Fixture::Markdown => [CODE, TABLE, LATEX, CJK, EMOJI, TAGS].map(str::trim_end).join("\n\n"),
            Fixture::Code => CODE.trim_end().to_owned(),
            Fixture::Table => TABLE.trim_end().to_owned(),
            Fixture::Latex => LATEX.trim_end().to_owned(),
            Fixture::Cjk => CJK.trim_end().to_owned(),
            Fixture::Emoji => EMOJI.trim_end().to_owned(),
            Fixture::Tags => TAGS.trim_end().to_owned(),
            Fixture::Tool => TOOL.trim_end().to_owned(),
            Fixture::Image => "Here is your picture:".to_owned(),
            Fixture::Rest => rest.to_owned(),
        }
    }

    /// Whether its bytes are cut anywhere, inside characters and escapes too.
    pub(super) fn is_cut(self) -> bool {
        matches!(self, Fixture::Markdown | Fixture::Cjk | Fixture::Emoji)
    }
}

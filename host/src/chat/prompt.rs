//! Renders a conversation to the one text that is typed into a site's composer.
//!
//! The template, the same for every dialect:
//! - A single user message goes as it is, without any heading.
//! - Otherwise every turn, in order, is a heading line and its text, with an empty line between turns:
//!   `[System]`, `[User]`, `[Assistant]`, `[Tool result: <call id>]`; a name is added as `[User: Ann]`.
//! - System messages keep their places. Nothing is dropped: an empty message still has its heading.
//! - An attachment is named in its place as `[Attachment 1: photo.png]`, numbered in the order in which they are uploaded.
//!   In a single user message that is not needed: the attachments are there beside the text.
//! - When the last turn is not the user's, a last line asks for the assistant's next message.
//!
//! A model that makes pictures, films or sounds takes a description and no conversation: it gets the last user message with
//! its attachments, and the caller is told when there was more.

mod overflow;

use std::fmt::Write as _;
use std::sync::Arc;

pub use overflow::{PromptLimit, render_within};

use super::{Attachment, Kind, Part, Request, Role, Turn};

/// The prompt, and what goes up beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    pub text: String,
    /// In the order in which the text numbers them.
    pub attachments: Vec<Arc<Attachment>>,
    /// Some of the conversation is not in it.
    pub left_out: bool,
}

/// Renders a conversation for a model of this kind.
pub fn render(request: &Request, kind: Kind) -> Rendered {
    let turns = &request.turns;
    let last = match kind {
        Kind::Text => None,
        Kind::Image | Kind::Video | Kind::Audio => turns.iter().rposition(|turn| turn.role == Role::User),
    };
    match last.and_then(|last| turns.get(last)) {
        Some(turn) => {
            let alone = Turn { name: None, ..turn.clone() };
            Rendered { left_out: turns.len() > 1, ..render_turns(std::slice::from_ref(&alone)) }
        }
        None => render_turns(turns),
    }
}

/// Renders some turns, such as only those that are new to a chat that goes on.
pub fn render_turns(turns: &[Turn]) -> Rendered {
    let mut attachments = Vec::new();
    if let [Turn { role: Role::User, name: None, parts }] = turns {
        let text = render_parts(parts, &mut attachments, false);
        return Rendered { text, attachments, left_out: false };
    }
    let mut text = String::new();
    for turn in turns {
        if !text.is_empty() {
            text.push_str("\n\n");
        }
        text.push_str(&heading(turn));
        let body = render_parts(&turn.parts, &mut attachments, true);
        if !body.is_empty() {
            text.push('\n');
            text.push_str(&body);
        }
    }
    text.push_str(ending(turns));
    Rendered { text, attachments, left_out: false }
}

/// A tool call that the assistant made earlier, as text in its turn.
pub fn render_tool_call(id: &str, name: &str, arguments: &str) -> String {
    format!("[Tool call {id}: {name}({arguments})]")
}

/// What is said last where the last word is not the user's.
fn ending(turns: &[Turn]) -> &'static str {
    let goes_on = turns.last().is_some_and(|turn| turn.role != Role::User);
    if goes_on { "\n\n(Go on with the assistant's next message.)" } else { "" }
}

fn heading(turn: &Turn) -> String {
    let role = match turn.role {
        Role::System => "System",
        Role::User => "User",
        Role::Assistant => "Assistant",
        Role::Tool => "Tool result",
    };
    match &turn.name {
        Some(name) => format!("[{role}: {name}]"),
        None => format!("[{role}]"),
    }
}

fn render_parts(parts: &[Part], attachments: &mut Vec<Arc<Attachment>>, named: bool) -> String {
    let mut text = String::new();
    for part in parts {
        let before = text.len();
        if before > 0 && !text.ends_with('\n') {
            text.push('\n');
        }
        match part {
            Part::Text(piece) => text.push_str(piece),
            Part::Attachment(file) => {
                attachments.push(Arc::clone(file));
                if named {
                    // Writing to a String cannot fail.
                    let _ = write!(text, "[Attachment {}: {}]", attachments.len(), file.name);
                } else {
                    text.truncate(before);
                }
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use proptest::prelude::*;

    fn turn(role: Role, text: &str) -> Turn {
        Turn { role, name: None, parts: vec![Part::Text(text.into())] }
    }

    fn picture(name: &str) -> Part {
        Part::Attachment(Arc::new(Attachment {
            name: name.into(),
            mime_type: "image/png".into(),
            bytes: Bytes::from_static(b"x"),
        }))
    }

    #[test]
    fn a_single_user_message_goes_as_it_is() {
        let rendered = render_turns(&[turn(Role::User, "  [User]\nhi\n")]);
        assert_eq!(rendered.text, "  [User]\nhi\n");
    }

    #[test]
    fn a_single_message_with_a_picture_is_its_text_alone() {
        let parts = vec![Part::Text("what is".into()), picture("a.png"), Part::Text("this?".into())];
        let rendered = render_turns(&[Turn { role: Role::User, name: None, parts }]);
        assert_eq!(rendered.text, "what is\nthis?");
        assert_eq!(rendered.attachments.len(), 1);
    }

    #[test]
    fn every_turn_is_there_in_order_with_its_role() {
        let mut tool = turn(Role::Tool, "12 degrees");
        tool.name = Some("call_1".into());
        let mut ann = turn(Role::User, "thanks");
        ann.name = Some("Ann".into());
        ann.parts.push(picture("b.png"));
        let first = Turn { role: Role::User, name: None, parts: vec![picture("a.png"), Part::Text("weather?".into())] };
        let rendered = render_turns(&[
            turn(Role::System, "be brief"),
            first,
            turn(Role::Assistant, &render_tool_call("call_1", "weather", "{}")),
            tool,
            turn(Role::Assistant, ""),
            ann,
        ]);
        assert_eq!(
            rendered.text,
            "[System]\nbe brief\n\n[User]\n[Attachment 1: a.png]\nweather?\n\n[Assistant]\n[Tool call call_1: \
             weather({})]\n\n[Tool result: call_1]\n12 degrees\n\n[Assistant]\n\n[User: Ann]\nthanks\n[Attachment 2: b.png]"
        );
        assert_eq!(rendered.attachments.iter().map(|a| a.name.as_str()).collect::<Vec<_>>(), ["a.png", "b.png"]);
    }

    #[test]
    fn a_conversation_that_ends_with_the_assistant_asks_it_to_go_on() {
        let rendered = render_turns(&[turn(Role::User, "count"), turn(Role::Assistant, "1, 2,")]);
        assert!(rendered.text.ends_with("1, 2,\n\n(Go on with the assistant's next message.)"));
    }

    fn request(turns: Vec<Turn>) -> Request {
        Request {
            id: "r".into(),
            model: "m".into(),
            turns,
            stop: Vec::new(),
            max_tokens: None,
            options: std::collections::BTreeMap::new(),
            temporary: None,
            caller: String::new(),
            dialect: "test",
            stream: false,
            fingerprint: None,
        }
    }

    #[test]
    fn a_picture_is_made_after_the_last_user_message_alone() {
        let mut last = turn(Role::User, "make it blue");
        last.name = Some("Ann".into());
        last.parts.push(picture("b.png"));
        let more = request(vec![
            turn(Role::System, "be brief"),
            Turn { parts: vec![picture("a.png")], ..turn(Role::User, "") },
            turn(Role::Assistant, "here"),
            last.clone(),
            turn(Role::Assistant, "well"),
        ]);
        for kind in [Kind::Image, Kind::Video, Kind::Audio] {
            let rendered = render(&more, kind);
            assert_eq!((rendered.text.as_str(), rendered.attachments.len()), ("make it blue", 1));
            assert_eq!((rendered.attachments[0].name.as_str(), rendered.left_out), ("b.png", true));
        }
        let whole = render(&more, Kind::Text);
        assert!(whole.text.contains("be brief") && whole.attachments.len() == 2 && !whole.left_out);
        assert!(!render(&request(vec![last]), Kind::Image).left_out);
        // With nobody's message to go by, everything is the description.
        let system = render(&request(vec![turn(Role::System, "a cat")]), Kind::Image);
        assert!(system.text.contains("a cat") && !system.left_out);
    }

    proptest! {
        #[test]
        fn nothing_is_dropped(texts in proptest::collection::vec(".{0,30}", 1..6)) {
            let turns: Vec<Turn> = texts.iter().map(|text| turn(Role::User, text)).collect();
            let rendered = render_turns(&turns);
            let mut rest = rendered.text.as_str();
            for text in &texts {
                let at = rest.find(text.as_str());
                prop_assert!(at.is_some());
                rest = &rest[at.unwrap() + text.len()..];
            }
        }
    }
}

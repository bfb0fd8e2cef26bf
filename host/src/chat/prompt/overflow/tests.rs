use proptest::prelude::*;

use super::*;
use crate::chat::Part;

const ROLES: [Role; 4] = [Role::System, Role::User, Role::Assistant, Role::Tool];

fn turn(role: Role, text: &str) -> Turn {
    Turn { role, name: None, parts: vec![Part::Text(text.into())] }
}

fn picture(name: &str) -> Part {
    let bytes = Bytes::from_static(b"x");
    Part::Attachment(Arc::new(Attachment { name: name.into(), mime_type: "image/png".into(), bytes }))
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

fn limit(chars: usize) -> PromptLimit {
    PromptLimit { chars, as_file: true, file_count: None, file_bytes: None }
}

fn within(turns: Vec<Turn>, limit: PromptLimit) -> Result<Rendered, Failure> {
    render_within(&request(turns), Kind::Text, Some(limit))
}

fn file(rendered: &Rendered) -> String {
    let file = rendered.attachments.last().unwrap();
    assert_eq!(file.mime_type, "text/plain");
    String::from_utf8(file.bytes.to_vec()).unwrap()
}

#[test]
fn what_fits_stays_as_it_is() {
    let turns = vec![turn(Role::System, "be brief"), turn(Role::User, "日本")];
    let whole = render(&request(turns.clone()), Kind::Text);
    let length = whole.text.chars().count();
    assert_eq!(within(turns.clone(), limit(length)).unwrap(), whole);
    assert_ne!(within(turns.clone(), limit(1000)).unwrap().text, "");
    assert_eq!(render_within(&request(turns), Kind::Text, None).unwrap(), whole);
}

#[test]
fn what_was_said_before_goes_up_as_a_file() {
    let mut last = turn(Role::User, "and now?");
    last.parts.push(picture("b.png"));
    let first = Turn { parts: vec![picture("prompt.txt"), Part::Text("x".repeat(500))], ..turn(Role::User, "") };
    let rendered =
        within(vec![turn(Role::System, "be brief"), first, turn(Role::Assistant, "yes"), last], limit(300)).unwrap();
    assert_eq!(
        rendered.text,
        "and now?\n[Attachment 2: b.png]\n\n(What was said before this message, with all instructions, is in the attached file \
         prompt-2.txt. Read it first.)"
    );
    let text = file(&rendered);
    assert!(text.starts_with("[System]\nbe brief\n\n[User]\n[Attachment 1: prompt.txt]\nxxx"), "{text}");
    assert!(text.ends_with("xxx\n\n[Assistant]\nyes"), "{text}");
    let names: Vec<_> = rendered.attachments.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["prompt.txt", "b.png", "prompt-2.txt"]);
}

#[test]
fn what_came_after_the_last_user_message_keeps_its_place() {
    let mut ann = turn(Role::User, "weather?");
    ann.name = Some("Ann".into());
    let rendered =
        within(vec![turn(Role::System, &"x".repeat(500)), ann, turn(Role::Tool, "12 degrees")], limit(200)).unwrap();
    assert!(rendered.text.starts_with("[User: Ann]\nweather?\n\n(What was said before this message and after it,"));
    let expected = "xx\n\n[User: Ann]\n(This message stands in the prompt.)\n\n[Tool result]\n12 degrees\n\n(Go on with the \
                    assistant's next message.)";
    assert!(file(&rendered).ends_with(expected), "{}", file(&rendered));
}

#[test]
fn a_message_that_is_too_long_itself_goes_up_whole() {
    for turns in [
        vec![turn(Role::User, &"x".repeat(500))],
        vec![turn(Role::System, "be brief"), turn(Role::User, &"x".repeat(500))],
        vec![turn(Role::System, &"x".repeat(500))],
    ] {
        let rendered = within(turns.clone(), limit(200)).unwrap();
        assert_eq!(
            rendered.text,
            "The attached file prompt.txt is my message. Read it, and answer as if it stood here."
        );
        assert_eq!(file(&rendered), render(&request(turns), Kind::Text).text);
    }
}

#[test]
fn what_cannot_go_up_is_told_with_both_numbers() {
    let long = vec![turn(Role::User, &"é".repeat(500))];
    let refused =
        |turns: &[Turn], kind, limit| render_within(&request(turns.to_vec()), kind, Some(limit)).unwrap_err().kind;
    let too_long = |limit| FailureKind::PromptTooLong { length: 500, limit };
    assert_eq!(refused(&long, Kind::Text, PromptLimit { as_file: false, ..limit(499) }), too_long(499));
    assert_eq!(refused(&long, Kind::Image, limit(499)), too_long(499));
    assert_eq!(refused(&long, Kind::Text, limit(20)), too_long(20), "not even the sentence fits");
    assert_eq!(refused(&long, Kind::Text, PromptLimit { file_count: Some(0), ..limit(499) }), too_long(499));
    assert_eq!(refused(&long, Kind::Text, PromptLimit { file_bytes: Some(999), ..limit(499) }), too_long(499));
    assert!(within(long, PromptLimit { file_count: Some(1), file_bytes: Some(1000), ..limit(499) }).is_ok());
}

proptest! {
    /// Every text is typed or in the file, and what is typed fits.
    #[test]
    fn nothing_is_left_out_and_what_is_typed_fits(
        texts in proptest::collection::vec((0..4_usize, ".{0,60}"), 1..8), chars in 0..400_usize
    ) {
        let turns: Vec<Turn> = texts.iter().map(|(role, text)| turn(ROLES[*role], text)).collect();
        let Ok(rendered) = within(turns, limit(chars)) else { return Ok(()) };
        prop_assert!(rendered.text.chars().count() <= chars);
        let filed = if rendered.attachments.is_empty() { String::new() } else { file(&rendered) };
        for (_, text) in &texts {
            prop_assert!(filed.contains(text.as_str()) || rendered.text.contains(text.as_str()), "{:?} is nowhere", text);
        }
    }
}

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

fn text(s: &str) -> Delta {
    Delta::Text(s.into())
}

fn composer() -> Composer {
    Composer::new(&[], None)
}

fn sent(pieces: Vec<Piece>) -> String {
    pieces
        .into_iter()
        .map(|piece| match piece {
            Piece::Text(text) => text,
            Piece::Reasoning(text) => format!("<{text}>"),
        })
        .collect()
}

#[test]
fn pieces_come_out_as_they_went_in() {
    let mut composer = composer();
    composer.push(Delta::Reasoning("hm".into()));
    assert_eq!(sent(composer.take().unwrap()), "<hm>");
    composer.push(text("yes"));
    assert_eq!(sent(composer.take().unwrap()), "yes");
    assert_eq!(composer.take().unwrap(), []);
}

#[test]
fn a_rewrite_that_extends_what_was_sent_goes_on_from_there() {
    let mut composer = composer();
    composer.push(text("Hello wor"));
    assert_eq!(sent(composer.take().unwrap()), "Hello wor");
    composer.push(Delta::Restart);
    assert!(composer.is_behind());
    composer.push(text("Hello "));
    assert_eq!(sent(composer.take().unwrap()), "");
    composer.push(text("world"));
    assert_eq!(sent(composer.take().unwrap()), "ld");
    assert!(!composer.is_behind());
    composer.push(text("!"));
    assert_eq!(sent(composer.take().unwrap()), "!");
}

#[test]
fn a_rewrite_that_differs_cannot_be_streamed_but_is_exact_as_a_whole() {
    let mut composer = composer();
    composer.push(text("Hello wor"));
    composer.take().unwrap();
    composer.push(Delta::Restart);
    composer.push(text("Help"));
    assert_eq!(composer.take(), Err(Rewritten));
    assert_eq!(composer.text(), "Help");
}

#[test]
fn a_second_restart_still_knows_what_was_sent() {
    let mut composer = composer();
    composer.push(text("abc"));
    composer.take().unwrap();
    composer.push(Delta::Restart);
    composer.push(text("ab"));
    composer.take().unwrap();
    composer.push(Delta::Restart);
    assert!(composer.is_behind());
    composer.push(text("abcd"));
    assert_eq!(sent(composer.take().unwrap()), "d");
}

#[test]
fn what_was_never_sent_may_be_rewritten_at_will() {
    let mut composer = composer();
    composer.push(text("draft"));
    composer.push(Delta::Restart);
    composer.push(text("final"));
    assert_eq!(sent(composer.take().unwrap()), "final");
}

#[test]
fn a_limit_counts_anew_after_a_restart() {
    let mut composer = Composer::new(&["END".into()], None);
    composer.push(text("a END"));
    assert!(composer.ended().is_some());
    composer.push(Delta::Restart);
    composer.push(text("b"));
    composer.finish();
    assert_eq!((composer.text(), composer.ended()), ("b", None));
}

#[test]
fn a_picture_is_markdown_and_sources_are_links_at_the_end() {
    let mut composer = composer();
    composer.push(text("see"));
    composer.push(Delta::Media { mime_type: "image/png".into(), bytes: Bytes::from_static(b"abc") });
    let citation = Citation { url: "https://a.example/(x)".into(), title: "A [b]\n".into() };
    composer.push(Delta::Citation(citation.clone()));
    composer.push(Delta::Citation(citation));
    composer.finish();
    assert_eq!(composer.text(), "see\n\n![image](data:image/png;base64,YWJj)\n\n\n1. [A  b](https://a.example/x)\n");
}

#[test]
fn the_list_of_sources_keeps_their_order_and_has_an_end() {
    let mut composer = composer();
    let source = |n: usize| Delta::Citation(Citation { url: format!("https://a.example/{n}"), title: format!("t{n}") });
    for n in 0..MAX_CITATIONS + 500 {
        composer.push(source(n));
        composer.push(source(0));
    }
    composer.finish();
    let lines: Vec<&str> = composer.text().trim().lines().collect();
    assert_eq!(lines.len(), MAX_CITATIONS);
    for (n, line) in lines.iter().enumerate() {
        assert_eq!(*line, format!("{}. [t{n}](https://a.example/{n})", n + 1));
    }
}

#[test]
fn pictures_of_strangers_are_made_harmless_wherever_they_stand() {
    let mut composer = Composer::new(&["END".into()], None);
    composer.show_images_of(Allowed::new(["https://good.example"]));
    composer.push(Delta::Reasoning("![a](https://evil.example/".into()));
    composer.push(text("see ![a](https://go"));
    assert_eq!(sent(composer.take().unwrap()), "<! [a](https://evil.example/>see ");
    composer.push(text("od.example/) ![b](https://ev"));
    assert_eq!(sent(composer.take().unwrap()), "![a](https://good.example/) ");
    composer.push(Delta::Media { mime_type: "image/png".into(), bytes: Bytes::from_static(b"abc") });
    assert_eq!(sent(composer.take().unwrap()), "! [b](https://ev\n\n![image](data:image/png;base64,YWJj)\n");
    composer
        .push(Delta::Citation(Citation { url: "https://a.example".into(), title: "<img src=//evil.example>".into() }));
    composer.push(text("![c"));
    composer.finish();
    assert_eq!(sent(composer.take().unwrap()), "! [c\n\n1. [< img src=//evil.example>](https://a.example)\n");
    // What was held is forgotten with the rest.
    composer.push(text("![d"));
    composer.push(Delta::Restart);
    composer.push(text("x END"));
    composer.finish();
    assert_eq!(composer.text(), "x ");
}

#[test]
fn a_picture_that_is_kept_is_a_link_and_no_text() {
    let mut composer = Composer::new(&["media".into()], Some(3));
    let url = "http://127.0.0.1:3000/media/AAAAAAAAAAAAAAAAAAAAAA";
    composer.push(Delta::Link { mime_type: "image/png".into(), url: url.into() });
    composer.push(Delta::Link { mime_type: "application/pdf".into(), url: url.into() });
    composer.finish();
    assert_eq!(composer.text(), format!("![image]({url})\n[file]({url})\n"));
    assert_eq!((composer.tokens(), composer.ended()), ((0, 0), None));
}

#[test]
fn reasoning_counts_towards_the_limit() {
    let mut composer = Composer::new(&[], Some(1));
    composer.push(Delta::Reasoning("one two three four".into()));
    composer.push(text("never"));
    composer.finish();
    assert_eq!((composer.reasoning(), composer.text(), composer.ended()), ("one t", "", Some(&Finish::Length)));
}

proptest! {
    /// Whatever a site does, what was streamed is at each moment the beginning of some version, and without `Rewritten` the
    /// end result is the last version.
    #[test]
    fn what_is_streamed_is_the_last_version_or_an_error(
        steps in proptest::collection::vec(proptest::option::of("[ab]{0,3}"), 0..20)
    ) {
        let mut composer = composer();
        let mut streamed = String::new();
        for step in steps {
            composer.push(step.map_or(Delta::Restart, Delta::Text));
            match composer.take() {
                Ok(pieces) => streamed.push_str(&sent(pieces)),
                Err(Rewritten) => {
                    prop_assert!(!composer.text().starts_with(&streamed));
                    return Ok(());
                }
            }
        }
        if composer.is_behind() {
            prop_assert!(streamed.len() > composer.text().len());
        } else {
            prop_assert_eq!(streamed, composer.text());
        }
    }
}

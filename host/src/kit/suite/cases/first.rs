//! The question before a case that goes on with its chat.

use super::{Problem, enter, turn, user};
use crate::chat::{Outcome, Part, Request, Role, Turn};
use crate::dispatch::Dispatcher;
use crate::kit::suite::bench::{self, Bench};
use crate::kit::suite::expect::{self, Answer};
use crate::lab::replica::Twist;

/// Asks it in the state `ok`. The case's request then has the history by which the host finds that chat again, as it does for a client.
pub(super) async fn ask(
    bench: &Bench,
    dispatcher: &Dispatcher,
    first: &str,
    request: Request,
) -> Result<Request, Problem> {
    if !bench.host.manifest.features.conversations {
        return Err(problem(
            "`conversations = true` below [features] in adapter.toml: the case has `first`",
            "it is not there",
        ));
    }
    enter(bench, "ok", Twist::None).await?;
    let opening = Request {
        id: format!("{}-first", request.id),
        turns: vec![turn(&user(first))],
        temporary: None,
        ..request.clone()
    };
    let answered = bench::answer(bench, dispatcher, opening.clone()).await;
    if !matches!(&answered.result, Ok(Outcome { conversation: Some(_), .. })) {
        return Err(problem("an answer to `first` that tells its conversation", &expect::outcome(&answered)));
    }
    if !bench.remembers().await {
        return Err(problem("the chat of `first` is remembered", "the disk is too slow"));
    }
    // What the adapter does from here on is the case's.
    bench.journal.take();
    Ok(Request { turns: after(opening.turns, &Answer::of(&answered).text, request.turns), temporary: None, ..request })
}

fn after(mut turns: Vec<Turn>, answer: &str, new: Vec<Turn>) -> Vec<Turn> {
    turns.push(Turn { role: Role::Assistant, name: None, parts: vec![Part::Text(answer.to_owned())] });
    turns.extend(new);
    turns
}

fn problem(expected: &str, seen: &str) -> Problem {
    Problem { expected: expected.to_owned(), seen: seen.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_comes_after_the_answer() {
        let turns = after(vec![turn(&user("first"))], "answer", vec![turn(&user("second"))]);
        let roles: Vec<Role> = turns.iter().map(|turn| turn.role).collect();
        assert_eq!(roles, [Role::User, Role::Assistant, Role::User]);
        assert_eq!(turns[1].parts, [Part::Text("answer".into())]);
        assert_eq!(turns[2], turn(&user("second")));
    }
}

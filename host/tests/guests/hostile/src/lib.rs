//! Does what the prompt says, all of it wrong but `flow`. With `sent` before it, the prompt counts as sent.

use std::hint::black_box;

use webai_adapter::{Adapter, Appetite, Failure, Filter, Millis, Outcome, Page, Reply, Request, register, sleep};

struct Hostile;

impl Adapter for Hostile {
    fn generate(page: &Page, reply: &Reply, request: &Request) -> Result<Outcome, Failure> {
        let prompt = request.prompt();
        let what = match prompt.strip_prefix("sent ") {
            Some(what) => {
                reply.submitting();
                what
            }
            None => prompt.as_str(),
        };
        match what {
            "flow" => flow(reply),
            "loop" => loop {
                black_box(());
            },
            "bomb" => bomb(),
            "recursion" => {
                black_box(recurse(1));
            }
            "trap" => unreachable!("as it was told"),
            "giant" => {
                reply.text("x".repeat(12 << 20));
            }
            // Tried, and then it makes believe that nothing was.
            "goto" => drop(page.goto("https://elsewhere.example.com/?secret")),
            "listen" => drop(page.listen(&Filter {
                url: "http://demo.localhost/**".into(),
                method: None,
                statuses: Vec::new(),
                content_types: Vec::new(),
            })),
            _ => return Err(Failure::InvalidRequest("unknown".into())),
        }
        Ok(Outcome::stop())
    }
}

register!(Hostile);

/// A well-behaved stream, against which the others are held.
fn flow(reply: &Reply) {
    for n in 0..4000 {
        if reply.text(format!("{n} ")) == Appetite::Stop {
            return;
        }
        sleep(Millis(20));
    }
}

fn bomb() {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1_u8; 1 << 20]));
    }
}

fn recurse(depth: u64) -> u64 {
    let room = black_box([depth; 64]);
    recurse(depth + 1) + room[(depth % 64) as usize]
}

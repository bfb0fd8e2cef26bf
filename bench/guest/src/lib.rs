//! Calls the host many times and says how long that took. The prompt is `<what> <how often>`. Some of it never ends by itself.

use webai_adapter::{Adapter, Appetite, Failure, Outcome, Page, Reply, Request, now, register, remaining};

struct Boundary;

impl Adapter for Boundary {
    fn generate(page: &Page, reply: &Reply, request: &Request) -> Result<Outcome, Failure> {
        let prompt = request.prompt();
        let (what, count) = prompt.trim().rsplit_once(' ').unwrap_or_default();
        let count: u32 = count.parse().map_err(|_| Failure::InvalidRequest(format!("not a count: {prompt:?}")))?;
        reply.submitting();
        let began = now();
        for _ in 0..count {
            match what {
                "remaining" => {
                    std::hint::black_box(remaining());
                }
                "push" => {
                    if reply.text("token ") == Appetite::Stop {
                        return Ok(Outcome::stop());
                    }
                }
                "query" => {
                    page.count("testid=composer")?;
                }
                // What ends none of these is the host.
                "burn" => burn(),
                "bomb" => bomb(),
                "flood" => flood(reply),
                _ => return Err(Failure::InvalidRequest(format!("unknown: {what}"))),
            }
        }
        reply.text(format!("took {} ms", (now() - began).as_millis()));
        Ok(Outcome::stop())
    }
}

register!(Boundary);

fn burn() {
    loop {
        std::hint::black_box(());
    }
}

fn bomb() {
    let mut hoard = Vec::new();
    loop {
        hoard.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}

fn flood(reply: &Reply) {
    let piece = "x".repeat(1 << 20);
    loop {
        reply.text(&piece);
    }
}

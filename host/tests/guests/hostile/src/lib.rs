//! Does what the prompt says, all of it wrong but `flow`. With `sent` before it, the prompt counts as sent.

use std::hint::black_box;

use webai_adapter::{
    Account, Adapter, Appetite, Discovery, Edit, Failure, Filter, Millis, Model, Outcome, Page, PageError, Reply, Request,
    Rewriting, Source, register, sleep,
};

struct Hostile;

impl Adapter for Hostile {
    fn probe(page: &Page) -> Result<Account, Failure> {
        if webai_adapter::config().contains("probe") {
            drop(page.goto("https://elsewhere.example.com/path?secret"));
        }
        Ok(Account::Unknown)
    }

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
            "flood" => return flood(reply),
            "logs" => (0..20_000).for_each(|n| webai_adapter::info!("line {n}")),
            "listens" => return until_refused(reply, || page.listen(&chat())),
            "watches" => return until_refused(reply, || page.watch("testid=composer")),
            "acts" => return until_refused(reply, || page.focus("testid=composer")),
            "navigations" => return until_refused(reply, || page.goto("http://demo.localhost/")),
            "sleep" => sleep(Millis(u64::MAX)),
            // The client has gone: it works on, and does not care.
            "deaf" => loop {
                if reply.text("x") == Appetite::Stop {
                    sleep(Millis(1));
                }
            },
            what if what.starts_with("twice") => return twice(page, reply, &prompt, what),
            // Tried, and then it makes believe that nothing was.
            "goto" => drop(page.goto("https://elsewhere.example.com/?secret")),
            "listen" => drop(page.listen(&Filter { url: "http://demo.localhost/**".into(), ..chat() })),
            "save" => drop(page.save(&Source::Url("http://demo.localhost/style.css".into()))),
            "rewrite" => drop(page.rewrite(&Rewriting {
                url: "http://demo.localhost/api/chat".into(),
                method: None,
                edits: vec![Edit::Set(("/model".into(), "1".into()))],
            })),
            "upload" => return until_refused(reply, || page.attach("css=input[type=file]", &[7])),
            _ => return Err(Failure::InvalidRequest("unknown".into())),
        }
        Ok(Outcome::stop())
    }
}

impl Discovery for Hostile {
    fn models(_: &Page) -> Result<Vec<Model>, Failure> {
        if webai_adapter::config().contains("models") {
            unreachable!("as the settings want it");
        }
        Ok(vec![Model::new("script", "Script")])
    }
}

register!(Hostile, discovery);

/// Called by whoever makes an instance of the component.
#[cfg(feature = "initialize")]
#[unsafe(no_mangle)]
pub extern "C" fn _initialize() {
    core::arch::wasm32::unreachable();
}

fn chat() -> Filter {
    Filter {
        url: "http://demo.localhost/api/chat".into(),
        method: None,
        statuses: Vec::new(),
        content_types: Vec::new(),
    }
}

/// Does it again and again, and tells how often that went well and what ended it.
fn until_refused<T>(reply: &Reply, mut attempt: impl FnMut() -> Result<T, PageError>) -> Result<Outcome, Failure> {
    for done in 0..10_000 {
        match attempt() {
            Ok(_) => {}
            Err(PageError::NotGranted(_)) => {
                reply.text(format!("{done} not-granted"));
                return Ok(Outcome::stop());
            }
            Err(PageError::Other(fault)) => {
                reply.text(format!("{done} {}", fault.code));
                return Ok(Outcome::stop());
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::InvalidRequest("nothing stopped it".into()))
}

/// More than any client wants to read.
fn flood(reply: &Reply) -> Result<Outcome, Failure> {
    let piece = "x".repeat(1 << 20);
    loop {
        reply.text(&piece);
    }
}

/// Sends its prompt, and once more: the same way, or with a trick.
fn twice(page: &Page, reply: &Reply, prompt: &str, how: &str) -> Result<Outcome, Failure> {
    const COMPOSER: &str = "testid=composer";
    const SEND: &str = "testid=send";
    let (left, right) = prompt.split_at(prompt.len() / 2);
    let download = |page: &Page| page.save(&Source::Download(SEND.into())).map(drop);
    match how {
        // It sends, and then waits in vain: an error, and the prompt is sent.
        "twice by a copy" => {
            page.fill(COMPOSER, prompt)?;
            drop(page.within(Millis(1500), |page| page.copy(SEND)));
        }
        "twice in halves" => {
            page.fill(COMPOSER, left)?;
            page.type_text(COMPOSER, right)?;
            page.click(SEND)?;
        }
        _ => {
            page.fill(COMPOSER, prompt)?;
            page.click(SEND)?;
        }
    }
    let again: Vec<Result<(), PageError>> = match how {
        "twice by a download" => {
            page.fill(COMPOSER, prompt)?;
            vec![page.click(SEND), download(page)]
        }
        "twice by a chooser" => {
            page.fill(COMPOSER, prompt)?;
            vec![page.within(Millis(1500), |page| page.choose_files(SEND, &[]))]
        }
        "twice in halves" => {
            page.fill(COMPOSER, left)?;
            page.type_text(COMPOSER, right)?;
            vec![page.click(SEND)]
        }
        "twice by keys" => {
            // Each is a press of its own, and the first of them finds nothing there yet.
            let typed = prompt.chars().map(|c| page.press(COMPOSER, &c.to_string())).collect::<Result<(), _>>();
            vec![typed, page.press(COMPOSER, "Enter")]
        }
        _ => {
            page.fill(COMPOSER, prompt)?;
            vec![page.click(SEND)]
        }
    };
    for end in again {
        match end {
            Err(PageError::Other(fault)) => drop(reply.text(fault.code)),
            other => other?,
        }
    }
    Ok(Outcome::stop())
}

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

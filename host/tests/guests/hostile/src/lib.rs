//! Does what the prompt says, all of it wrong but `flow`. With `sent` before it, the prompt counts as sent.

use std::hint::black_box;
use std::mem::ManuallyDrop;

use webai_adapter::bindings::webai::adapter as bindings;
use webai_adapter::{
    Account, Adapter, Appetite, Condition, Discovery, Edit, Event, EventBody, Failure, Fault, Filter, Millis, Missing,
    Model, Outcome, Page, PageError, Reply, Request, Rewriting, Seconds, Source, kv, register, sleep,
};

const COMPOSER: &str = "testid=composer";
const SEND: &str = "testid=send";

struct Hostile;

impl Adapter for Hostile {
    fn probe(page: &Page) -> Result<Account, Failure> {
        misbehave("probe");
        if webai_adapter::config().contains("probe goto") {
            drop(page.goto("https://elsewhere.example.com/path?secret"));
        }
        Ok(Account::SignedIn(Some("somebody".into())))
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
            "logs" => (0..20_000).for_each(|n| webai_adapter::info!("flooding {n}")),
            "forged" => drop(forged().title()),
            "files" => (0..20).for_each(|_| {
                black_box(second_handle().media_start("image/png"));
            }),
            "keys" => return until_refused(reply, numbered(|n| kv::set(&format!("k{}", n % 10), &n.to_le_bytes()))),
            "deletes" => return until_refused(reply, numbered(|n| kv::delete(&format!("none{n}")))),
            "values" => return until_refused(reply, numbered(|n| kv::set(&format!("v{n}"), &[7; 64 << 10]))),
            "long-key" => return until_refused(reply, numbered(|_| kv::set(&"k".repeat(257), b"x"))),
            what if what.starts_with("enormous ") => return enormous(what),
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
            what if what.starts_with("looks") => return Err(looks(page, what)),
            what if what.starts_with("twice") => return twice(page, reply, &prompt),
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
        misbehave("models");
        if webai_adapter::config().contains("models many") {
            return Ok(many());
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

/// What the settings want of an export.
fn misbehave(export: &str) {
    let settings = webai_adapter::config();
    if settings.contains(&format!("{export} trap")) {
        unreachable!("as the settings want it");
    }
    while settings.contains(&format!("{export} loop")) {
        black_box(());
    }
}

/// More models than a site has, with longer names; and some that are none.
fn many() -> Vec<Model> {
    let odd = ["", "script", "new\nline"].map(|id| Model::new(id, "Odd"));
    let long = Model::new("l".repeat(100_000), "Long");
    let rest = (0..2000).map(|n| Model::new(format!("m{n}"), "x".repeat(1000)));
    [Model::new("script", "Script")].into_iter().chain(odd).chain([long]).chain(rest).collect()
}

/// Megabytes, where a word is expected: the last word of what is asked says how many.
fn enormous(what: &str) -> Result<Outcome, Failure> {
    let mut words = what.split(' ').skip(1);
    let (what, size) = (words.next().unwrap_or_default(), words.next().and_then(|size| size.parse().ok()));
    let text = "x".repeat(size.unwrap_or(1) << 20);
    match what {
        "conversation" => Ok(Outcome::stop().with_conversation(Some(text))),
        "model" => Ok(Outcome::stop().with_model(Some(text))),
        "message" => Err(Failure::InvalidRequest(text)),
        "code" => Err(Failure::Other(Fault { code: text, message: "see the code".into() })),
        "step" => Err(Failure::SiteChanged(Missing { step: text, selector: "testid=send".into() })),
        _ => Err(Failure::InvalidRequest("unknown".into())),
    }
}

/// A page that nobody has lent to it.
fn forged() -> Page {
    // SAFETY: the host looks at every number that it is given; that it does is what is tried here.
    Page::new(unsafe { bindings::page::Page::from_handle(4711) })
}

/// The reply, which comes after the page, without what the SDK sees to. It is closed by its owner, not by this.
fn second_handle() -> ManuallyDrop<bindings::reply::Reply> {
    // SAFETY: as above.
    ManuallyDrop::new(unsafe { bindings::reply::Reply::from_handle(2) })
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

/// What can be refused, with the number of the attempt.
fn numbered(mut attempt: impl FnMut(u32) -> Result<(), Fault>) -> impl FnMut() -> Result<(), PageError> {
    let mut numbers = 0..;
    move || attempt(numbers.next().unwrap_or_default()).map_err(PageError::Other)
}

/// More than any client wants to read.
fn flood(reply: &Reply) -> Result<Outcome, Failure> {
    let piece = "x".repeat(1 << 20);
    loop {
        reply.text(&piece);
    }
}

/// Fills in what the second word says, presses a key that sends nothing, and does not find what it looks for. Without `submitting`.
fn looks(page: &Page, what: &str) -> Failure {
    let text = match what.split(' ').nth(1) {
        Some("prompt") => what,
        Some("part") => what.get(..12).unwrap_or(what),
        _ => "a name",
    };
    match page.fill(COMPOSER, text).and_then(|()| page.press(COMPOSER, "Home")) {
        Ok(()) => Failure::changed("the model"),
        Err(error) => error.into(),
    }
}

/// Sends its prompt, and once more, in the way that the second word says. Tells what came of it, and how many messages the page then shows
/// as sent.
fn twice(page: &Page, reply: &Reply, prompt: &str) -> Result<Outcome, Failure> {
    page.fill(COMPOSER, prompt)?;
    page.click(SEND)?;
    // While it answers, the site itself takes no other.
    page.text("css=[data-testid=message][data-role=assistant]")?;
    let over = page.expect(&Condition::Hidden("testid=stop".into()))?;
    let is_over = |event: &Event| event.source == over && matches!(event.body, EventBody::Reached);
    while !page.next(Seconds(20))?.is_some_and(|event| is_over(&event)) {}
    let way = prompt.split(' ').nth(1).unwrap_or_default();
    let said = match page.within(Seconds(2), |page| again(page, way, prompt)) {
        Ok(()) => "it was done".into(),
        Err(PageError::Other(fault)) => fault.code,
        Err(error) => format!("{error:?}"),
    };
    // The page shows a message in the same moment in which it sends it.
    let sent = page.count("css=[data-testid=message][data-role=user]")?;
    reply.text(format!("{said}: {sent} sent"));
    Ok(Outcome::stop())
}

fn again(page: &Page, way: &str, prompt: &str) -> Result<(), PageError> {
    let (one, other) = prompt.split_at(prompt.len() / 2);
    match way {
        "halves" => {
            page.type_text(COMPOSER, one)?;
            page.type_text(COMPOSER, other)?;
            return page.click(SEND);
        }
        "added" => {
            page.fill(COMPOSER, one)?;
            page.type_text(COMPOSER, other)?;
            return page.press(COMPOSER, "Enter");
        }
        "wrapped" => page.fill(COMPOSER, &format!("[user]\n{prompt}\n"))?,
        _ => page.fill(COMPOSER, prompt)?,
    }
    match way {
        "press" => page.press(COMPOSER, "Enter"),
        "double" => page.double_click(SEND),
        "choose" => page.choose_files(SEND, &[]),
        "download" => page.save(&Source::Download(SEND.into())).map(drop),
        "copy" => page.copy(SEND).map(drop),
        _ => page.click(SEND),
    }
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

//! Does what the prompt says with the parts of the contract that move data: `rewrite`, `save`, `kv`, `discovery`.

use webai_adapter::{
    Adapter, BodyPart, Condition, Discovery, Edit, EventBody, Failure, Filter, Kind, Model, Outcome, Page, PageError, Reply,
    Request, Rewriting, Seconds, Source, kv, register,
};

const CHAT: &str = "http://demo.localhost/api/chat";

struct Data;

impl Adapter for Data {
    fn generate(page: &Page, reply: &Reply, request: &Request) -> Result<Outcome, Failure> {
        let prompt = request.prompt();
        let mut words = prompt.split(' ');
        match (words.next(), words.next(), words.next()) {
            (Some("rewrite"), pointer, value) => rewrite(page, reply, pointer.unwrap_or("/model"), value.unwrap_or("1"))?,
            (Some("set"), Some(key), value) => said(reply, kv::set(key, value.unwrap_or_default().as_bytes()))?,
            (Some("fill"), Some(size), _) => {
                said(reply, kv::set("large", &vec![7; size.parse().unwrap_or(0)]))?;
            }
            (Some("get"), Some(key), _) => {
                reply.text(kv::get(key).map_or("nothing".into(), |value| String::from_utf8_lossy(&value).into_owned()));
            }
            (Some("keys"), _, _) => drop(reply.text(kv::keys("").join(","))),
            (Some("delete"), Some(key), _) => said(reply, kv::delete(key))?,
            (Some("save"), Some(what), _) => save(page, reply, what)?,
            (Some("log"), Some(what), _) => {
                webai_adapter::info!("asked to log {what}");
                reply.text("the first version");
            }
            _ => return Err(Failure::InvalidRequest("unknown".into())),
        }
        Ok(Outcome::stop())
    }
}

impl Discovery for Data {
    fn models(_: &Page) -> Result<Vec<Model>, Failure> {
        Ok(vec![Model::new("script", "Script as shown"), Model::new("new one", "New").making(Kind::Image)])
    }
}

register!(Data, discovery);

fn said(reply: &Reply, result: Result<(), webai_adapter::Fault>) -> Result<(), Failure> {
    reply.text(result.map_or_else(|fault| fault.code, |()| "kept".into()));
    Ok(())
}

/// Sends with the site's default model, and changes the body on its way.
fn rewrite(page: &Page, reply: &Reply, pointer: &str, value: &str) -> Result<(), Failure> {
    let edits = vec![
        Edit::Set((pointer.into(), value.into())),
        Edit::Set(("/prompt".into(), "\"what the page never saw\"".into())),
    ];
    let rewrite = page.rewrite(&Rewriting { url: CHAT.into(), method: Some("POST".into()), edits })?;
    let filter = Filter { url: CHAT.into(), method: None, statuses: Vec::new(), content_types: Vec::new() };
    let answers = page.listen(&filter)?;
    page.fill("testid=composer", "from the page")?;
    reply.submitting();
    page.click("testid=send")?;
    let mut reached = false;
    while let Some(event) = page.next(Seconds(20))? {
        match event.body {
            EventBody::Reached if event.source == rewrite => reached = true,
            EventBody::Failed(why) if event.source == rewrite => {
                reply.text(format!("refused: {why}"));
                return Ok(());
            }
            EventBody::End(_) if event.source == answers => break,
            EventBody::Failed(why) if event.source == answers => return Err(Failure::Upstream(why)),
            _ => {}
        }
    }
    // The page shows what it sent, and what it was answered.
    page.expect(&Condition::Attached("testid=thread >> text=never saw".into()))?;
    page.next(Seconds(10))?;
    reply.text(format!("{reached}: {}", page.text("testid=thread")?));
    Ok(())
}

fn save(page: &Page, reply: &Reply, what: &str) -> Result<(), Failure> {
    let saved = match what {
        "icon" => page.save(&Source::Element("css=.brand img".into())),
        "url" => page.save(&Source::Url("http://demo.localhost/icon.svg".into())),
        "elsewhere" => page.save(&Source::Url("http://demo.localhost/style.css".into())),
        "body" => page.save(&Source::Body(BodyPart { source: 1, stream: 1, pointer: "no pointer".into() })),
        _ => return Err(Failure::InvalidRequest("unknown".into())),
    };
    match saved {
        Ok(saved) => {
            let there = reply.saved(&saved);
            reply.text(format!("{} {} {there}", saved.mime_type, saved.size));
        }
        Err(PageError::NotGranted(why)) => drop(reply.text(format!("not granted: {why}"))),
        Err(PageError::Other(fault)) => drop(reply.text(fault.code)),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

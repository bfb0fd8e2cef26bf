//! The adapter of the demo site, written as any author would write one: it knows what the page shows and sends, and nothing else.

mod rows;
mod wire;

use webai_adapter::{
    Account, Adapter, Answer, Discovery, Failure, Filter, Kind, Model, Outcome, Page, Reply, Request, Seconds, register,
};

const CHAT_URL: &str = "http://demo.localhost/api/chat";
const COMPOSER: &str = "testid=composer";
pub(crate) const SEND: &str = "testid=send";
pub(crate) const STOP: &str = "testid=stop";
const MODEL_NAME: &str = "testid=model-name";
/// The page says when it is ready for a person, and which of its views it shows.
const VIEW: &str = "css=body[data-ready], body[data-view=sign-in], body[data-view=challenge]";

struct Demo;

impl Adapter for Demo {
    fn probe(page: &Page) -> Result<Account, Failure> {
        page.step("see who is signed in");
        Ok(match view(page)?.as_str() {
            "challenge" => Account::Challenge,
            "sign-in" => Account::SignedOut,
            _ => Account::SignedIn(Some(page.text("testid=account")?)),
        })
    }

    fn generate(page: &Page, reply: &Reply, request: &Request) -> Result<Outcome, Failure> {
        page.step("look at the page");
        match view(page)?.as_str() {
            "challenge" => return Err(Failure::Challenge("the demo site wants a person".into())),
            "sign-in" => return Err(Failure::LoginRequired("nobody is signed in to the demo site".into())),
            _ => {}
        }
        limit_banner(page)?;
        let prompt = match (request.conversation(), request.new_turn()) {
            (Some(conversation), Some(new_turn)) => {
                open_chat(page, &conversation)?;
                new_turn
            }
            _ => request.prompt(),
        };
        choose_model(page, &request.model())?;
        set_thinking(page, request)?;
        attach(page, request)?;

        page.step("type the prompt");
        page.within(Seconds(5), |page| page.fill(COMPOSER, &prompt))?;

        if request.model() == "list" {
            return rows::answer(page, reply);
        }
        page.step("send");
        let answer = Answer::expect(page, &Filter::post(CHAT_URL), STOP)?;
        reply.submitting();
        page.within(Seconds(5), |page| page.click(SEND))?;

        page.step("read the answer");
        answer.read(reply, &mut wire::Stream::default())
    }
}

impl Discovery for Demo {
    /// The page's model menu. It opens and closes without a word to the site.
    fn models(page: &Page) -> Result<Vec<Model>, Failure> {
        page.step("see who is signed in");
        match view(page)?.as_str() {
            "challenge" => return Err(Failure::Challenge("the demo site wants a person".into())),
            "sign-in" => return Err(Failure::LoginRequired("nobody is signed in to the demo site".into())),
            _ => {}
        }
        page.step("open the model menu");
        page.click("testid=model-picker")?;
        page.text("testid=model-menu >> css=button >> nth=0")?;
        page.step("read the model menu");
        let mut models = Vec::new();
        for n in 0..page.count("testid=model-menu >> css=button")? {
            let item = format!("testid=model-menu >> css=button >> nth={n}");
            let name = page.attribute(&item, "data-testid")?.unwrap_or_default();
            let Some(id) = name.strip_prefix("model-") else { continue };
            let model = Model::new(id, page.text(&format!("{item} >> css=b"))?);
            models.push(if id == "image" { model.making(Kind::Image) } else { model });
        }
        page.press("testid=model-menu >> css=button >> nth=0", "Escape")?;
        Ok(models)
    }
}

register!(Demo, discovery);

fn view(page: &Page) -> Result<String, Failure> {
    Ok(page.attribute(VIEW, "data-view")?.unwrap_or_default())
}

/// A banner that was there before anything was sent.
pub(crate) fn limit_banner(page: &Page) -> Result<(), Failure> {
    const BANNER: &str = "testid=banner";
    if !page.visible(BANNER)? {
        return Ok(());
    }
    let text = page.text("testid=banner-text")?;
    let kind = page.attribute(BANNER, "data-kind")?.unwrap_or_default();
    let retry = page.attribute(BANNER, "data-retry-after")?.and_then(|s| s.parse().ok());
    match kind.as_str() {
        "rate_limited" => Err(Failure::rate_limited(text, retry)),
        "quota_exhausted" => Err(Failure::quota_exhausted(text, retry)),
        _ => Ok(()),
    }
}

/// Opens the chat that goes on. One that the site has deleted shows no messages.
fn open_chat(page: &Page, conversation: &str) -> Result<(), Failure> {
    page.step("open the chat");
    page.goto(&format!("http://demo.localhost/c/{conversation}"))?;
    let answer = "css=[data-testid=message][data-role=assistant]";
    match page.within(Seconds(5), |page| page.first_of(&[answer, "css=[data-testid=banner][data-kind=not_found]"]))? {
        0 => Ok(()),
        _ => Err(Failure::conversation_gone()),
    }
}

fn choose_model(page: &Page, model: &str) -> Result<(), Failure> {
    page.step("choose the model");
    let label = label(model)?;
    let shown = |page: &Page| page.within(Seconds(5), |page| page.text(MODEL_NAME));
    if shown(page)? == label {
        return Ok(());
    }
    page.click("testid=model-picker")?;
    let item = format!("testid=model-{model}");
    if page.within(Seconds(2), |page| page.text(&item)).is_err() {
        return Err(Failure::ModelUnavailable(format!("the demo site does not offer {label} now")));
    }
    page.click(&item)?;
    if shown(page)? == label {
        return Ok(());
    }
    Err(Failure::ModelUnavailable(format!("{label} could not be chosen")))
}

fn label(model: &str) -> Result<&'static str, Failure> {
    Ok(match model {
        "echo" => "Echo",
        "reasoner" => "Reasoner",
        "image" => "Image",
        "script" => "Script",
        "list" => "List",
        _ => return Err(Failure::ModelUnavailable(format!("the demo site has no model {model:?}"))),
    })
}

/// The toggle keeps its state between chats, so it is read first. Without a wish it stays as the model has it.
fn set_thinking(page: &Page, request: &Request) -> Result<(), Failure> {
    const TOGGLE: &str = "testid=thinking";
    let Some(effort) = request.setting("reasoning-effort") else { return Ok(()) };
    page.step("set thinking");
    let wanted = !matches!(effort.as_str(), "none" | "minimal");
    if page.checked(TOGGLE)? != wanted {
        page.click(TOGGLE)?;
    }
    Ok(())
}

fn attach(page: &Page, request: &Request) -> Result<(), Failure> {
    let files = request.attachment_indices();
    let count = files.len();
    if count == 0 {
        return Ok(());
    }
    page.step("attach files");
    page.attach("testid=file-input", &files)?;
    page.step("wait for the uploads");
    let last = format!("css=[data-testid=attachment]:not([data-state=uploading]) >> nth={}", count - 1);
    page.within(Seconds(60), |page| page.text(&last))?;
    match page.count("css=[data-testid=attachment][data-state=failed]")? {
        0 => Ok(()),
        failed => Err(Failure::InvalidRequest(format!("the site refused {failed} of {count} files"))),
    }
}

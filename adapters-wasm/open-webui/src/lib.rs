//! The adapter of Open WebUI: a request that is answered at once, and an answer that comes on a socket.io WebSocket.

mod wire;

use webai_adapter::{
    Account, Adapter, Answer, Discovery, Failure, Filter, Model, Outcome, Page, PageError, Reply, Request, Seconds,
    register,
};

const ENTRY: &str = "http://open-webui.localhost/";
const TEMPORARY: &str = "http://open-webui.localhost/?temporary-chat=true";
const COMPLETIONS: &str = "http://open-webui.localhost/api/chat/completions";
const SOCKET: &str = "ws://open-webui.localhost/ws/socket.io/";
const COMPOSER: &str = "css=#chat-input";
const SEND: &str = "css=#send-message-button";
const STOP: &str = "css=button[aria-label=\"Stop\"]";
const SIGN_IN: &str = "css=form:has(input[type=\"password\"])";
const MODEL: &str = "css=#model-selector-model-button";
const OPTIONS: &str = "css=#model-selector-list [role=\"option\"]";
/// What is new in this version, shown until somebody closes it; the server remembers that.
const NEWS: &str = "css=[role=\"dialog\"][aria-modal=\"true\"]";
/// The page as it was chosen by the operator.
const DEFAULT: &str = "default";

struct OpenWebUi;

impl Adapter for OpenWebUi {
    fn probe(page: &Page) -> Result<Account, Failure> {
        page.step("see who is signed in");
        Ok(match page.within(Seconds(20), |page| page.first_of(&[SIGN_IN, COMPOSER]))? {
            0 => Account::SignedOut,
            _ => Account::SignedIn(None),
        })
    }

    fn generate(page: &Page, reply: &Reply, request: &Request) -> Result<Outcome, Failure> {
        page.step("open a new chat");
        // The socket is opened with the page, so it is listened to before.
        let answer = Answer::expect(page, &Filter::post(COMPLETIONS), STOP)?.or_on_socket(SOCKET)?;
        page.goto(if request.temporary() { TEMPORARY } else { ENTRY })?;
        signed_in(page)?;
        close_news(page)?;
        choose_model(page, &request.model())?;
        attach(page, request)?;

        page.step("type the prompt");
        page.fill(COMPOSER, &request.prompt())?;

        page.step("send");
        reply.submitting();
        page.click(SEND)?;

        page.step("read the answer");
        answer.read(reply, &mut wire::Stream::default())
    }
}

impl Discovery for OpenWebUi {
    fn models(page: &Page) -> Result<Vec<Model>, Failure> {
        signed_in(page)?;
        close_news(page)?;
        page.step("read the model menu");
        let mut models = vec![Model::new(DEFAULT, "The model that the page has chosen")];
        open_menu(page)?;
        for n in 0..page.count(OPTIONS)? {
            if let Some(id) = page.attribute(&option(n), "data-value")? {
                models.push(Model::new(id, page.text(&option(n))?.trim()));
            }
        }
        close_menu(page)?;
        Ok(models)
    }
}

register!(OpenWebUi, discovery);

/// Waits until the page shows who is there.
fn signed_in(page: &Page) -> Result<(), Failure> {
    match OpenWebUi::probe(page)? {
        Account::SignedOut => Err(Failure::LoginRequired("nobody is signed in to Open WebUI".into())),
        _ => Ok(()),
    }
}

/// It covers the composer, and may come a moment after it.
fn close_news(page: &Page) -> Result<(), Failure> {
    if page.visible(NEWS)? {
        page.step("close what is new");
        page.click(&format!("{NEWS} >> css=button[aria-label=\"Close\"]"))?;
    }
    Ok(())
}

/// Chosen in the menu, and looked at there again. An address may name a model, too, but for one that is not there the page takes
/// another without a word.
fn choose_model(page: &Page, model: &str) -> Result<(), Failure> {
    page.step("choose the model");
    let chosen = format!("{MODEL}[aria-label^=\"Selected model\"]");
    if model == DEFAULT {
        return match page.within(Seconds(10), |page| page.attribute(&chosen, "aria-label")) {
            Ok(_) => Ok(()),
            Err(PageError::NotFound(_)) => Err(Failure::ModelUnavailable("no model is chosen in Open WebUI".into())),
            Err(error) => Err(error.into()),
        };
    }
    open_menu(page)?;
    if is_chosen(page, model)? {
        return close_menu(page);
    }
    let Some(place) = place(page, model)? else {
        return Err(Failure::ModelUnavailable(format!("Open WebUI does not offer {model:?} to this account")));
    };
    page.click(&option(place))?;
    open_menu(page)?;
    let chosen = is_chosen(page, model)?;
    close_menu(page)?;
    if chosen { Ok(()) } else { Err(Failure::ModelUnavailable(format!("{model:?} could not be chosen"))) }
}

fn open_menu(page: &Page) -> Result<(), Failure> {
    page.click(MODEL)?;
    page.text(&option(0))?;
    Ok(())
}

fn close_menu(page: &Page) -> Result<(), Failure> {
    Ok(page.press("css=#model-search-input", "Escape")?)
}

fn option(place: u32) -> String {
    format!("{OPTIONS} >> nth={place}")
}

/// Where in the open menu a model is.
fn place(page: &Page, model: &str) -> Result<Option<u32>, Failure> {
    for place in 0..page.count(OPTIONS)? {
        if page.attribute(&option(place), "data-value")?.as_deref() == Some(model) {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

fn is_chosen(page: &Page, model: &str) -> Result<bool, Failure> {
    let Some(place) = place(page, model)? else { return Ok(false) };
    Ok(page.attribute(&option(place), "aria-selected")?.as_deref() == Some("true"))
}

/// A file's chip shows at once, and spins until the server has read the file.
fn attach(page: &Page, request: &Request) -> Result<(), Failure> {
    let files = request.attachment_indices();
    if files.is_empty() {
        return Ok(());
    }
    page.step("attach files");
    page.attach("css=input[type=\"file\"]:not([accept])", &files)?;
    Ok(())
}

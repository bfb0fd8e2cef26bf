//! The adapter of Kimi: binary envelopes, each a change to a block of the answer.

mod wire;

use webai_adapter::{
    Account, Adapter, Answer, Failure, Filter, Outcome, Page, Reply, Request, Seconds, chat, register, signs,
};

const CHAT: &str = "https://www.kimi.com/apiv2/kimi.gateway.chat.v1.ChatService/Chat";
/// What was said in a chat.
const MESSAGE: &str = "css=.segment-assistant";
const COMPOSER: &str = "css=.chat-input-editor";
/// One element in three states: with nothing to send, with something, and while an answer comes.
const SEND: &str = "css=.send-button-container:not(.disabled):not(.stop)";
const STOP: &str = "css=.send-button-container.stop";
const SIGN_IN: &str = "(css=.phone-login-action) | (role=button[name=/^(log in|\u{767b}\u{5f55})$/i]) >> visible=true";
const MODEL: &str = "css=.current-model .model-name";
/// A file of a message, or of the one that is being written.
const CARD: &str = "css=.file-card-container, .image-thumbnail";

struct Kimi;

impl Adapter for Kimi {
    fn probe(page: &Page) -> Result<Account, Failure> {
        page.step("see who is signed in");
        Ok(match page.first_of(&[signs::CHALLENGE, SIGN_IN, COMPOSER])? {
            0 => Account::Challenge,
            1 => Account::SignedOut,
            _ => Account::SignedIn(None),
        })
    }

    fn generate(page: &Page, reply: &Reply, request: &Request) -> Result<Outcome, Failure> {
        let (chat, prompt) = match (request.conversation(), request.new_turn()) {
            (Some(id), Some(new_turn)) => {
                chat::open(page, &format!("https://www.kimi.com/chat/{id}"), MESSAGE, || signed_in(page))?;
                (Some(id), new_turn)
            }
            _ => {
                page.step("open a new chat");
                page.back_to_entry()?;
                signed_in(page)?;
                (None, request.prompt())
            }
        };
        choose_model(page, &request.model())?;
        attach(page, request)?;

        page.step("type the prompt");
        page.fill(COMPOSER, &prompt)?;

        page.step("send");
        // Without a session the composer is there all the same, and sending opens the sign-in dialog.
        let answer = Answer::expect(page, &Filter::post(CHAT), STOP)?.unless(SIGN_IN, signed_out())?;
        reply.submitting();
        page.click(SEND)?;

        page.step("read the answer");
        answer.read(reply, &mut wire::Stream::of(chat))
    }
}

register!(Kimi);

fn signed_out() -> Failure {
    Failure::LoginRequired("nobody is signed in to Kimi".into())
}

fn signed_in(page: &Page) -> Result<(), Failure> {
    match Kimi::probe(page)? {
        Account::Challenge => Err(Failure::Challenge("Kimi wants a person".into())),
        Account::SignedOut => Err(signed_out()),
        _ => Ok(()),
    }
}

fn choose_model(page: &Page, model: &str) -> Result<(), Failure> {
    page.step("choose the model");
    let label = match model {
        "k2.6" => "K2.6",
        "k2.6-thinking" => "K2.6 Thinking",
        _ => return Err(Failure::ModelUnavailable(format!("Kimi has no model {model:?}"))),
    };
    if page.text(MODEL)?.trim() == label {
        return Ok(());
    }
    page.click(MODEL)?;
    let item = format!("css=.model-item, [role=\"menuitem\"] >> has=(text=\"{label}\")");
    if page.within(Seconds(2), |page| page.text(&item)).is_err() {
        return Err(Failure::ModelUnavailable(format!("Kimi does not offer {label} to this account now")));
    }
    page.click(&item)?;
    let chosen = format!("{MODEL} >> has-text=/^{}$/", label.replace('.', "\\."));
    match page.within(Seconds(5), |page| page.text(&chosen)) {
        Ok(_) => Ok(()),
        Err(_) => Err(Failure::ModelUnavailable(format!("{label} could not be chosen"))),
    }
}

/// A file's card shows when the site has it. A chat that goes on has those of earlier messages too.
fn attach(page: &Page, request: &Request) -> Result<(), Failure> {
    let files = request.attachment_indices();
    if files.is_empty() {
        return Ok(());
    }
    page.step("attach files");
    let before = page.count(CARD)? as usize;
    page.attach("css=input[type=\"file\"]", &files)?;
    page.step("wait for the uploads");
    let last = format!("{CARD} >> nth={}", before + files.len() - 1);
    page.within(Seconds(60), |page| page.text(&last))?;
    Ok(())
}

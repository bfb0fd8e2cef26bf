//! The adapter of Kimi: binary envelopes, each a change to a block of the answer.

mod wire;

use webai_adapter::{
    Account, Adapter, Answer, Failure, Filter, Outcome, Page, Reply, Request, Seconds, register, signs,
};

const CHAT: &str = "https://www.kimi.com/apiv2/kimi.gateway.chat.v1.ChatService/Chat";
const COMPOSER: &str = "css=.chat-input-editor";
/// One element in three states: with nothing to send, with something, and while an answer comes.
const SEND: &str = "css=.send-button-container:not(.disabled):not(.stop)";
const STOP: &str = "css=.send-button-container.stop";
const SIGN_IN: &str = "(css=.phone-login-action) | (role=button[name=/^(log in|\u{767b}\u{5f55})$/i]) >> visible=true";
const MODEL: &str = "css=.current-model .model-name";

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
        let signed_out = || Failure::LoginRequired("nobody is signed in to Kimi".into());
        page.step("open a new chat");
        page.back_to_entry()?;
        match Self::probe(page)? {
            Account::Challenge => return Err(Failure::Challenge("Kimi wants a person".into())),
            Account::SignedOut => return Err(signed_out()),
            _ => {}
        }
        choose_model(page, &request.model())?;
        attach(page, request)?;

        page.step("type the prompt");
        page.fill(COMPOSER, &request.prompt())?;

        page.step("send");
        // Without a session the composer is there all the same, and sending opens the sign-in dialog.
        let answer = Answer::expect(page, &Filter::post(CHAT), STOP)?.unless(SIGN_IN, signed_out())?;
        reply.submitting();
        page.click(SEND)?;

        page.step("read the answer");
        answer.read(reply, &mut wire::Stream::default())
    }
}

register!(Kimi);

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

/// A file's card shows when the site has it.
fn attach(page: &Page, request: &Request) -> Result<(), Failure> {
    let files = request.attachment_indices();
    let Some(last) = files.last() else { return Ok(()) };
    page.step("attach files");
    page.attach("css=input[type=\"file\"]", &files)?;
    page.step("wait for the uploads");
    let card = format!("css=.file-card-container, .image-thumbnail >> nth={last}");
    page.within(Seconds(60), |page| page.text(&card))?;
    Ok(())
}

//! The adapter of DeepSeek: fragments of thoughts, searches and text in one stream of patches.

mod wire;

use webai_adapter::{
    Account, Adapter, Answer, Failure, Filter, Outcome, Page, Reply, Request, Seconds, chat, register, signs,
};

const COMPLETION: &str = "https://chat.deepseek.com/api/v0/chat/completion";
/// A chat's address, before its id.
const CHAT: &str = "https://chat.deepseek.com/a/chat/s/";
/// What was said in a chat.
const MESSAGE: &str = "css=.ds-message";
const COMPOSER: &str = "css=textarea.ds-scroll-area, textarea#chat-input, textarea[placeholder*=\"DeepSeek\"]";
/// Send and stop are one element. With an empty box it can be pressed only while an answer comes.
const SEND: &str = "css=input[type=\"file\"] + div[role=\"button\"][aria-disabled=\"false\"]";
const SIGN_IN: &str =
    "(css=input[type=\"password\"]) | (role=button[name=/^(log in|\u{767b}\u{5f55})$/i]) >> visible=true";
const DEEP_THINK: &str = "role=button[name=/deepthink|\u{6df1}\u{5ea6}\u{601d}\u{8003}/i]";
const SEARCH: &str = "role=button[name=/search|\u{8054}\u{7f51}\u{641c}\u{7d22}|\u{667a}\u{80fd}\u{641c}\u{7d22}/i]";

struct DeepSeek;

impl Adapter for DeepSeek {
    fn probe(page: &Page) -> Result<Account, Failure> {
        page.step("see who is signed in");
        Ok(match page.first_of(&[signs::CHALLENGE, SIGN_IN, COMPOSER])? {
            0 => Account::Challenge,
            1 => Account::SignedOut,
            _ => Account::SignedIn(None),
        })
    }

    fn generate(page: &Page, reply: &Reply, request: &Request) -> Result<Outcome, Failure> {
        let model = request.model();
        let mode = mode(&model)?;
        let prompt = match (request.conversation(), request.new_turn()) {
            // Its mode is fixed, and is offered no more.
            (Some(id), Some(new_turn)) => {
                chat::open(page, &format!("{CHAT}{id}"), MESSAGE, || signed_in(page))?;
                new_turn
            }
            _ => {
                page.step("open a new chat");
                page.back_to_entry()?;
                signed_in(page)?;
                choose_mode(page, &model, mode)?;
                request.prompt()
            }
        };
        page.step("set thinking and search");
        toggle(page, DEEP_THINK, request.setting("reasoning-effort").map(|effort| is_on(&effort)))?;
        toggle(page, SEARCH, request.setting("web-search").map(|search| is_on(&search)))?;
        page.step("type the prompt");
        page.fill(COMPOSER, &prompt)?;
        attach(page, request)?;

        page.step("send");
        let answer = Answer::expect(page, &Filter::post(COMPLETION), SEND)?;
        reply.submitting();
        page.click(SEND)?;

        page.step("read the answer");
        let outcome = answer.read(reply, &mut wire::Stream::new(mode))?;
        Ok(outcome.with_conversation(conversation(&page.url()?)))
    }
}

register!(DeepSeek);

fn signed_in(page: &Page) -> Result<(), Failure> {
    match DeepSeek::probe(page)? {
        Account::Challenge => Err(Failure::Challenge("DeepSeek wants a person".into())),
        Account::SignedOut => Err(Failure::LoginRequired("nobody is signed in to DeepSeek".into())),
        _ => Ok(()),
    }
}

/// What the wire and the buttons call a model.
fn mode(model: &str) -> Result<&'static str, Failure> {
    Ok(match model {
        "instant" => "default",
        "expert" => "expert",
        "vision" => "vision",
        _ => return Err(Failure::ModelUnavailable(format!("DeepSeek has no model {model:?}"))),
    })
}

/// The mode is fixed with the first message, so this wants a new chat.
fn choose_mode(page: &Page, model: &str, mode: &str) -> Result<(), Failure> {
    page.step("choose the model");
    let button = format!("css=div[data-model-type=\"{mode}\"]");
    if page.count(&button)? == 0 {
        // An account without the choice has the default.
        let no_choice = mode == "default" && page.count("css=div[data-model-type]")? == 0;
        let none = || Failure::ModelUnavailable(format!("DeepSeek does not offer {model} to this account now"));
        return if no_choice { Ok(()) } else { Err(none()) };
    }
    if !page.checked(&button)? {
        page.click(&button)?;
    }
    if page.checked(&button)? { Ok(()) } else { Err(Failure::ModelUnavailable(format!("{model} could not be chosen"))) }
}

fn is_on(setting: &str) -> bool {
    !matches!(setting, "none" | "minimal" | "false" | "off")
}

/// The site remembers its toggles between chats, so they are read first. Without a wish they stay as they are.
fn toggle(page: &Page, selector: &str, wanted: Option<bool>) -> Result<(), Failure> {
    let Some(wanted) = wanted else { return Ok(()) };
    // Expert and Vision have no search.
    if page.count(selector)? == 0 && !wanted {
        return Ok(());
    }
    let is_on = |page: &Page| -> Result<bool, Failure> {
        let class = page.attribute(selector, "class")?.unwrap_or_default();
        Ok(class.split_whitespace().any(|name| name == "ds-toggle-button--selected"))
    };
    if is_on(page)? == wanted {
        return Ok(());
    }
    page.click(selector)?;
    if is_on(page)? == wanted { Ok(()) } else { Err(Failure::changed(selector)) }
}

/// With a prompt in the box, the button can be pressed as soon as the site has read all files.
fn attach(page: &Page, request: &Request) -> Result<(), Failure> {
    let files = request.attachment_indices();
    if files.is_empty() {
        return Ok(());
    }
    page.step("attach files");
    page.attach("css=input[type=\"file\"]", &files)?;
    page.step("wait for the uploads");
    page.within(Seconds(60), |page| page.attribute(SEND, "role"))?;
    Ok(())
}

/// The chat's id is in the address only.
fn conversation(url: &str) -> Option<String> {
    let id = url.strip_prefix(CHAT)?;
    Some(id.split(['?', '#', '/']).next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chat_is_named_in_the_address() {
        assert_eq!(conversation("https://chat.deepseek.com/a/chat/s/ab-1?x=2").as_deref(), Some("ab-1"));
        assert_eq!(conversation("https://chat.deepseek.com/"), None);
    }
}

//! The adapter of Gemini: each piece of the wire has the whole answer so far.

mod models;
mod wire;

use webai_adapter::{
    Account, Adapter, Answer, Ending, EventBody, Failure, Filter, Outcome, Page, Reply, Request, Seconds, register,
    signs,
};

const GENERATE: &str = "https://gemini.google.com/_/BardChatUi/data/assistant.lamda.BardFrontendService/StreamGenerate";
/// A file takes two requests; only the second has its id in the address.
const UPLOAD: &str = "https://push.clients6.google.com/upload/**";
/// Where Google asks whether a visitor is a robot.
const SORRY: &str = "https://www.google.com";
const COMPOSER: &str = "css=rich-textarea .ql-editor[contenteditable=\"true\"]";
const SEND: &str = "role=button[name=/^(send message|send|\u{53d1}\u{9001}|\u{50b3}\u{9001}\u{8a0a}\u{606f})$/i]";
const STOP: &str = "(css=.send-button.stop) | (role=button[name=/^stop response|\u{505c}\u{6b62}\u{751f}\u{6210}|\u{505c}\u{6b62}\u{56de}\u{61c9}/i])";
/// The composer is there for visitors too.
const SIGN_IN: &str = "css=a[href*=\"accounts.google.com/ServiceLogin\"]";
const TEMPORARY: &str = "css=temp-chat-button button";
const SIDE_MENU: &str = "css=button[data-test-id=\"side-nav-menu-button\"]";
const ADD: &str =
    "role=button[name=/^(upload (and|&) tools|open upload file menu|\u{4e0a}\u{4f20}\u{548c}\u{5de5}\u{5177})/i]";
const ADD_FILES: &str = "role=menuitem[name=/upload files|\u{4e0a}\u{4f20}\u{6587}\u{4ef6}/i]";

struct Gemini;

impl Adapter for Gemini {
    fn probe(page: &Page) -> Result<Account, Failure> {
        page.step("see who is signed in");
        if page.url()?.starts_with(SORRY) {
            return Ok(Account::Challenge);
        }
        Ok(match page.first_of(&[signs::CHALLENGE, SIGN_IN, COMPOSER])? {
            0 => Account::Challenge,
            1 => Account::SignedOut,
            _ => Account::SignedIn(None),
        })
    }

    fn generate(page: &Page, reply: &Reply, request: &Request) -> Result<Outcome, Failure> {
        page.step("open a new chat");
        page.back_to_entry()?;
        match Self::probe(page)? {
            Account::Challenge => return Err(Failure::Challenge("Google wants a person".into())),
            Account::SignedOut => return Err(Failure::LoginRequired("nobody is signed in to Gemini".into())),
            _ => {}
        }
        if request.temporary() {
            open_temporary(page)?;
        }
        models::choose(page, &request.model())?;
        attach(page, request)?;

        page.step("type the prompt");
        page.fill(COMPOSER, &request.prompt())?;

        page.step("send");
        let answer = Answer::expect(page, &Filter::post(GENERATE), STOP)?;
        reply.submitting();
        page.click(SEND)?;

        page.step("read the answer");
        answer.read(reply, &mut wire::Stream::default())
    }
}

register!(Gemini);

/// The button of narrow pages lies behind a menu.
fn open_temporary(page: &Page) -> Result<(), Failure> {
    page.step("open a temporary chat");
    if !page.visible(TEMPORARY)? {
        page.click(SIDE_MENU)?;
    }
    Ok(page.click(TEMPORARY)?)
}

/// The site has a file when the request with its id has answered.
fn attach(page: &Page, request: &Request) -> Result<(), Failure> {
    let files = request.attachment_indices();
    if files.is_empty() {
        return Ok(());
    }
    page.step("attach files");
    let uploads = page.listen(&Filter::post(UPLOAD))?;
    page.click(ADD)?;
    page.choose_files(ADD_FILES, &files)?;
    page.step("wait for the uploads");
    let (mut missing, mut streams) = (files.len(), Vec::new());
    while missing > 0 {
        let Some(event) = page.next(Seconds(60))? else {
            return Err(Failure::Timeout(format!("{missing} of {} files were not uploaded", files.len())));
        };
        match event.body {
            _ if event.source != uploads => {}
            EventBody::Response(head) if !head.url.contains("upload_id=") => {}
            EventBody::Response(head) if head.status == 200 => streams.push(event.stream),
            EventBody::Response(head) => {
                return Err(Failure::InvalidRequest(format!("Gemini refused a file with status {}", head.status)));
            }
            EventBody::End(Ending::Complete | Ending::Aborted) if streams.contains(&event.stream) => missing -= 1,
            EventBody::Failed(why) => return Err(Failure::Upstream(format!("an upload broke off: {why}"))),
            _ => {}
        }
    }
    page.stop_listening(uploads);
    Ok(())
}

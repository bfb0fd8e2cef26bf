//! The adapter of ChatGPT: several messages in one stream of patches, which may go on in a WebSocket.

mod models;
mod wire;

use webai_adapter::{
    Account, Adapter, Answer, Ending, EventBody, Failure, Filter, Outcome, Page, Reply, Request, Seconds, register,
    signs,
};

const CONVERSATION: &str = "https://chatgpt.com/backend-api/f/conversation";
/// Where the page's own socket is depends on what the site answers it.
const SOCKET: &str = "wss://*.chatgpt.com/**";
const UPLOADED: &str = "https://chatgpt.com/backend-api/files/process_upload_stream";
const TEMPORARY: &str = "https://chatgpt.com/?temporary-chat=true";
const COMPOSER: &str = "css=#prompt-textarea";
const SEND: &str = "css=button[data-testid=\"send-button\"]";
const STOP: &str = "css=button[data-testid=\"stop-button\"]";
/// The composer is there for visitors too.
const SIGN_IN: &str = "css=[data-testid=\"login-button\"], [data-testid=\"signup-button\"]";
const ADD_FILES: &str = "role=button[name=/add files|\u{6dfb}\u{52a0}/i]";

struct ChatGpt;

impl Adapter for ChatGpt {
    fn probe(page: &Page) -> Result<Account, Failure> {
        page.step("see who is signed in");
        Ok(match page.first_of(&[signs::CHALLENGE, SIGN_IN, COMPOSER])? {
            0 => Account::Challenge,
            1 => Account::SignedOut,
            _ => Account::SignedIn(None),
        })
    }

    fn generate(page: &Page, reply: &Reply, request: &Request) -> Result<Outcome, Failure> {
        page.step("open a new chat");
        // The socket may be opened with the page, so this comes first.
        let answer = Answer::expect(page, &Filter::post(CONVERSATION), STOP)?.or_on_socket(SOCKET)?;
        if request.temporary() {
            page.goto(TEMPORARY)?
        } else {
            page.back_to_entry()?
        }
        match Self::probe(page)? {
            Account::Challenge => return Err(Failure::Challenge("ChatGPT wants a person".into())),
            Account::SignedOut => return Err(Failure::LoginRequired("nobody is signed in to ChatGPT".into())),
            _ => {}
        }
        models::choose(page, &request.model())?;
        attach(page, request)?;

        page.step("type the prompt");
        page.fill(COMPOSER, &request.prompt())?;

        page.step("send");
        if page.visible(SIGN_IN)? {
            return Err(Failure::LoginRequired("nobody is signed in to ChatGPT".into()));
        }
        reply.submitting();
        page.click(SEND)?;

        page.step("read the answer");
        answer.read(reply, &mut wire::Stream::default())
    }
}

register!(ChatGpt);

/// The site has a file when its last request for it has answered.
fn attach(page: &Page, request: &Request) -> Result<(), Failure> {
    let files = request.attachment_indices();
    if files.is_empty() {
        return Ok(());
    }
    page.step("attach files");
    let uploads = page.listen(&Filter::post(UPLOADED))?;
    page.choose_files(ADD_FILES, &files)?;
    page.step("wait for the uploads");
    let mut missing = files.len();
    while missing > 0 {
        let Some(event) = page.next(Seconds(60))? else {
            return Err(Failure::Timeout(format!("{missing} of {} files were not uploaded", files.len())));
        };
        match event.body {
            _ if event.source != uploads => {}
            EventBody::Response(head) if head.status != 200 => {
                return Err(Failure::InvalidRequest(format!("ChatGPT refused a file with status {}", head.status)));
            }
            EventBody::End(Ending::Complete | Ending::Aborted) => missing -= 1,
            EventBody::Failed(why) => return Err(Failure::Upstream(format!("an upload broke off: {why}"))),
            _ => {}
        }
    }
    page.stop_listening(uploads);
    Ok(())
}

//! The adapter of Gemini Enterprise: a page of nested shadow roots, whose requests are told the model, and whose pictures come
//! when somebody looks at them.

mod pictures;
mod wire;

use serde::Deserialize;
use webai_adapter::{
    Account, Adapter, Answer, Ending, EventBody, Failure, Filter, Outcome, Page, PageError, Reply, Request, Rewriting,
    Seconds, config, register, signs,
};

const ASSIST: &str = "https://biz-discoveryengine.googleapis.com/v1alpha/locations/global/widgetStreamAssist";
const UPLOAD: &str = "https://biz-discoveryengine.googleapis.com/v1alpha/locations/global/widgetAddContextFile";
const COMPOSER: &str = "css=ucs-prosemirror-editor .ProseMirror";
const SEND: &str = "css=md-icon-button.send-button.submit";
const STOP: &str = "(css=.stop-button) | (role=button[name=/^(stop|\u{505c}\u{6b62})$/i])";
const SIGN_IN: [&str; 2] = ["https://auth.business.gemini.google", "https://accounts.google.com"];

/// What the operator says of the site.
#[derive(Deserialize)]
struct Settings {
    /// Of the address that the company gave: `https://business.gemini.google/home/cid/<this>`.
    cid: String,
}

struct GeminiEnterprise;

impl Adapter for GeminiEnterprise {
    fn probe(page: &Page) -> Result<Account, Failure> {
        page.step("see who is signed in");
        let url = page.url()?;
        if SIGN_IN.iter().any(|origin| url.starts_with(origin)) {
            return Ok(Account::SignedOut);
        }
        Ok(match page.first_of(&[signs::CHALLENGE, COMPOSER])? {
            0 => Account::Challenge,
            _ => Account::SignedIn(None),
        })
    }

    fn generate(page: &Page, reply: &Reply, request: &Request) -> Result<Outcome, Failure> {
        page.step("open a new chat");
        match page.goto(&home()?) {
            // The site would lead to its sign-in page, where an adapter does not go.
            Err(PageError::OriginDenied(origin)) if SIGN_IN.contains(&origin.as_str()) => return Err(signed_out()),
            opened => opened?,
        }
        match Self::probe(page)? {
            Account::Challenge => return Err(Failure::Challenge("Gemini Enterprise wants a person".into())),
            Account::SignedOut => return Err(signed_out()),
            _ => {}
        }
        attach(page, request)?;
        page.step("choose the model");
        page.rewrite(&choice(&request.model()))?;

        page.step("type the prompt");
        page.fill(COMPOSER, &request.prompt())?;

        page.step("send");
        let answer = Answer::expect(page, &Filter::post(ASSIST), STOP)?;
        let mut pictures = pictures::Pictures::expect(page)?;
        reply.submitting();
        page.click(SEND)?;

        page.step("read the answer");
        let mut stream = wire::Stream::default();
        let outcome = answer.read_among(reply, &mut stream, |event| pictures.take(event))?;
        page.step("wait for the pictures");
        pictures.collect(page, reply, stream.files())?;
        Ok(outcome)
    }
}

register!(GeminiEnterprise);

fn signed_out() -> Failure {
    Failure::LoginRequired("nobody is signed in to Gemini Enterprise".into())
}

fn home() -> Result<String, Failure> {
    let settings: Settings =
        serde_json::from_str(&config()).map_err(|error| Failure::InvalidRequest(error.to_string()))?;
    if settings.cid.is_empty() || !settings.cid.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        let cure =
            "set backend.adapter.gemini-enterprise.cid to the last part of https://business.gemini.google/home/cid/...";
        return Err(Failure::InvalidRequest(cure.into()));
    }
    Ok(format!("https://business.gemini.google/home/cid/{}", settings.cid))
}

/// The page's request with the model that was asked for. A picture is a tool's work, whatever the model.
fn choice(model: &str) -> Rewriting {
    let rewriting = Rewriting::of(ASSIST).only("POST");
    if model == "image" {
        return rewriting.set("/streamAssistRequest/toolsSpec", r#"{"imageGenerationSpec":{}}"#);
    }
    let config = serde_json::json!({ "modelId": model });
    rewriting.set("/streamAssistRequest/assistGenerationConfig", config.to_string())
}

/// The site has a file when its request has answered.
fn attach(page: &Page, request: &Request) -> Result<(), Failure> {
    let files = request.attachment_indices();
    if files.is_empty() {
        return Ok(());
    }
    page.step("attach files");
    let uploads = page.listen(&Filter::post(UPLOAD))?;
    page.attach("css=input[type=\"file\"] >> nth=0", &files)?;
    page.step("wait for the uploads");
    let mut missing = files.len();
    while missing > 0 {
        let Some(event) = page.next(Seconds(60))? else {
            return Err(Failure::Timeout(format!("{missing} of {} files were not uploaded", files.len())));
        };
        match event.body {
            _ if event.source != uploads => {}
            EventBody::Response(head) if head.status == 400 => {
                return Err(Failure::InvalidRequest("Gemini Enterprise takes no files of this type".into()));
            }
            EventBody::Response(head) if head.status != 200 => {
                return Err(Failure::Upstream(format!("an upload was answered with status {}", head.status)));
            }
            EventBody::End(Ending::Complete | Ending::Aborted) => missing -= 1,
            EventBody::Failed(why) => return Err(Failure::Upstream(format!("an upload broke off: {why}"))),
            _ => {}
        }
    }
    page.stop_listening(uploads);
    Ok(())
}

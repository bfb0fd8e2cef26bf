//! The adapter of llama.cpp's own web page: its server answers on this machine, with a model of the operator's.

mod wire;

use webai_adapter::{Account, Adapter, Answer, Failure, Filter, Outcome, Page, Reply, Request, Seconds, register};

const COMPLETIONS: &str = "http://llama-cpp.localhost/v1/chat/completions";
const COMPOSER: &str = "css=form textarea";
const SEND: &str = "css=form button[type=\"submit\"]";
const STOP: &str = "css=form >> role=button[name=\"Stop\"]";

struct LlamaCpp;

impl Adapter for LlamaCpp {
    /// There is nobody to sign in.
    fn probe(page: &Page) -> Result<Account, Failure> {
        page.step("see whether the page is there");
        page.enabled(COMPOSER)?;
        Ok(Account::SignedIn(None))
    }

    fn generate(page: &Page, reply: &Reply, request: &Request) -> Result<Outcome, Failure> {
        let model = request.model();
        if model != "default" {
            return Err(Failure::ModelUnavailable(format!(
                "a llama.cpp server has one model, \"default\", not {model:?}"
            )));
        }
        page.step("open a new chat");
        page.back_to_entry()?;
        page.within(Seconds(20), |page| page.enabled(COMPOSER))?;
        attach(page, request)?;

        page.step("type the prompt");
        page.fill(COMPOSER, &request.prompt())?;

        page.step("send");
        let answer = Answer::expect(page, &Filter::post(COMPLETIONS), STOP)?;
        reply.submitting();
        page.click(SEND)?;

        page.step("read the answer");
        answer.read(reply, &mut wire::Stream::default())
    }
}

register!(LlamaCpp);

/// The page reads files itself and makes them part of the prompt; one that it has read can be taken away again.
fn attach(page: &Page, request: &Request) -> Result<(), Failure> {
    let files = request.attachment_indices();
    let Some(last) = files.last() else { return Ok(()) };
    page.step("attach files");
    page.attach("css=input[type=\"file\"]", &files)?;
    page.step("wait for the files");
    let shown = format!("css=form >> role=button[name=/remove/i] >> nth={last}");
    page.within(Seconds(20), |page| page.attribute(&shown, "type"))?;
    Ok(())
}

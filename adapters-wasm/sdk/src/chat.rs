//! A chat of the site's that is to go on.

use std::time::Duration;

use crate::{Condition, EventBody, Failure, Page, PageError, Seconds, now};

// Both together leave time before the host's deadline for sending (15 seconds): one who is late could not say that the chat is gone, and
// the host would never begin a new one.
/// In which a site shows what was said in a chat, after its page has loaded.
const SHOWN: Duration = Duration::from_secs(5);
/// In which it shows who is signed in.
const SIGNED_IN: Seconds = Seconds(3);

/// Opens a chat at its own address, and makes sure that the site shows it: `message` fits what was said in a chat, and nothing on a page
/// that is none. A site that has deleted the chat leads elsewhere, or shows nothing of it. So does one where nobody is signed in, so
/// `signed_in` is asked before the chat is given up.
///
/// # Errors
/// That the chat is gone, or what `signed_in` says.
pub fn open(
    page: &Page,
    url: &str,
    message: &str,
    signed_in: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    page.step("open the chat");
    page.goto(url)?;
    if is_shown(page, url, message)? {
        return Ok(());
    }
    match page.within(SIGNED_IN, |_| signed_in()) {
        // A page that only says that there is no such chat has nothing that an adapter knows.
        Ok(()) | Err(Failure::SiteChanged(_)) => Err(Failure::conversation_gone()),
        Err(failure) => Err(failure),
    }
}

fn is_shown(page: &Page, url: &str, message: &str) -> Result<bool, PageError> {
    let shown = page.expect(&Condition::Attached(message.to_owned()))?;
    let until = now() + SHOWN;
    // That the page has another address is an event too.
    while page.url()?.starts_with(url) {
        match page.next(until.saturating_sub(now()))? {
            Some(event) if event.source == shown && matches!(event.body, EventBody::Reached) => return Ok(true),
            Some(_) => {}
            None => return Ok(false),
        }
    }
    Ok(false)
}

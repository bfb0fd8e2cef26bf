//! The page that a call has been lent.

use std::cell::RefCell;
use std::time::Duration;

use crate::bindings::webai::adapter::page as wit;
use crate::time::to_millis;
use crate::{Condition, Event, Filter, PageError, Rect, Rewriting, Saved, Source};

thread_local! {
    static STEP: RefCell<String> = const { RefCell::new(String::new()) };
}

pub(crate) fn current_step() -> String {
    STEP.with_borrow(Clone::clone)
}

/// A real tab of a real browser, signed in as the operator. What selectors look like is told in the contract's `page.wit`.
///
/// Acts wait up to 10 seconds for their target; [`Page::within`] gives another time-out.
#[derive(Debug)]
pub struct Page {
    handle: wit::Page,
    timeout: std::cell::Cell<Option<u64>>,
}

impl Page {
    #[doc(hidden)]
    pub fn new(handle: wit::Page) -> Self {
        Self { handle, timeout: std::cell::Cell::new(None) }
    }

    /// Runs `operation` with this time-out for every act and query in it.
    pub fn within<T>(&self, timeout: impl Into<Duration>, operation: impl FnOnce(&Self) -> T) -> T {
        let before = self.timeout.replace(Some(to_millis(timeout.into())));
        let result = operation(self);
        self.timeout.set(before);
        result
    }

    fn timeout(&self) -> Option<u64> {
        self.timeout.get()
    }

    /// Names what is being done; failures carry the name.
    pub fn step(&self, name: &str) {
        STEP.with_borrow_mut(|step| name.clone_into(step));
        self.handle.step(name);
    }

    /// Opens an address on one of the manifest's `origins.page`.
    pub fn goto(&self, url: &str) -> Result<(), PageError> {
        self.handle.goto(url, self.timeout())
    }

    pub fn reload(&self) -> Result<(), PageError> {
        self.handle.reload(self.timeout())
    }

    /// Opens the manifest's `site.entry`.
    pub fn back_to_entry(&self) -> Result<(), PageError> {
        self.handle.back_to_entry(self.timeout())
    }

    pub fn url(&self) -> Result<String, PageError> {
        self.handle.url()
    }

    pub fn title(&self) -> Result<String, PageError> {
        self.handle.title()
    }

    /// How many elements match now.
    pub fn count(&self, selector: &str) -> Result<u32, PageError> {
        self.handle.count(selector)
    }

    /// Whether the first match is visible now.
    pub fn visible(&self, selector: &str) -> Result<bool, PageError> {
        self.handle.visible(selector)
    }

    /// The text of every match now.
    pub fn texts(&self, selector: &str) -> Result<Vec<String>, PageError> {
        self.handle.texts(selector)
    }

    pub fn text(&self, selector: &str) -> Result<String, PageError> {
        self.handle.text(selector, self.timeout())
    }

    pub fn attribute(&self, selector: &str, name: &str) -> Result<Option<String>, PageError> {
        self.handle.attribute(selector, name, self.timeout())
    }

    pub fn bounds(&self, selector: &str) -> Result<Rect, PageError> {
        self.handle.box_(selector, self.timeout())
    }

    pub fn enabled(&self, selector: &str) -> Result<bool, PageError> {
        self.handle.enabled(selector, self.timeout())
    }

    pub fn checked(&self, selector: &str) -> Result<bool, PageError> {
        self.handle.checked(selector, self.timeout())
    }

    /// A rendered answer as Markdown.
    pub fn markdown(&self, selector: &str) -> Result<String, PageError> {
        self.handle.markdown(selector, self.timeout())
    }

    pub fn click(&self, selector: &str) -> Result<(), PageError> {
        self.handle.click(selector, 1, self.timeout())
    }

    pub fn double_click(&self, selector: &str) -> Result<(), PageError> {
        self.handle.click(selector, 2, self.timeout())
    }

    pub fn hover(&self, selector: &str) -> Result<(), PageError> {
        self.handle.hover(selector, self.timeout())
    }

    pub fn focus(&self, selector: &str) -> Result<(), PageError> {
        self.handle.focus(selector, self.timeout())
    }

    /// Replaces all text of a field or an editable element.
    pub fn fill(&self, selector: &str, text: &str) -> Result<(), PageError> {
        self.handle.fill(selector, text, self.timeout())
    }

    /// Inserts text where the caret is.
    pub fn type_text(&self, selector: &str, text: &str) -> Result<(), PageError> {
        self.handle.type_text(selector, text, self.timeout())
    }

    /// A key or a chord, such as `Enter` or `Control+Enter`.
    pub fn press(&self, selector: &str, key: &str) -> Result<(), PageError> {
        self.handle.press(selector, key, self.timeout())
    }

    /// Chooses options of a `<select>` by value or label.
    pub fn select(&self, selector: &str, values: &[String]) -> Result<(), PageError> {
        self.handle.select(selector, values, self.timeout())
    }

    pub fn scroll_into_view(&self, selector: &str) -> Result<(), PageError> {
        self.handle.scroll_into_view(selector, self.timeout())
    }

    /// Gives attachments of the request, by their index, to an `<input type=file>`.
    pub fn attach(&self, selector: &str, attachments: &[u32]) -> Result<(), PageError> {
        self.handle.attach(selector, attachments, self.timeout())
    }

    /// The same, where a click opens the browser's file chooser: clicks, and answers the chooser.
    pub fn choose_files(&self, selector: &str, attachments: &[u32]) -> Result<(), PageError> {
        self.handle.choose_files(selector, attachments, self.timeout())
    }

    /// Clicks a Copy button and returns what the page gave to the clipboard, as text.
    pub fn copy(&self, selector: &str) -> Result<String, PageError> {
        self.handle.copy(selector, self.timeout())
    }

    /// Has the host fetch and keep a file of the answer; [`Reply::saved`](crate::Reply::saved) makes it part of it.
    pub fn save(&self, source: &Source) -> Result<Saved, PageError> {
        self.handle.save(source, self.timeout())
    }

    /// From now on changes matching JSON bodies before the page sends them. `next` tells `reached` for each.
    pub fn rewrite(&self, rewriting: &Rewriting) -> Result<u32, PageError> {
        self.handle.rewrite(rewriting)
    }

    /// From now on delivers matching traffic of the page. Call it before the act that causes the traffic.
    pub fn listen(&self, filter: &Filter) -> Result<u32, PageError> {
        self.handle.listen(filter)
    }

    /// Delivers the first match's text, now and at each change.
    pub fn watch(&self, selector: &str) -> Result<u32, PageError> {
        self.handle.watch(selector)
    }

    /// Delivers `reached` once.
    pub fn expect(&self, condition: &Condition) -> Result<u32, PageError> {
        self.handle.expect(condition)
    }

    pub fn stop_listening(&self, id: u32) {
        self.handle.stop_listening(id);
    }

    /// The next event of whatever is listened to, watched or expected; none when the time is over.
    pub fn next(&self, timeout: impl Into<Duration>) -> Result<Option<Event>, PageError> {
        self.handle.next(to_millis(timeout.into()))
    }
}

//! An answer that is nowhere but in the page: in a list that keeps only the rows in view. What has scrolled away is fetched back
//! by scrolling, as a person would.

use webai_adapter::snapshot::{Change, Snapshot};
use webai_adapter::{Appetite, Failure, Finish, Millis, Outcome, Page, PageError, Reply, Seconds, remaining};

use crate::{SEND, STOP, limit_banner};

const LIST: &str = "testid=rows >> nth=-1";
const BANNER: &str = "testid=banner >> visible=true";
/// Rows to scroll past, at most one at a time, before the list is taken for broken.
const SCROLLS: u32 = 2000;

pub(crate) fn answer(page: &Page, reply: &Reply) -> Result<Outcome, Failure> {
    page.step("send");
    let before = page.count("testid=rows")?;
    reply.submitting();
    page.within(Seconds(5), |page| page.click(SEND))?;

    page.step("wait for the answer");
    let list = format!("testid=rows >> nth={before}");
    if page.within(remaining(), |page| page.first_of(&[BANNER, &list]))? == 0 {
        limit_banner(page)?;
        return Err(Failure::Upstream(page.text("testid=banner-text")?));
    }
    reply.accepted();
    read(page, reply)
}

fn read(page: &Page, reply: &Reply) -> Result<Outcome, Failure> {
    page.step("read the answer");
    let changes = page.watch(LIST)?;
    let mut said = Said::default();
    while remaining().as_millis() > 0 {
        let state = page.attribute(LIST, "data-state")?.unwrap_or_default();
        let count = number(page, LIST, "data-rows")?.unwrap_or(0);
        let ended = state != "streaming";
        while said.rows < count {
            let is_last = said.rows + 1 == count;
            let wants_more = said.row(&row(page, said.rows)?, ended || !is_last, reply);
            if wants_more == Appetite::Stop {
                page.step("stop the answer");
                // Gone if the answer ended at the same moment.
                let _ = page.within(Seconds(1), |page| page.click(STOP));
                return Ok(Outcome::new(Finish::Stop));
            }
            if is_last {
                break;
            }
        }
        match state.as_str() {
            "streaming" => {}
            "done" => return Ok(Outcome::stop()),
            _ => return Err(Failure::Upstream(page.text("testid=answer-error")?)),
        }
        page_changes(page, changes)?;
    }
    Err(Failure::Timeout("the answer did not end".into()))
}

/// What has been passed on.
#[derive(Default)]
struct Said {
    whole: Snapshot,
    /// Rows that will not change any more, and how many these are.
    settled: String,
    rows: u32,
}

impl Said {
    /// Passes on the next row, as far as it has come.
    fn row(&mut self, row: &str, is_complete: bool, reply: &Reply) -> Appetite {
        let space = if self.settled.is_empty() { "" } else { "\n\n" };
        let row = if is_complete { row } else { certain(row) };
        let text = format!("{}{space}{row}", self.settled);
        let wants_more = match self.whole.take(&text) {
            Change::Nothing => Appetite::More,
            Change::Grew(more) => reply.text(more),
            // The site has rewritten a row that seemed to be over.
            Change::Rewritten(all) => {
                reply.restart();
                reply.text(all)
            }
        };
        if is_complete {
            self.settled = text;
            self.rows += 1;
        }
        wants_more
    }
}

/// The part of an unfinished row that will stay as it is: what is said can hardly be taken back, and half a mark-up is text until
/// its other half comes.
fn certain(row: &str) -> &str {
    const MARKS: &str = "\\*_`[]<>|$#~+=-\n";
    if row.starts_with(|c: char| c.is_ascii_digit()) {
        return "";
    }
    let plain = row.find(|c| MARKS.contains(c)).unwrap_or(row.len());
    let word = row.get(..plain).unwrap_or_default();
    word.rfind(' ').and_then(|end| row.get(..end)).unwrap_or_default()
}

/// Waits until the list has changed, and passes over the changes that are known already.
fn page_changes(page: &Page, changes: u32) -> Result<(), Failure> {
    let mut patience = remaining();
    while let Some(event) = page.next(patience)? {
        if event.source == changes {
            patience = std::time::Duration::ZERO;
        }
    }
    Ok(())
}

/// A row, which is brought into view first.
fn row(page: &Page, wanted: u32) -> Result<String, Failure> {
    let row = format!("{LIST} >> css=[data-row=\"{wanted}\"]");
    for _ in 0..SCROLLS {
        if page.count(&row)? > 0 {
            // The list follows its end, and may have taken the row out again.
            match page.within(Millis(200), |page| page.markdown(&row)) {
                Err(PageError::NotFound(_) | PageError::Timeout(_)) => {}
                text => return Ok(text?),
            }
        }
        let rows = format!("{LIST} >> testid=row");
        let first = number(page, &format!("{rows} >> nth=0"), "data-row")?;
        let edge = if first.is_some_and(|first| first > wanted) { "nth=0" } else { "nth=-1" };
        match page.within(Millis(200), |page| page.scroll_into_view(&format!("{rows} >> {edge}"))) {
            Err(PageError::NotFound(_) | PageError::Timeout(_)) => {}
            scrolled => scrolled?,
        }
    }
    Err(Failure::changed(row))
}

fn number(page: &Page, selector: &str, name: &str) -> Result<Option<u32>, Failure> {
    Ok(page.attribute(selector, name)?.and_then(|text| text.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_mark_up_is_waited_for() {
        assert_eq!(certain("A plain sentence"), "A plain");
        assert_eq!(certain("A **bold"), "A");
        assert_eq!(certain("中文 and more"), "中文 and");
        for uncertain in ["", "word", "# Head", "1. a list", "- a", "`code"] {
            assert_eq!(certain(uncertain), "", "{uncertain}");
        }
    }
}

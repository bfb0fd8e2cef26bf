//! How a model is chosen: in a menu at the composer, whose button shows what is chosen.

use webai_adapter::{Failure, Page, Seconds};

const BUTTON: &str = "css=button[data-test-id=\"bard-mode-menu-button\"]";
const ITEM: &str = "css=gem-menu-item[role=\"menuitem\"]";

/// Chooses the model and sees that it was chosen.
pub(crate) fn choose(page: &Page, model: &str) -> Result<(), Failure> {
    page.step("choose the model");
    // A regular expression; what the small one was called in spring stands second.
    let label = match model {
        "flash-lite" => "Flash-Lite|Fast",
        "flash" => "Flash",
        "pro" => "Pro",
        _ => return Err(Failure::ModelUnavailable(format!("Gemini has no model {model:?}"))),
    };
    // Behind the name may stand a version, or the effort.
    let shown = format!("{BUTTON} >> has-text=/(^| )({label})( |$)/");
    page.attribute(BUTTON, "class")?;
    if page.visible(&shown)? {
        return Ok(());
    }
    page.click(BUTTON)?;
    let item = format!("{ITEM} >> has=(css=.label >> has-text=/(^| )({label})$/)");
    if page.within(Seconds(2), |page| page.text(&item)).is_err() {
        return Err(Failure::ModelUnavailable(format!("Gemini does not offer {model} to this account now")));
    }
    page.click(&item)?;
    match page.within(Seconds(5), |page| page.text(&shown)) {
        Ok(_) => Ok(()),
        Err(_) => Err(Failure::ModelUnavailable(format!("{model} could not be chosen"))),
    }
}

//! How a model is chosen: accounts have one of three generations of controls.

use webai_adapter::{Failure, Page, Seconds};

/// A menu at the top of the page.
const HEADER: &str = "css=button[data-testid=\"model-switcher-dropdown-button\"]";
/// A menu at the composer.
const COMPOSER: &str = "(css=button >> has=(css=[data-animated-slider-trigger])) | (css=button[class*=\"__composer-pill\"][aria-haspopup=\"menu\"])";
const COMPOSER_ITEMS: &str = "css=[data-testid=\"composer-intelligence-picker-content\"], [role=\"menu\"]";
/// A slider with three steps.
const SLIDER: &str = "role=slider";

/// Chooses the model and sees that it was chosen.
pub(crate) fn choose(page: &Page, model: &str) -> Result<(), Failure> {
    page.step("choose the model");
    let (label, steps) = match model {
        "instant" => ("Instant", 0),
        "thinking" => ("Thinking", 1),
        _ => return Err(Failure::ModelUnavailable(format!("ChatGPT has no model {model:?}"))),
    };
    match page.first_of(&[SLIDER, HEADER, COMPOSER])? {
        0 => slide(page, steps),
        1 => from_menu(page, HEADER, "css=[role=\"menu\"]", label),
        _ => from_menu(page, COMPOSER, COMPOSER_ITEMS, label),
    }
}

fn from_menu(page: &Page, button: &str, menu: &str, label: &str) -> Result<(), Failure> {
    if page.text(button)?.contains(label) {
        return Ok(());
    }
    page.click(button)?;
    let item = format!("{menu} >> (role=menuitemradio[name=\"{label}\"]) | (role=menuitem[name=\"{label}\"])");
    if page.within(Seconds(2), |page| page.text(&item)).is_err() {
        return Err(Failure::ModelUnavailable(format!("ChatGPT does not offer {label} to this account now")));
    }
    page.click(&item)?;
    match page.within(Seconds(5), |page| page.text(&format!("{button} >> has-text={label}"))) {
        Ok(_) => Ok(()),
        Err(_) => Err(Failure::ModelUnavailable(format!("{label} could not be chosen"))),
    }
}

/// The steps are Instant, Medium, High.
fn slide(page: &Page, steps: u32) -> Result<(), Failure> {
    page.press(SLIDER, "Home")?;
    for _ in 0..steps {
        page.press(SLIDER, "ArrowRight")?;
    }
    let number = |name: &str| -> Result<Option<u32>, Failure> {
        Ok(page.attribute(SLIDER, name)?.and_then(|value| value.parse().ok()))
    };
    let first = number("aria-valuemin")?.unwrap_or(0);
    match number("aria-valuenow")? {
        Some(now) if now == first + steps => Ok(()),
        _ => Err(Failure::ModelUnavailable("the effort could not be chosen".into())),
    }
}

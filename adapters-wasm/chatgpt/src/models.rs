//! How a model is chosen: accounts have one of three generations of controls.

use webai_adapter::{Failure, Page, Seconds};

/// A menu at the top of the page.
const HEADER: &str = "css=button[data-testid=\"model-switcher-dropdown-button\"]";
/// A menu at the composer.
const COMPOSER: &str = "(css=button >> has=(css=[data-animated-slider-trigger])) | (css=button[class*=\"__composer-pill\"][aria-haspopup=\"menu\"])";
const COMPOSER_MENU: &str = "css=[data-testid=\"composer-intelligence-picker-content\"]";
/// In it the models are behind the first of these, the efforts behind the second.
const SUBMENUS: &str = "css=[role=\"menuitem\"][data-has-submenu]";
/// A slider with three steps.
const SLIDER: &str = "role=slider";

/// What the site calls a model, in its menus (English and Chinese) and as a step of the slider.
struct Names {
    /// The alternatives of a regular expression.
    menu: &'static str,
    step: u32,
}

/// Chooses the model and sees that it was chosen.
pub(crate) fn choose(page: &Page, model: &str) -> Result<(), Failure> {
    page.step("choose the model");
    let names = match model {
        "instant" => Names { menu: "Instant|\u{6781}\u{901f}", step: 0 },
        // The menu of today calls by its effort what the one before called a model.
        "thinking" => Names { menu: "Thinking|Medium|\u{4e2d}", step: 1 },
        _ => return Err(Failure::ModelUnavailable(format!("ChatGPT has no model {model:?}"))),
    };
    match page.first_of(&[SLIDER, HEADER, COMPOSER])? {
        0 => slide(page, names.step),
        1 => from_menu(page, HEADER, &names),
        _ => from_menu(page, COMPOSER, &names),
    }
}

fn from_menu(page: &Page, button: &str, names: &Names) -> Result<(), Failure> {
    let menu = names.menu;
    let shown = format!("({button}) >> has-text=/{menu}/");
    if page.visible(&shown)? {
        return Ok(());
    }
    page.click(button)?;
    let item = format!("(role=menuitemradio[name=/^({menu})$/]) | (role=menuitem[name=/^({menu})$/])");
    let efforts = format!("{COMPOSER_MENU} >> {SUBMENUS} >> nth=1");
    if matches!(page.within(Seconds(2), |page| page.first_of(&[&item, &efforts])), Ok(1)) {
        page.click(&efforts)?;
    }
    if page.within(Seconds(2), |page| page.text(&item)).is_err() {
        return Err(Failure::ModelUnavailable(format!("ChatGPT offers no {menu} to this account now")));
    }
    page.click(&item)?;
    match page.within(Seconds(5), |page| page.text(&shown)) {
        Ok(_) => Ok(()),
        Err(_) => Err(Failure::ModelUnavailable(format!("{menu} could not be chosen"))),
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

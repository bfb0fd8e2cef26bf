//! Small pictures, made in code from the prompt, so that every one can be told from the others.

use std::io::Cursor;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::{ImageFormat, Rgb, RgbImage};
use sha2::{Digest as _, Sha256};

/// Width and height in pixels.
pub(super) const SIDE: u32 = 192;

/// A PNG as a data URI. The same prompt gives the same picture.
pub(super) fn data_uri(prompt: &str) -> String {
    let mut png = Cursor::new(Vec::new());
    // Writing into memory does not fail; an empty picture would be seen by every test.
    let _ = draw(prompt).write_to(&mut png, ImageFormat::Png);
    format!("data:image/png;base64,{}", STANDARD.encode(png.into_inner()))
}

/// A sun over hills, in colours that the prompt's hash chooses.
fn draw(prompt: &str) -> RgbImage {
    let hash: [u8; 32] = Sha256::digest(prompt.as_bytes()).into();
    let [sky_r, sky_g, sky_b, hill_r, hill_g, hill_b, at, ..] = hash;
    let sun_x = 40 + i64::from(at) * 112 / 255;
    RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let (x, y) = (i64::from(x), i64::from(y));
        let hill = 120 + ((x - 60) * (x - 60)) / 220;
        if y > hill.min(150 + (x - 130).abs() / 3) {
            return Rgb([hill_r / 2, 60 + hill_g / 2, hill_b / 3]);
        }
        if (x - sun_x).pow(2) + (y - 56).pow(2) < 24 * 24 {
            return Rgb([255, 214, 92]);
        }
        let fade = u8::try_from(y / 2).unwrap_or(0);
        Rgb([80 + sky_r / 4 + fade, 110 + sky_g / 4 + fade / 3, 190 + sky_b / 8 - fade / 4])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_png_that_depends_on_the_prompt() {
        let uri = data_uri("a");
        let bytes = STANDARD.decode(uri.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
        let picture = image::load_from_memory(&bytes).unwrap();
        assert_eq!((picture.width(), picture.height()), (SIDE, SIDE));
        assert_eq!(uri, data_uri("a"));
        assert_ne!(uri, data_uri("b"));
    }
}

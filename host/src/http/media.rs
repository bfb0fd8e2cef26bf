//! Checks pictures and files that a client sends: their real type, and whether they are what they seem.

use std::io::Cursor;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use image::{ImageFormat, ImageReader};

use super::error::words;
use super::language::Text;

/// Why a picture or file is refused; a part of a sentence for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.en)]
pub(super) struct MediaError(pub(super) Text);

/// What is allowed.
#[derive(Debug, Clone, Copy)]
pub(super) struct MediaLimits {
    pub(super) bytes: usize,
    pub(super) pixels: u64,
}

/// A picture's real type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Picture {
    pub(super) mime_type: &'static str,
    pub(super) extension: &'static str,
}

const SIDE_MAX: u32 = 32_768;

/// Looks at a picture's head. It is not decoded, so that a file of a few kilobytes that unpacks to gigabytes costs nothing
/// here; its claimed size is held against the limit, for the sake of the browser that will show it.
///
/// # Errors
/// When it is no picture of a known type, or too large.
pub(super) fn check_picture(bytes: &[u8], limits: MediaLimits) -> Result<Picture, MediaError> {
    check_size(bytes.len(), limits)?;
    let no_picture = || MediaError(words::not_a_picture());
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|_| no_picture())?;
    let (mime_type, extension) = match reader.format() {
        Some(ImageFormat::Png) => ("image/png", "png"),
        Some(ImageFormat::Jpeg) => ("image/jpeg", "jpg"),
        Some(ImageFormat::Gif) => ("image/gif", "gif"),
        Some(ImageFormat::WebP) => ("image/webp", "webp"),
        _ => return Err(no_picture()),
    };
    let (width, height) = reader.into_dimensions().map_err(|_| MediaError(words::damaged_picture(extension)))?;
    let pixels = u64::from(width) * u64::from(height);
    if width.max(height) > SIDE_MAX || pixels > limits.pixels {
        return Err(MediaError(words::too_many_pixels(width, height, limits.pixels)));
    }
    Ok(Picture { mime_type, extension })
}

pub(super) fn check_size(bytes: usize, limits: MediaLimits) -> Result<(), MediaError> {
    if bytes == 0 {
        return Err(MediaError(words::empty_file()));
    }
    if bytes > limits.bytes {
        return Err(MediaError(words::too_many_bytes(bytes, limits.bytes)));
    }
    Ok(())
}

/// A `data:` URI: its type and its bytes.
///
/// # Errors
/// When it is none, or its base64 is wrong.
pub(super) fn parse_data_uri(uri: &str) -> Result<(String, Bytes), MediaError> {
    let bad = |what: Text| MediaError(words::bad_data_uri(what));
    let rest = uri.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("data:")).and_then(|_| uri.get(5..));
    let (head, data) = rest.and_then(|rest| rest.split_once(',')).ok_or_else(|| bad(words::no_comma()))?;
    let mut fields = head.split(';').map(str::trim);
    let mime_type = fields.next().unwrap_or_default().to_ascii_lowercase();
    if !fields.any(|field| field.eq_ignore_ascii_case("base64")) {
        return Err(bad(words::no_base64_mark()));
    }
    Ok((mime_type, decode_base64(data)?))
}

/// Base64 as clients write it: with or without padding, with line breaks, in either alphabet.
pub(super) fn decode_base64(data: &str) -> Result<Bytes, MediaError> {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    const ENGINE: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
    let clean = |byte: u8| match byte {
        b'-' => Some(b'+'),
        b'_' => Some(b'/'),
        b' ' | b'\n' | b'\r' | b'\t' => None,
        other => Some(other),
    };
    let data: Vec<u8> = data.bytes().filter_map(clean).collect();
    ENGINE.decode(data).map(Bytes::from).map_err(|error| MediaError(words::bad_base64(error)))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: MediaLimits = MediaLimits { bytes: 1_000_000, pixels: 1_000_000 };

    /// A PNG that claims a size, with nothing behind its head.
    pub(crate) fn png(width: u32, height: u32) -> Vec<u8> {
        let mut picture = Vec::new();
        image::RgbImage::new(1, 1).write_to(&mut Cursor::new(&mut picture), ImageFormat::Png).unwrap();
        picture[16..20].copy_from_slice(&width.to_be_bytes());
        picture[20..24].copy_from_slice(&height.to_be_bytes());
        let crc = crc32(&picture[12..29]);
        picture[29..33].copy_from_slice(&crc.to_be_bytes());
        picture
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
        })
    }

    #[test]
    fn the_type_is_what_the_bytes_say() {
        assert_eq!(check_picture(&png(1, 1), LIMITS), Ok(Picture { mime_type: "image/png", extension: "png" }));
        for bytes in [b"".as_slice(), b"hello", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\x89PNG\r\n\x1a\n"] {
            assert!(check_picture(bytes, LIMITS).is_err());
        }
    }

    #[test]
    fn a_small_file_that_unpacks_to_much_is_refused() {
        let message = check_picture(&png(30_000, 30_000), LIMITS).unwrap_err().to_string();
        assert!(message.contains("30000 x 30000"), "{message}");
        assert!(check_picture(&png(900, 900), LIMITS).is_ok());
    }

    #[test]
    fn data_uris() {
        assert_eq!(
            parse_data_uri("data:image/png;base64,YWI=").unwrap(),
            ("image/png".into(), Bytes::from_static(b"ab"))
        );
        assert_eq!(parse_data_uri("DATA:text/plain;charset=utf-8;base64, YW\nI").unwrap().1, "ab");
        for bad in
            ["", "data:", "data:image/png,YWI=", "data:image/png;base64,Y*I=", "data:image/png;base64,Y", "http://x/"]
        {
            assert!(parse_data_uri(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in ".{0,60}", bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_data_uri(&text);
            let _ = check_picture(&bytes, LIMITS);
        }
    }
}

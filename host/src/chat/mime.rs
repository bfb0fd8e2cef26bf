//! Media types, as a site or an adapter names them.

/// The longest name on either side of the slash (RFC 6838, section 4.2): a whole type has at most 255 bytes.
const NAME_MAX: usize = 127;

/// `type/subtype` in lower case, without parameters. None where the text names no type: it goes into headers and into Markdown, and
/// whoever handed it on as it is would let its author write there.
pub fn media_type(text: &str) -> Option<String> {
    let named = text.split(';').next().unwrap_or_default().trim();
    let (kind, subtype) = named.split_once('/')?;
    (is_name(kind) && is_name(subtype)).then(|| named.to_ascii_lowercase())
}

/// A restricted name of RFC 6838.
fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
    name.len() <= NAME_MAX && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_a_type_does_and_nothing_else() {
        for (text, named) in [
            ("image/png", "image/png"),
            (" Image/SVG+xml ; charset=utf-8", "image/svg+xml"),
            ("application/vnd.ms-excel", "application/vnd.ms-excel"),
        ] {
            assert_eq!(media_type(text).as_deref(), Some(named), "{text}");
        }
        for text in
            ["", "image", "image/", "/png", "a/b/c", "image/png)\n![x](https://evil.example/", "image/p ng", "é/b"]
        {
            assert_eq!(media_type(text), None, "{text}");
        }
    }

    #[test]
    fn it_has_at_most_255_bytes() {
        let name = "x".repeat(NAME_MAX);
        assert_eq!(media_type(&format!("{name}/{name}")).map(|named| named.len()), Some(255));
        assert_eq!(media_type(&format!("{name}/{name}x")), None);
        assert_eq!(media_type(&format!("image/{}", "x".repeat(4 << 20))), None);
    }
}

use proptest::prelude::*;

use super::*;

fn allowed() -> Allowed {
    Allowed::new(["https://good.example", "https://*.cdn.example/**"])
}

fn filtered(pieces: &[&str]) -> String {
    let mut filter = ImageFilter::new(allowed());
    let mut out: String = pieces.iter().map(|piece| filter.push(piece)).collect();
    out.push_str(&filter.finish());
    out
}

#[test]
fn pictures_of_declared_hosts_stay_as_they_are() {
    for text in [
        "see ![a cat](https://good.example/cat.png) there",
        "![](https://x.cdn.example/a?b=c&d=%20)",
        "![a](https://good.example/a \"A title\") b",
        "![a](data:image/png;base64,iVBORw0KGgo=)",
        "![a](/media/1.png)![b](b.png)",
        "[![badge](https://good.example/b.svg)](https://elsewhere.example)",
        "<img src=\"https://good.example/a.png\" alt='A cat' width=3>",
        "<IMG SRC=/a.png />",
        "<img alt=''>",
        "<video controls src='https://x.cdn.example/a.mp4'></video>",
    ] {
        assert_eq!(filtered(&[text]), text);
    }
}

#[test]
fn what_is_no_picture_stays_as_it_is() {
    for text in [
        "Hello! World!! [a link](https://evil.example/) and [b][1]\n\n[1]: https://evil.example",
        "a < b && c > d, Vec<T>, <input, <images>, <imgx>, 5 <3",
        "wow! (really)",
        "!",
        "![",
        "<",
        "<im",
        "</img>",
        "中文！[文](x)",
    ] {
        let expected = if text == "![" { "! [" } else { text };
        assert_eq!(filtered(&[text]), expected);
    }
}

#[test]
fn pictures_of_others_are_pictures_no_more() {
    for (text, expected) in [
        ("a ![b](https://evil.example/?q=secret) c", "a ! [b](https://evil.example/?q=secret) c"),
        ("!![b](https://evil.example/)", "!! [b](https://evil.example/)"),
        ("![b](//evil.example/)", "! [b](//evil.example/)"),
        ("![b](<https://evil.example/>)", "! [b](<https://evil.example/>)"),
        ("![b]( https://evil.example/)", "! [b]( https://evil.example/)"),
        ("![b](\nhttps://evil.example/)", "! [b](\nhttps://evil.example/)"),
        ("![b](https://good.example.evil.example/)", "! [b](https://good.example.evil.example/)"),
        ("![b](https://good.example@evil.example/)", "! [b](https://good.example@evil.example/)"),
        ("![b][1]\n[1]: https://evil.example", "! [b][1]\n[1]: https://evil.example"),
        ("![1]\n\n[1]: https://evil.example", "! [1]\n\n[1]: https://evil.example"),
        ("![a ![b](https://evil.example/)](/c)", "! [a ! [b](https://evil.example/)](/c)"),
        ("`![b](https://evil.example/)`", "`! [b](https://evil.example/)`"),
        ("![b](https://evil.example", "! [b](https://evil.example"),
        ("![b", "! [b"),
        ("<img src=https://evil.example/>", "< img src=https://evil.example/>"),
        ("<img\nsrc='//evil.example/'>", "< img\nsrc='//evil.example/'>"),
        ("<img/src=https://evil.example/>", "< img/src=https://evil.example/>"),
        ("<ImG sRcSeT='https://evil.example/ 2x'>", "< ImG sRcSeT='https://evil.example/ 2x'>"),
        ("<img src=/a style='background:url(//evil.example)'>", "< img src=/a style='background:url(//evil.example)'>"),
        ("<img src='a' src=\"https://evil.example/\">", "< img src='a' src=\"https://evil.example/\">"),
        ("<image href=https://evil.example/>", "< image href=https://evil.example/>"),
        ("<img alt='<img src=//evil.example/>'>", "< img alt='< img src=//evil.example/>'>"),
        ("<img src='&#47;/evil.example/'>", "< img src='&#47;/evil.example/'>"),
        ("<img src=https://evil.example/", "< img src=https://evil.example/"),
        ("<img ", "< img "),
    ] {
        assert_eq!(filtered(&[text]), expected);
    }
}

/// Readers differ in where a picture ends whose address is not plain. So it is ended for them.
#[test]
fn an_allowed_address_is_ended_where_it_is_not_plain_any_more() {
    for (text, expected) in [
        (
            "![a](https://good.example/x y)\n[a]: https://evil.example",
            "![a](https://good.example/x) y)\n[a]: https://evil.example",
        ),
        ("![a](data:abc", "![a](data:abc)"),
        (
            "![a](https://good.example/`b)`](https://evil.example)",
            "![a](https://good.example/)`b)`](https://evil.example)",
        ),
        ("![a](/x \"t", "![a](/x) \"t"),
        ("![a](/x \"t\" ![b](//evil.example)", "![a](/x) \"t\" ! [b](//evil.example)"),
        (
            "![a](https://good.example/![b](https://evil.example/))",
            "![a](https://good.example/)! [b](https://evil.example/))",
        ),
    ] {
        assert_eq!(filtered(&[text]), expected);
    }
}

#[test]
fn what_is_certain_does_not_wait() {
    let mut filter = ImageFilter::new(allowed());
    assert_eq!(filter.push("Hello"), "Hello");
    assert_eq!(filter.push("! "), "! ");
    assert_eq!(filter.push("![a](https://good.exam"), "");
    assert_eq!(filter.push("ple/"), "![a](https://good.example/");
    assert_eq!(filter.push("more"), "more");
    assert_eq!(filter.push(") <b"), ") <b");
    assert_eq!(filter.push("![x](data:image/png;base64,"), "![x](data:image/png;base64,");
    // However long, it is passed on as it comes.
    for _ in 0..1000 {
        assert_eq!(filter.push(&"A".repeat(1000)).len(), 1000);
    }
}

#[test]
fn what_never_ends_is_not_held_for_ever() {
    for begin in ["![", "![a](", "<img ", "![a](/b \""] {
        let mut filter = ImageFilter::new(allowed());
        filter.push(begin);
        let passed: usize = (0..100).map(|_| filter.push(&"a".repeat(100)).len()).sum();
        assert!(passed > 5000, "{begin}: {passed}");
    }
}

/// Hostile text costs no more than other text of its length.
#[test]
fn nothing_is_looked_at_again_and_again() {
    let started = std::time::Instant::now();
    for part in ["![", "![a](", "<img ", "<img alt='", "![a](/b \"", "!", "<", "![a]("] {
        let text = part.repeat(200_000);
        assert!(filtered(&[&text]).len() >= text.len());
    }
    assert!(started.elapsed() < std::time::Duration::from_secs(20), "{:?}", started.elapsed());
}

const PART: &str = "(!|\\[|\\]|\\(|\\)|<| |\"|'|\\\\|`|\n|>|/|=|a|é|img|src|alt|data:|https://good\\.example/|//evil\\.example/\
                    |!\\[a\\]\\(|<img src=)";

proptest! {
    #[test]
    fn however_it_is_cut_up_it_is_the_same(
        parts in proptest::collection::vec(PART, 0..40), cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..8)
    ) {
        let text = parts.concat();
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).filter(|&n| text.is_char_boundary(n)).collect();
        at.extend([0, text.len()]);
        at.sort_unstable();
        let pieces: Vec<&str> = at.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
        prop_assert_eq!(filtered(&pieces), filtered(&[&text]));
    }

    /// Nothing of the text is lost: what is put in is spaces and the ends of addresses.
    #[test]
    fn nothing_is_lost(parts in proptest::collection::vec(PART, 0..40)) {
        let text = parts.concat();
        let out = filtered(&[&text]);
        let mut rest = out.chars();
        for c in text.chars() {
            prop_assert!(rest.by_ref().any(|other| other == c), "{:?} became {:?}", text, out);
        }
    }

    /// What comes out holds no picture of a stranger, however it is looked at: no address directly behind a description but an allowed
    /// one, and no tag that names another.
    #[test]
    fn no_picture_of_a_stranger_is_left(parts in proptest::collection::vec(PART, 0..40)) {
        let out = filtered(&[&parts.concat()]);
        for (at, _) in out.match_indices("![") {
            let rest = &out[at..];
            let address = rest.split_once("](").map(|(_, address)| address).unwrap_or_default();
            let stays = ["data:", "https://good.example/"].iter().any(|begin| address.starts_with(begin))
                || !address.split([')', ' ']).next().unwrap().contains("//");
            prop_assert!(stays && rest.contains("]("), "{}", out);
        }
        for (at, _) in out.match_indices("<img") {
            let tag = out[at + 4..].split('>').next().unwrap();
            let is_tag = tag.starts_with([' ', '/', '\n']);
            for address in tag.split("src=").skip(1).filter(|_| is_tag) {
                prop_assert!(!address.trim_start_matches(['"', '\'']).starts_with("//evil"), "{}", out);
            }
        }
        // Twice is as good as once.
        prop_assert_eq!(filtered(&[&out]), out);
    }
}

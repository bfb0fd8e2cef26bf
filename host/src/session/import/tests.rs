use proptest::prelude::*;

use super::*;

fn cookies(text: &str) -> Vec<Cookie> {
    parse(text.as_bytes()).unwrap().session.cookies
}

fn only(text: &str) -> Cookie {
    let mut cookies = cookies(text);
    assert_eq!(cookies.len(), 1);
    cookies.remove(0)
}

fn error(text: &str) -> String {
    parse(text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn cookies_txt_as_tools_write_it() {
    let text = "# Netscape HTTP Cookie File\r\n# https://curl.se/docs/http-cookies.html\r\n\r\n\
        .a.example\tTRUE\t/\tTRUE\t2000000000\tsid\tS1\r\n\
        #HttpOnly_a.example\tFALSE\t/chat\tFALSE\t0\ttoken\t=x y; is no part=\r\n";
    assert!(error(text).starts_with("line 5 (value): it has a control character or `;`"), "{}", error(text));
    let found = parse(text.replace(';', "").as_bytes()).unwrap();
    assert_eq!(found.format, Format::Netscape);
    let [token, sid] = <[Cookie; 2]>::try_from({
        let mut cookies = found.session.cookies;
        cookies.sort_by(|a, b| b.name.cmp(&a.name));
        cookies
    })
    .unwrap();
    assert_eq!((&*sid.domain, &*sid.value, sid.expires, sid.secure), (".a.example", "S1", Some(2e9), true));
    assert_eq!((sid.http_only, token.http_only), (false, true));
    assert_eq!((&*token.domain, &*token.path, token.expires), ("a.example", "/chat", None));
    assert_eq!(token.value, "=x y is no part=");
}

#[test]
fn cookies_txt_with_oddities() {
    assert_eq!(only("a.example   FALSE  /  TRUE 0 sid S1").value, "S1", "tabs that became spaces");
    assert_eq!(only("a.example\tFALSE\t/\tTRUE\t-1\tsid\t").value, "", "no value");
    assert_eq!(only("a.example\tFALSE\t/\tTRUE\t0\tsid").value, "", "not even its tab");
    assert_eq!(only("a.example\ttrue\t/\tfalse\t1999999999.5\tsid\tv").domain, ".a.example");
    assert_eq!(only(".A.Example\tFALSE\t/\tTRUE\t0\tsid\tv").domain, ".a.example", "the dot says it too");
    assert_eq!(only("\u{feff}a.example\tFALSE\t/\tTRUE\t0\tsid\tv").name, "sid", "a byte order mark");
    assert_eq!(only("a.example\tFALSE\t/\tTRUE\t0\tsid\told\na.example\tFALSE\t/\tTRUE\t0\tsid\tnew").value, "new");
}

#[test]
fn what_is_wrong_is_named_with_its_place_and_cure() {
    for (text, wanted) in [
        ("", "the file: it is empty: export again"),
        ("# nothing\n", "the file: there is no cookie in it"),
        ("hello", "line 1: a cookie has 7 fields with tabs between (domain,"),
        ("a.example\tmaybe\t/\tTRUE\t0\tn\tv", "line 1, field 2 (subdomains): expected TRUE or FALSE, found \"maybe\""),
        (
            "\na.example\tTRUE\t/\tTRUE\tsoon\tn\tv",
            "line 2, field 5 (expiry): expected seconds since 1970, or 0, found \"soon\"",
        ),
        ("a b/\tTRUE\t/\tTRUE\t0\tn\tv", "line 1 (domain): it is not a host's name, found"),
        ("a.example\tTRUE\tx\tTRUE\t0\tn\tv", "line 1 (path): it does not begin with `/`"),
        ("[{\"name\": 1}]", "[0].domain: it is missing"),
        ("[{\"name\": 1, \"domain\": \"a\"}]", "[0].name: expected a text, found 1"),
        ("[1]", "[0]: expected a cookie, found 1"),
        ("{\"a\": 1}", "the file: expected an array of cookies, or an object with `cookies`"),
        ("{\"cookies\": 1}", "cookies: expected an array of cookies, found 1"),
        ("{\"origins\": [{\"origin\": \"x\"}]}", "origins[0].origin: expected an origin such as https://a.example"),
        ("[{", "line 1, column 2: the JSON ends early"),
        ("[{]", "line 1, column 3: this is not JSON"),
        (
            "[{\"name\": \"n\", \"value\": \"v\", \"domain\": \"a\", \"sameSite\": \"odd\"}]",
            "[0].sameSite: expected Strict, Lax or None, found \"odd\"",
        ),
        (
            "[{\"name\": \"n\", \"value\": \"v\", \"domain\": \"a\", \"expirationDate\": \"Fri, 1 Jan\"}]",
            "[0].expirationDate: expected seconds since 1970, found a text of 10 characters",
        ),
    ] {
        assert!(error(text).starts_with(wanted), "{text:?}: {}", error(text));
    }
    assert!(parse(b"\xff\xfe").unwrap_err().to_string().contains("byte 0 is not UTF-8"));
}

#[test]
fn no_error_shows_a_value() {
    for text in [
        "a.example\tTRUE\t/\tTRUE\t0\tsid\tSECRET;SECRET",
        "a.example\tSECRETSECRETSECRET\t/\tTRUE\t0\tsid\tv",
        "[{\"name\": \"n\", \"value\": \"SECRET;\", \"domain\": \"a.example\"}]",
        "[{\"name\": \"n\", \"value\": {\"SECRET\": 1}, \"domain\": \"a.example\"}]",
        "[{\"name\": \"n\", \"value\": \"v\", \"domain\": \"a.example\", \"secure\": \"SECRET\"}]",
        "[SECRET]",
    ] {
        assert!(!error(text).contains("SECRET"), "{}", error(text));
    }
}

#[test]
fn what_extensions_export() {
    let sid = only(
        r#"[{"domain": ".a.example", "expirationDate": 1999999999.25, "hostOnly": false, "httpOnly": true, "name": "sid",
            "path": "/", "sameSite": "no_restriction", "secure": true, "session": false, "storeId": "0", "value": "S1", "id": 1}]"#,
    );
    assert_eq!(
        (&*sid.domain, sid.expires, sid.same_site.as_deref()),
        (".a.example", Some(1_999_999_999.25), Some("None"))
    );
    assert!(sid.secure && sid.http_only);
    let own = only(
        r#"[{"domain": "a.example", "hostOnly": true, "name": "n", "path": "/x", "sameSite": "unspecified", "session": true,
            "expirationDate": 5, "value": "v", "secure": false, "partitionKey": {"topLevelSite": "https://b.example"}}]"#,
    );
    assert_eq!((&*own.domain, own.expires, own.same_site), ("a.example", None, None));
    assert_eq!(own.partition_key.unwrap().top_level_site, "https://b.example");
}

#[test]
fn what_playwright_and_devtools_keep() {
    let found = parse(
        br#"{"cookies": [{"name": "sid", "value": "S1", "domain": ".a.example", "path": "/", "expires": -1, "httpOnly": true,
             "secure": true, "sameSite": "Lax"}],
             "origins": [{"origin": "https://a.example", "localStorage": [{"name": "k", "value": "v"}]}]}"#,
    )
    .unwrap();
    assert_eq!(found.format, Format::StorageState);
    assert_eq!((found.session.cookies[0].expires, found.session.cookies[0].same_site.as_deref()), (None, Some("Lax")));
    assert_eq!(found.session.storage["https://a.example"]["k"], "v");
    let devtools = only(
        r#"{"cookies": [{"name": "n", "value": "v", "domain": "a.example", "path": "/", "expires": 1999999999, "size": 2,
            "httpOnly": false, "secure": false, "session": false, "priority": "High", "sourceScheme": "NonSecure",
            "sourcePort": 80, "partitionKey": {"topLevelSite": "https://b.example", "hasCrossSiteAncestor": true}}]}"#,
    );
    assert_eq!((devtools.priority.as_deref(), devtools.source_scheme.as_deref()), (Some("High"), Some("NonSecure")));
    assert!(devtools.partition_key.unwrap().has_cross_site_ancestor);
}

proptest! {
    #[test]
    fn nothing_panics(text in "\\PC{0,200}") {
        let _ = parse(text.as_bytes());
    }

    #[test]
    fn nothing_panics_on_what_looks_right(
        text in "[\\[{]?((#HttpOnly_)?[.a-z]{0,9}[\t ]?(TRUE|FALSE|x)?[\t ]/?[\t ](TRUE|FALSE)[\t ][0-9.-]{0,4}[\t ][a-z=;]{0,4}\t?[ -~]{0,9}\n){0,4}"
    ) {
        if let Ok(found) = parse(text.as_bytes()) {
            for cookie in found.session.cookies {
                prop_assert!(cookie.problem().is_none() && cookie.expires.is_none_or(f64::is_finite));
            }
        }
    }

    #[test]
    fn cookies_txt_is_read_as_it_was_written(
        name in "[a-z_]{1,10}", value in "[!-:<-~]{0,30}", host in "[a-z]{1,8}\\.[a-z]{2,5}", below: bool, secure: bool,
        http_only: bool, expires in 0..4_000_000_000u32,
    ) {
        let flag = |on: bool| if on { "TRUE" } else { "FALSE" };
        let mark = if http_only { "#HttpOnly_" } else { "" };
        let dot = if below { "." } else { "" };
        let line = format!("{mark}{dot}{host}\t{}\t/\t{}\t{expires}\t{name}\t{value}\n", flag(below), flag(secure));
        let cookie = only(&line);
        prop_assert_eq!(cookie.host(), host);
        prop_assert_eq!((cookie.name, cookie.value), (name, value));
        prop_assert_eq!((!cookie.domain.starts_with('.'), cookie.secure, cookie.http_only), (!below, secure, http_only));
        prop_assert_eq!(cookie.expires, Some(f64::from(expires)).filter(|at| *at > 0.0));
    }
}

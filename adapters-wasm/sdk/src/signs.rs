//! What looks the same on many sites.

/// A check of the visitor that only a person passes: Cloudflare's, hCaptcha's and the like.
pub const CHALLENGE: &str = "css=#challenge-running, #challenge-stage, form#challenge-form, .h-captcha, \
    iframe[src*=\"challenges.cloudflare.com\"], iframe[src*=\"hcaptcha.com\"]";

/// Whether an error page, or a body in the place of an answer, is such a check.
pub fn is_challenge(body: &[u8]) -> bool {
    const SIGNS: [&str; 7] = [
        "just a moment",
        "attention required",
        "verify you are human",
        "checking if the site connection is secure",
        "cf-please-wait",
        "unusual activity",
        "\u{9a8c}\u{8bc1}\u{60a8}\u{662f}\u{771f}\u{4eba}",
    ];
    let text = String::from_utf8_lossy(body).to_lowercase();
    SIGNS.iter().any(|sign| text.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_known() {
        assert!(is_challenge(b"<title>Just a moment...</title>"));
        assert!(!is_challenge(b"{\"detail\":\"Too many requests\"}"));
    }
}

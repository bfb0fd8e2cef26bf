//! The two languages that people are answered in, and text in both.

use std::fmt::Display;

use axum::http::{HeaderMap, header};

/// What an answer for people is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    #[default]
    English,
    Chinese,
}

impl Language {
    /// Chinese if the `Accept-Language` of a request prefers it to English.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        Self::preferred(accepted.unwrap_or_default())
    }

    fn preferred(accepted: &str) -> Self {
        let mut best = (0.0, Self::English);
        for entry in accepted.split(',') {
            let mut fields = entry.split(';').map(str::trim);
            let tag = fields.next().unwrap_or_default().to_ascii_lowercase();
            let weight = fields.find_map(|field| field.strip_prefix("q=")?.parse::<f32>().ok()).unwrap_or(1.0);
            let language = match tag.split('-').next() {
                Some("zh") => Self::Chinese,
                Some("en") => Self::English,
                _ => continue,
            };
            if weight > best.0 {
                best = (weight, language);
            }
        }
        best.1
    }
}

/// A text in both languages. (No `Display`: whoever writes it has to say for whom.)
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text {
    pub(crate) en: String,
    pub(crate) zh: String,
}

impl Text {
    pub fn written_in(&self, language: Language) -> &str {
        match language {
            Language::English => &self.en,
            Language::Chinese => &self.zh,
        }
    }
}

/// What is the same in every language: a name, a number, or the words of a site, which nobody translates.
impl<T: Display> From<T> for Text {
    fn from(same: T) -> Self {
        let en = same.to_string();
        Self { zh: en.clone(), en }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preferred_language() {
        for (header, language) in [
            ("", Language::English),
            ("*", Language::English),
            ("zh", Language::Chinese),
            ("zh-CN,zh;q=0.9,en;q=0.8", Language::Chinese),
            ("zh-Hant-TW", Language::Chinese),
            ("en-US,en;q=0.9,zh;q=0.8", Language::English),
            ("de, zh;q=0.5", Language::Chinese),
            ("zh;q=0", Language::English),
            ("*;q=;,;;", Language::English),
        ] {
            assert_eq!(Language::preferred(header), language, "{header}");
        }
    }
}

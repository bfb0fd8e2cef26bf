//! What an adapter asks for, and what the operator has approved.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::manifest::{Limits, Manifest};
use crate::browser::{Origin, UrlPattern};

/// A set of rights, in the words of a manifest: that is how the lock file keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Grant {
    /// Origins on which it acts and reads.
    pub page: Vec<String>,
    /// Origins that only signing in passes through.
    pub pass: Vec<String>,
    /// URL patterns of traffic that it reads.
    pub listen: Vec<String>,
    /// JSON bodies that it changes.
    pub rewrite: Vec<RewriteGrant>,
    /// URL patterns of files that it has saved.
    pub save: Vec<String>,
    /// MIME types of attachments that it uploads.
    pub files: Vec<String>,
    /// What one call of it may use, where that is more than any adapter may.
    #[serde(skip_serializing_if = "LimitsGrant::is_usual")]
    pub limits: LimitsGrant,
}

/// Limits above those that a manifest has that names none; none where it is not above. An approval of before there were these in it has
/// given no more than the usual ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitsGrant {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_s: Option<u64>,
}

/// Requests whose bodies may be changed in these places.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RewriteGrant {
    pub url: String,
    pub pointers: Vec<String>,
}

/// What approval means, said plainly.
pub const MEANING: &str = "It can do whatever your account can do on these origins.";

impl Grant {
    pub(super) fn of(manifest: &Manifest) -> Self {
        fn texts<T: ToString>(items: &[T]) -> Vec<String> {
            items.iter().map(ToString::to_string).collect()
        }
        let rewrite =
            |r: &super::manifest::Rewritable| RewriteGrant { url: r.url.to_string(), pointers: r.pointers.clone() };
        Self {
            page: texts(&manifest.page),
            pass: texts(&manifest.pass),
            listen: texts(&manifest.listen),
            rewrite: manifest.rewrite.iter().map(rewrite).collect(),
            save: texts(&manifest.save),
            files: manifest.files.clone(),
            limits: LimitsGrant::of(manifest.limits),
        }
    }

    /// The part of what is asked that this does not cover.
    pub fn missing(&self, asked: &Self) -> Self {
        let without = |items: &[String], covered: &dyn Fn(&str) -> bool| -> Vec<String> {
            items.iter().filter(|item| !covered(item)).cloned().collect()
        };
        let page = |text: &str| covers_origin(&self.page, text);
        let pass = |text: &str| covers_origin(&self.pass, text) || covers_origin(&self.page, text);
        let rewrite = |rule: &&RewriteGrant| !self.rewrite.iter().any(|own| own.covers(rule));
        Self {
            page: without(&asked.page, &page),
            pass: without(&asked.pass, &pass),
            listen: without(&asked.listen, &|text| covers_pattern(&self.listen, text)),
            rewrite: asked.rewrite.iter().filter(rewrite).cloned().collect(),
            save: without(&asked.save, &|text| covers_pattern(&self.save, text)),
            files: without(&asked.files, &|text| self.files.iter().any(|own| covers_mime(own, text))),
            limits: self.limits.missing(asked.limits),
        }
    }

    /// Whether all that is asked lies within this.
    pub fn covers(&self, asked: &Self) -> bool {
        self.missing(asked) == Self::default()
    }

    /// What it comes to, one sentence a line.
    pub fn sentences(&self) -> Vec<String> {
        let line = |what: &str, items: &[String]| (!items.is_empty()).then(|| format!("{what} {}", items.join(", ")));
        let rewrites: Vec<String> =
            self.rewrite.iter().map(|rule| format!("{} at {}", rule.url, rule.pointers.join(", "))).collect();
        [
            line("act and read on", &self.page),
            line("let you sign in through", &self.pass),
            line("read the page's traffic with", &self.listen),
            line("change what the page sends to", &rewrites),
            line("save files from", &self.save),
            line("upload your attachments of the types", &self.files),
            line("use in each call up to", &self.limits.words()),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl LimitsGrant {
    fn of(limits: Limits) -> Self {
        let usual = Limits::default();
        let above = |asked: u64, usual: u64| (asked > usual).then_some(asked);
        let (mib, ms) = (|bytes: usize| (bytes >> 20) as u64, |time: Duration| time.as_millis() as u64);
        Self {
            memory_mib: above(mib(limits.memory), mib(usual.memory)),
            cpu_ms: above(ms(limits.cpu), ms(usual.cpu)),
            call_s: above(limits.call.as_secs(), usual.call.as_secs()),
        }
    }

    fn missing(self, asked: Self) -> Self {
        // None, which is the usual, is less than any.
        let more = |own: Option<u64>, asked: Option<u64>| asked.filter(|_| asked > own);
        Self {
            memory_mib: more(self.memory_mib, asked.memory_mib),
            cpu_ms: more(self.cpu_ms, asked.cpu_ms),
            call_s: more(self.call_s, asked.call_s),
        }
    }

    fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    fn words(self) -> Vec<String> {
        let memory = self.memory_mib.map(|mib| format!("limits.memory {mib} MiB"));
        let cpu = self.cpu_ms.map(|ms| format!("limits.cpu {:?}", Duration::from_millis(ms)));
        let call = self.call_s.map(|s| format!("limits.call {s}s"));
        [memory, cpu, call].into_iter().flatten().collect()
    }
}

impl RewriteGrant {
    fn covers(&self, asked: &Self) -> bool {
        let below = |own: &String, asked: &String| {
            asked.strip_prefix(own.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        covers_pattern(std::slice::from_ref(&self.url), &asked.url)
            && asked.pointers.iter().all(|asked| self.pointers.iter().any(|own| below(own, asked)))
    }
}

/// Whether one of these origins covers another, which may be a wildcard itself. What cannot be read covers nothing.
fn covers_origin(own: &[String], asked: &str) -> bool {
    let Ok(asked) = Origin::parse_granted(asked) else { return false };
    own.iter().any(|own| Origin::parse_granted(own).is_ok_and(|own| own.contains(&asked)))
}

fn covers_pattern(own: &[String], asked: &str) -> bool {
    let Some(asked) = UrlPattern::parse(asked) else { return false };
    own.iter().any(|own| UrlPattern::parse(own).is_some_and(|own| own.contains(&asked)))
}

fn covers_mime(own: &str, asked: &str) -> bool {
    own == asked || own.strip_suffix('*').is_some_and(|kind| kind.ends_with('/') && asked.starts_with(kind))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grant() -> Grant {
        let text = |items: &[&str]| items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>();
        Grant {
            page: text(&["https://chat.example.com", "https://*.site.example.com"]),
            pass: text(&["https://accounts.example.com"]),
            listen: text(&["https://chat.example.com/api/**"]),
            rewrite: vec![RewriteGrant { url: "https://chat.example.com/api/*".into(), pointers: text(&["/model"]) }],
            save: text(&["https://cdn.example.com/**"]),
            files: text(&["image/*"]),
            limits: LimitsGrant { cpu_ms: Some(20_000), ..LimitsGrant::default() },
        }
    }

    #[test]
    fn higher_limits_are_asked_for_and_lower_ones_are_not() {
        let limits = |memory_mib: usize, cpu: u64, call: u64| {
            let (cpu, call) = (Duration::from_secs(cpu), Duration::from_secs(call));
            let limits = LimitsGrant::of(Limits { memory: memory_mib << 20, cpu, call });
            Grant { limits, ..Grant::default() }
        };
        let usual = limits(64, 10, 3600);
        assert_eq!(usual, Grant::default(), "what each may use nobody asks for");
        assert!(usual.covers(&limits(1, 1, 1)));
        let more = usual.missing(&limits(256, 600, 7200));
        assert_eq!(
            more.sentences(),
            ["use in each call up to limits.memory 256 MiB, limits.cpu 600s, limits.call 7200s"]
        );
        let approved = limits(64, 600, 3600);
        assert!(
            approved.covers(&limits(64, 600, 3600)) && approved.covers(&limits(64, 20, 60)) && approved.covers(&usual)
        );
        assert_eq!(approved.missing(&limits(128, 30, 60)), limits(128, 1, 1));
        assert!(!approved.covers(&limits(64, 601, 3600)));
        // What was approved before limits were part of it.
        let old: Grant = serde_json::from_str(r#"{"page": []}"#).unwrap();
        assert!(old.covers(&usual) && !old.covers(&limits(65, 1, 1)));
    }

    #[test]
    fn less_is_covered_and_more_is_told() {
        let approved = grant();
        assert!(approved.covers(&approved) && approved.covers(&Grant::default()));
        let narrower = Grant {
            page: vec!["https://a.site.example.com".into()],
            listen: vec!["https://chat.example.com/api/send".into()],
            pass: vec!["https://chat.example.com".into()],
            files: vec!["image/png".into()],
            ..Grant::default()
        };
        assert!(approved.covers(&narrower));
        for (more, told) in [
            (
                Grant { page: vec!["https://mail.example.com".into()], ..grant() },
                "act and read on https://mail.example.com",
            ),
            (Grant { page: vec!["https://*.example.com".into()], ..grant() }, "https://*.example.com"),
            (Grant { page: vec!["https://accounts.example.com".into()], ..grant() }, "act and read on"),
            (Grant { listen: vec!["https://chat.example.com/**".into()], ..grant() }, "traffic"),
            (Grant { save: vec!["https://chat.example.com/**".into()], ..grant() }, "save files"),
            (Grant { files: vec!["*/*".into()], ..grant() }, "upload"),
            (
                Grant {
                    rewrite: vec![RewriteGrant {
                        url: "https://chat.example.com/api/*".into(),
                        pointers: vec!["/models".into()],
                    }],
                    ..grant()
                },
                "change what the page sends",
            ),
        ] {
            let lines = approved.missing(&more).sentences();
            assert!(lines.len() == 1 && lines[0].contains(told), "{told}: {lines:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(own in ".{0,40}", asked in ".{0,40}") {
            let of = |text: String| Grant {
                page: vec![text.clone()],
                pass: vec![text.clone()],
                listen: vec![text.clone()],
                rewrite: vec![RewriteGrant { url: text.clone(), pointers: vec![text.clone()] }],
                save: vec![text.clone()],
                files: vec![text],
                limits: LimitsGrant::default(),
            };
            let _ = of(own).missing(&of(asked)).sentences();
        }
    }
}

//! Chromium's command line. Each flag has its reason beside it.

use std::path::Path;

use super::LaunchOptions;

/// Features that are switched off; Chromium heeds only one `--disable-features`.
const FEATURES_OFF: [&str; 18] = [
    // Navigations that no document request announces, so that the fence would see them only afterwards.
    "BackForwardCache",
    "Prerender2",
    "NavigationPredictor",
    "SpeculationRulesPrefetchProxy",
    // Traffic of its own, and bubbles over the page.
    "AutofillServerCommunication",
    "CertificateTransparencyComponentUpdater",
    "DialMediaRouteProvider",
    "GlobalMediaControls",
    "InterestFeedContentSuggestions",
    "LensOverlay",
    "MediaRouter",
    "OptimizationHints",
    "Translate",
    // With each window Chromium made two pages for suggestions below its address bar, in a renderer of their own.
    "WebUIOmniboxAimPopup",
    "WebUIOmniboxPopup",
    // Throttling of pages that nobody looks at.
    "CalculateNativeWinOcclusion",
    "IntensiveWakeUpThrottling",
    "HttpsUpgrades",
];

/// The arguments for one start.
pub(super) fn arguments(options: &LaunchOptions, profile: &Path, sandbox: bool) -> Vec<String> {
    let mut args: Vec<String> = [
        // The port is Chromium's choice and read from its stderr.
        "--remote-debugging-port=0",
        "--no-first-run",
        "--no-default-browser-check",
        // Pages are opened over CDP only; an own first tab would be a target that nobody asked for.
        "--no-startup-window",
        // No desktop keyring: it would ask for a password in a window, or bind the cookies to one.
        "--password-store=basic",
        "--use-mock-keychain",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-default-apps",
        "--disable-domain-reliability",
        "--disable-sync",
        "--disable-quic",
        "--disable-gpu",
        "--disable-breakpad",
        "--disable-client-side-phishing-detection",
        "--disable-search-engine-choice-screen",
        "--disable-infobars",
        "--hide-crash-restore-bubble",
        "--metrics-recording-only",
        "--no-pings",
        "--mute-audio",
        "--disable-dev-shm-usage",
        // Pages are driven though no one looks at them.
        "--disable-background-timer-throttling",
        "--disable-backgrounding-occluded-windows",
        "--disable-renderer-backgrounding",
        "--disable-hang-monitor",
        "--disable-ipc-flooding-protection",
        // Everything through the guard, loopback too, and no UDP beside it.
        "--proxy-bypass-list=<-loopback>",
        "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
        "--webrtc-ip-handling-policy=disable_non_proxied_udp",
    ]
    .map(String::from)
    .into();
    args.push(format!("--user-data-dir={}", profile.display()));
    args.push(format!("--proxy-server=http://{}", options.guard));
    let mut off = FEATURES_OFF.to_vec();
    if options.headless {
        args.push("--headless=new".into());
        args.push("--hide-scrollbars".into());
    }
    if !options.fission {
        // The isolation flags alone saved nothing; with one process for each site eight chat tabs took a third less.
        off.extend(["IsolateOrigins", "site-per-process"]);
        args.push("--disable-site-isolation-trials".into());
        args.push("--process-per-site".into());
    }
    if let Some(locale) = &options.locale {
        args.push(format!("--lang={locale}"));
        args.push(format!("--accept-lang={locale}"));
    }
    if !sandbox {
        args.push("--no-sandbox".into());
    }
    args.push(format!("--disable-features={}", off.join(",")));
    args.extend(options.extra_args.iter().cloned());
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_ignores_certificates_and_always_uses_the_guard() {
        let options = LaunchOptions::new("127.0.0.1:4711".parse().unwrap());
        let args = arguments(&options, Path::new("/p"), true);
        assert!(args.contains(&"--proxy-server=http://127.0.0.1:4711".to_owned()));
        assert!(args.contains(&"--proxy-bypass-list=<-loopback>".to_owned()));
        assert!(args.contains(&"--user-data-dir=/p".to_owned()));
        assert!(!args.iter().any(|a| a.contains("ignore-certificate") || a.contains("no-sandbox")));
        assert_eq!(args.iter().filter(|a| a.starts_with("--disable-features")).count(), 1);
    }

    #[test]
    fn fission_off_saves_processes() {
        let mut options = LaunchOptions::new("127.0.0.1:1".parse().unwrap());
        options.fission = false;
        let args = arguments(&options, Path::new("/p"), false);
        for flag in ["--process-per-site", "--disable-site-isolation-trials", "--no-sandbox"] {
            assert!(args.contains(&flag.to_owned()), "{flag}");
        }
    }
}

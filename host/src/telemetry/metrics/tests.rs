use super::*;

#[test]
fn names_and_labels_are_as_prometheus_wants_them() {
    let word = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let mut names = std::collections::BTreeSet::new();
    for metric in ALL {
        assert!(word(metric.name) && metric.name.starts_with("webai_"), "{}", metric.name);
        assert!(names.insert(metric.name), "{} is there twice", metric.name);
        assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
        assert_eq!(metric.kind == Kind::Histogram, !metric.buckets.is_empty(), "{}", metric.name);
        assert!(metric.buckets.is_sorted(), "{}", metric.name);
        assert!(metric.labels.iter().all(|label| word(label) && *label != "le"), "{}", metric.name);
        assert!(!metric.about.is_empty() && !metric.about.ends_with('.'), "{}", metric.name);
    }
}

#[test]
fn what_an_adapter_makes_up_is_no_label() {
    assert_eq!(outcome_label("timeout"), "timeout");
    assert_eq!(outcome_label("my-own-code"), "other");
}

/// The rows of the table in docs/metrics.md.
fn documented() -> String {
    let row = |metric: &&Metric| {
        let labels = metric.labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        format!("| `{}` | {} | {labels} | {} |\n", metric.name, metric.kind.name(), metric.about)
    };
    ALL.iter().map(row).collect()
}

/// Run with `WRITE_DOCS=1` to write the table anew.
#[test]
fn the_documentation_has_every_metric_as_it_is() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (begin, end) = ("<!-- metrics -->\n", "<!-- /metrics -->");
    let (head, rest) = text.split_once(begin).unwrap();
    let (table, tail) = rest.split_once(end).unwrap();
    let expected = format!("| metric | kind | labels | meaning |\n|---|---|---|---|\n{}", documented());
    if std::env::var_os("WRITE_DOCS").is_some() {
        std::fs::write(path, format!("{head}{begin}{expected}{end}{tail}")).unwrap();
    } else {
        assert_eq!(table, expected, "run this test with WRITE_DOCS=1");
    }
}

//! The admin API's answers as text: aligned, and no more than a person wants to know.

use serde_json::Value;

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn items<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Every adapter in a line, what is the matter with it below.
pub(super) fn list(answer: &Value) -> String {
    let head = ["ID", "VERSION", "STATE", "FROM", "HEALTH", "MODELS"].map(str::to_owned);
    let adapters = items(answer, "adapters");
    let rows: Vec<[String; 6]> = std::iter::once(head).chain(adapters.iter().map(row)).collect();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..6).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &[String; 6]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let mut lines = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        lines.push(line(row));
        if let Some(adapter) = i.checked_sub(1).and_then(|i| adapters.get(i)) {
            lines.extend(remarks(adapter).into_iter().map(|remark| format!("  {remark}")));
        }
    }
    for broken in items(answer, "broken") {
        lines.push(format!("{}: {}", text(broken, "file"), text(broken, "problem").replace('\n', "\n  ")));
    }
    lines.join("\n")
}

fn row(adapter: &Value) -> [String; 6] {
    let pending = adapter.get("pending").map(|pending| text(pending, "version")).unwrap_or_default();
    let version = match text(adapter, "version") {
        "" if pending.is_empty() => "-",
        "" => pending,
        version => version,
    };
    let health = adapter.get("health");
    let known = health.and_then(|h| h.get("requests")?.as_u64()).unwrap_or(0) > 0;
    let figure = health.and_then(|h| h.get("figure")?.as_f64()).filter(|_| known);
    [
        text(adapter, "id").to_owned(),
        version.to_owned(),
        text(adapter, "state").to_owned(),
        text(adapter, "source").to_owned(),
        figure.map_or_else(|| "-".to_owned(), |figure| format!("{:.0} %", figure * 100.0)),
        items(adapter, "models").len().to_string(),
    ]
}

/// What an operator should know of it beside its state.
fn remarks(adapter: &Value) -> Vec<String> {
    let mut remarks = Vec::new();
    let mut remark = |what: &str, said: &str| {
        if !said.is_empty() {
            remarks.push(format!("{what}{}", said.replace('\n', "\n    ")));
        }
    };
    remark("out of use: ", text(adapter, "quarantine"));
    remark("problem: ", text(adapter, "problem"));
    if let Some(pending) = adapter.get("pending").filter(|pending| !pending.is_null()) {
        let sentences: Vec<&str> = items(pending, "sentences").iter().filter_map(Value::as_str).collect();
        let asks = format!("{} asks to {}", text(pending, "version"), sentences.join("; "));
        remark("waits for approval: ", &asks);
    }
    if adapter.pointer("/health/degraded").and_then(Value::as_bool) == Some(true) {
        remark("", "degraded: many of its last requests failed; the site may have changed");
    }
    let draining = adapter.get("draining").and_then(Value::as_u64).unwrap_or(0);
    if draining > 0 {
        remark("", &format!("draining: {draining}"));
    }
    remarks
}

/// One adapter, after an order.
pub(super) fn entry(adapter: &Value) -> String {
    let [id, version, state, ..] = row(adapter);
    let mut lines = vec![format!("{id} {version}: {state}")];
    lines.extend(remarks(adapter).into_iter().map(|remark| format!("  {remark}")));
    let waits = adapter.get("pending").is_some_and(|pending| !pending.is_null());
    if waits {
        lines.push(format!("  see and grant it with `webai2api adapter approve {id}`"));
    }
    lines.join("\n")
}

/// What a waiting version asks for, and what granting it means.
pub(super) fn asks(pending: &Value) -> String {
    let mut lines = vec![format!("{} (SHA-256 {}) asks to", text(pending, "version"), text(pending, "sha256"))];
    lines.extend(items(pending, "sentences").iter().filter_map(Value::as_str).map(|line| format!("  {line}")));
    lines.push(text(pending, "meaning").to_owned());
    lines.join("\n")
}

pub(super) fn log_line(line: &Value) -> String {
    let millis = line.get("time").and_then(Value::as_u64).unwrap_or(0);
    let seconds = millis / 1000 % 86_400;
    let clock = format!("{:02}:{:02}:{:02}.{:03}Z", seconds / 3600, seconds / 60 % 60, seconds % 60, millis % 1000);
    let level = text(line, "level");
    let message = text(line, "message");
    format!("{clock} {level:<5} {} {} {message}", text(line, "version"), text(line, "request")).replace("  ", " ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_aligned_and_what_matters_stands_below() {
        let health = json!({ "figure": 0.5, "requests": 4, "degraded": true });
        let shown = list(&json!({
            "adapters": [
                { "id": "a", "version": "1.0.0", "state": "serving", "source": "bundled", "models": ["a/x"], "draining": 2,
                  "health": health },
                { "id": "long-name", "state": "pending", "source": "folder", "models": [],
                  "pending": { "version": "2.0.0", "sentences": ["act and read on https://b.example.com"] } },
            ],
            "broken": [{ "file": "/x/y.wasm", "problem": "this is not WebAssembly" }],
        }));
        assert_eq!(
            shown,
            "ID         VERSION  STATE    FROM     HEALTH  MODELS\n\
             a          1.0.0    serving  bundled  50 %    1\n  \
               degraded: many of its last requests failed; the site may have changed\n  \
               draining: 2\n\
             long-name  2.0.0    pending  folder   -       0\n  \
               waits for approval: 2.0.0 asks to act and read on https://b.example.com\n\
             /x/y.wasm: this is not WebAssembly"
        );
    }

    #[test]
    fn a_log_line_is_short() {
        let line =
            json!({ "time": 1_000_123, "level": "warn", "version": "1.0.0", "request": "req_1", "message": "m" });
        assert_eq!(log_line(&line), "00:16:40.123Z warn 1.0.0 req_1 m");
    }
}

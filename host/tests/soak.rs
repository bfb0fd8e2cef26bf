//! Many requests, one after the other on a few pages: what is used must not grow with their number.
//!
//! `make soak` is the long form (`SOAK_REQUESTS`), with plots; see docs/reliability.md.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::support::client::{Client, ask, script};
use crate::support::process::{self, uses};
use crate::support::{Server, number};
use plotters::prelude::*;
use serde::Serialize;

const CLIENTS: usize = 4;
const SAMPLES: u64 = 100;
/// In the short form, where looking takes longer than answering.
const EVERY: u64 = 4;
/// Of a warm program: the first requests fill caches and the allocator's stock.
const WARM: f64 = 0.25;
const DEADLINE: Duration = Duration::from_secs(60);

/// How things stood after so many requests.
#[derive(Debug, Clone, Copy)]
struct Sample {
    requests: f64,
    host_mib: f64,
    browser_mib: f64,
    handles: f64,
    processes: f64,
    /// From a request's being sent to its first token, of the last requests.
    p50_ms: f64,
    p95_ms: f64,
}

/// The course of it: means of the second quarter and of the last one.
#[derive(Debug, Clone, Copy, Serialize)]
struct Report {
    requests: u64,
    seconds: u64,
    #[serde(rename = "program, anonymous MiB")]
    memory: (f64, f64),
    #[serde(rename = "Chromium, PSS MiB")]
    browser: (f64, f64),
    #[serde(rename = "open files and sockets")]
    handles: (f64, f64),
    #[serde(rename = "processes")]
    processes: (f64, f64),
    #[serde(rename = "first token p50, ms")]
    p50: (f64, f64),
    #[serde(rename = "first token p95, ms")]
    p95: (f64, f64),
}

/// A line of a chart: its name, its colour, and what it shows.
type Line = (&'static str, RGBColor, fn(&Sample) -> f64);

struct Course<'a> {
    server: &'a Server,
    began: Instant,
    /// Where the figures go.
    out: Option<PathBuf>,
    total: u64,
    next: AtomicU64,
    done: AtomicU64,
    latencies: Mutex<Vec<f64>>,
    samples: Mutex<Vec<Sample>>,
}

impl Course<'_> {
    /// Asks until all is asked.
    async fn client(&self) {
        let client = Client::of(self.server);
        loop {
            let n = self.next.fetch_add(1, Ordering::Relaxed);
            if n >= self.total {
                return;
            }
            let text = format!("request {n} and its own words {}", n.wrapping_mul(0x9E37_79B9));
            if n % 5 == 4 {
                let answer = client.ask_within(&ask("demo/echo", &text), DEADLINE).await;
                assert_eq!(
                    (answer.status, answer.body["choices"][0]["message"]["content"].as_str()),
                    (200, Some(&*text))
                );
            } else {
                let began = Instant::now();
                let mut stream = client.stream(script(&format!("fixture=rest rate=0 chunk=2\n{text}"))).await;
                let mut said = stream.next_text().await.unwrap();
                self.latencies.lock().unwrap().push(began.elapsed().as_secs_f64() * 1000.0);
                while let Some(more) = stream.next_text().await {
                    said.push_str(&more);
                }
                assert_eq!(said, text);
            }
            let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
            if done.is_multiple_of((self.total / SAMPLES).max(EVERY)) {
                self.sample(done);
            }
        }
    }

    fn sample(&self, done: u64) {
        let mut latencies = std::mem::take(&mut *self.latencies.lock().unwrap());
        if latencies.is_empty() {
            return;
        }
        latencies.sort_by(f64::total_cmp);
        let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share).round() as usize];
        let host = uses(self.server.pid());
        let below = process::below(self.server);
        self.samples.lock().unwrap().push(Sample {
            requests: done as f64,
            host_mib: host.anonymous,
            browser_mib: below.iter().filter_map(|pid| process::proportional(*pid)).sum(),
            handles: host.handles as f64,
            processes: below.len() as f64,
            p50_ms: at(0.5),
            p95_ms: at(0.95),
        });
        self.write();
    }

    fn report(&self) -> Report {
        let samples = self.samples.lock().unwrap();
        Report {
            requests: self.done.load(Ordering::Relaxed),
            seconds: self.began.elapsed().as_secs(),
            memory: trend(&samples, |s| s.host_mib),
            browser: trend(&samples, |s| s.browser_mib),
            handles: trend(&samples, |s| s.handles),
            processes: trend(&samples, |s| s.processes),
            p50: trend(&samples, |s| s.p50_ms),
            p95: trend(&samples, |s| s.p95_ms),
        }
    }

    /// What was seen so far: a run that is ended leaves it.
    fn write(&self) {
        let Some(folder) = &self.out else { return };
        std::fs::create_dir_all(folder).unwrap();
        let report = serde_json::to_string_pretty(&self.report()).unwrap();
        std::fs::write(folder.join("soak.json"), report + "\n").unwrap();
        let samples = self.samples.lock().unwrap();
        let mut table = "requests,host_mib,browser_mib,handles,processes,p50_ms,p95_ms\n".to_owned();
        for s in samples.iter() {
            let figures = [s.requests, s.host_mib, s.browser_mib, s.handles, s.processes, s.p50_ms, s.p95_ms];
            table.push_str(&figures.map(|figure| format!("{figure:.1}")).join(","));
            table.push('\n');
        }
        std::fs::write(folder.join("soak.csv"), table).unwrap();
        plot(&folder.join("soak.svg"), &samples).unwrap();
    }
}

/// The means of a figure in the second quarter and in the last one.
fn trend(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> (f64, f64) {
    let mean = |part: &[Sample]| part.iter().map(&of).sum::<f64>() / part.len().max(1) as f64;
    let quarter = (samples.len() as f64 * WARM) as usize;
    (mean(&samples[quarter..quarter * 2]), mean(&samples[quarter * 3..]))
}

/// One chart of a figure or two over the number of requests.
fn chart(
    area: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    title: &str,
    samples: &[Sample],
    lines: &[Line],
) -> Result<(), Box<dyn std::error::Error>> {
    // Legible on a light page and on a dark one.
    let ink = RGBColor(125, 130, 140);
    let most = samples.iter().flat_map(|s| lines.iter().map(|(_, _, of)| of(s))).fold(1.0, f64::max);
    let last = samples.last().map_or(1.0, |sample| sample.requests);
    let font = ("sans-serif", 13).into_font().color(&ink);
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .caption(title, ("sans-serif", 15).into_font().color(&ink))
        .x_label_area_size(24)
        .y_label_area_size(52)
        .build_cartesian_2d(0.0..last, 0.0..most * 1.4)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(ink.mix(0.25))
        .axis_style(ink.mix(0.5))
        .label_style(font.clone())
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.0}"))
        .y_labels(5)
        .draw()?;
    for (name, colour, of) in lines {
        let (colour, points) = (*colour, samples.iter().map(|sample| (sample.requests, of(sample))));
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    chart.configure_series_labels().position(SeriesLabelPosition::UpperRight).label_font(font).draw()?;
    Ok(())
}

fn plot(file: &Path, samples: &[Sample]) -> Result<(), Box<dyn std::error::Error>> {
    const BLUE: RGBColor = RGBColor(59, 130, 246);
    const ORANGE: RGBColor = RGBColor(217, 119, 6);
    let root = SVGBackend::new(file, (760, 840)).into_drawing_area();
    let parts = root.split_evenly((4, 1));
    chart(&parts[0], "program: memory, MiB", samples, &[("anonymous", BLUE, |s| s.host_mib)])?;
    chart(&parts[1], "Chromium: memory, MiB", samples, &[("PSS of all processes", BLUE, |s| s.browser_mib)])?;
    let counts: [Line; 2] = [
        ("open files and sockets of the program", BLUE, |s| s.handles),
        ("processes below it", ORANGE, |s| s.processes),
    ];
    chart(&parts[2], "handles", samples, &counts)?;
    let latency: [Line; 2] = [("p50", BLUE, |s| s.p50_ms), ("p95", ORANGE, |s| s.p95_ms)];
    chart(&parts[3], "request to first token, ms", samples, &latency)?;
    root.present()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_grows_with_the_number_of_requests() {
    let total = number("SOAK_REQUESTS", 80);
    let server =
        Server::builder().config("adapters: {pages: 4}\nqueue: {queueBuffer: 20}\nhistory: {mode: full}").start_ready();
    let course = Course {
        server: &server,
        began: Instant::now(),
        out: std::env::var_os("SOAK_OUT").map(PathBuf::from),
        total,
        next: AtomicU64::new(0),
        done: AtomicU64::new(0),
        latencies: Mutex::default(),
        samples: Mutex::default(),
    };
    futures::future::join_all((0..CLIENTS).map(|_| course.client())).await;
    course.write();
    let report = course.report();
    println!("{report:#?}");
    assert_eq!(report.requests, total);
    let Report { memory, handles, processes, .. } = report;
    assert!(memory.1 < memory.0 * 1.25 + 8.0, "memory grows: {report:#?}");
    assert!(handles.1 < handles.0 + 8.0, "handles are left open: {report:#?}");
    assert!(processes.1 < processes.0 + 3.0, "processes are left: {report:#?}");
}

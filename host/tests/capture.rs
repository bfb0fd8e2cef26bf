//! Everything that a page receives reaches who listens: each trap of capture is provoked by a real site in a real Chromium.

pub(crate) mod lab;
pub(crate) mod site;

use std::sync::Arc;
use std::time::Duration;

use lab::{
    HOST, Heard, Lab, OTHER, PATIENCE, everything, hear, hear_one, hear_until, run, run_at, sockets, test,
    test_without_fission,
};
use site::{DRIBBLE, Site, big, events, ws_binary, ws_text};
use webai2api::browser::{Ending, EventBody, Filter, PageError};

const COMPLETE: Option<Result<Ending, String>> = Some(Ok(Ending::Complete));

#[test]
fn a_fetched_event_stream_arrives_as_it_is_sent() {
    test(|lab, site| async move {
        let page = lab.page().await;
        page.listen(everything()).unwrap();
        run(&site, &page, "fetch('/api/sse?n=40&gap=10', {method: 'POST'}).then(r => r.text())").await;
        let heard = hear_one(&page).await;
        assert_eq!(heard.text(), events(40));
        assert_eq!(heard.end, COMPLETE);
        assert!(heard.pieces > 10, "as it came, not in one block: {} pieces", heard.pieces);
        let head = heard.head.unwrap();
        assert_eq!((head.status, head.method.as_str()), (200, "POST"));
        assert_eq!(head.url, format!("{HOST}/api/sse?n=40&gap=10"));
        assert!(head.headers.contains(&("content-type".into(), "text/event-stream".into())));
        assert!(!head.headers.iter().any(|(_, value)| value.contains("hunter2")), "{:?}", head.headers);
    });
}

#[test]
fn xhr_event_source_and_gzip_are_heard() {
    for script in [
        "const x = new XMLHttpRequest(); x.open('GET', '/api/sse?n=20&gap=5'); x.send()",
        "const e = new EventSource('/api/sse?n=20&gap=5'); e.onerror = () => e.close()",
        "fetch('/api/sse?n=20&gap=5&gzip').then(r => r.text())",
        "fetch('/api/sse?n=20&gzip').then(r => r.text())",
    ] {
        test(|lab, site| async move {
            let page = lab.page().await;
            page.listen(everything()).unwrap();
            run(&site, &page, script).await;
            let heard = hear_one(&page).await;
            assert_eq!(heard.text(), events(20), "{script}");
            assert_eq!(heard.end, COMPLETE, "{script}");
        });
    }
}

#[test]
fn what_a_service_worker_passes_through_or_makes_is_heard() {
    test(|lab, site| async move {
        let script = "
            oninstall = () => skipWaiting();
            onactivate = e => e.waitUntil(clients.claim());
            onfetch = e => {
                const url = new URL(e.request.url);
                if (url.searchParams.has('made')) {
                    const encoder = new TextEncoder(); let i = 0;
                    e.respondWith(new Response(new ReadableStream({async pull(c) {
                        if (i == 5) return c.close();
                        await new Promise(r => setTimeout(r, 10));
                        c.enqueue(encoder.encode(`made ${i++};`));
                    }})));
                } else if (url.pathname.startsWith('/api/')) {
                    e.respondWith(fetch(e.request.url + '&passed'));
                }
            }";
        site.put("/sw.js", "text/javascript", script);
        let page = lab.page().await;
        page.listen(everything()).unwrap();
        let script = "
            navigator.serviceWorker.addEventListener('controllerchange', async () => {
                await (await fetch('/api/sse?n=20&gap=5')).text();
                await (await fetch('/api/sse?made')).text();
            });
            navigator.serviceWorker.register('/sw.js', {scope: '/served/'});";
        run_at(&site, &page, "/served/page", script).await;
        let heard: Vec<_> = hear(&page, 2).await.into_values().collect();
        assert!(site.hit("passed").await.query.contains_key("passed"), "the worker had the request");
        assert_eq!(heard[0].text(), events(20), "{heard:?}");
        assert_eq!(heard[0].end, COMPLETE);
        assert_eq!(heard[1].text(), "made 0;made 1;made 2;made 3;made 4;");
        assert_eq!(heard[1].end, COMPLETE);
    });
}

#[test]
fn dedicated_workers_are_heard_from_their_first_request() {
    test(|lab, site| async move {
        site.put("/worker.js", "text/javascript", "fetch('/api/sse?n=20&gap=5&who=file').then(r => r.text())");
        let page = lab.page().await;
        page.listen(everything()).unwrap();
        let script = format!(
            "new Worker('/worker.js');
             const text = `fetch('{HOST}/api/sse?n=20&gap=5&who=blob').then(r => r.text())`;
             new Worker(URL.createObjectURL(new Blob([text], {{type: 'text/javascript'}})));"
        );
        run(&site, &page, &script).await;
        let heard = hear(&page, 2).await;
        assert_eq!(heard.len(), 2);
        for stream in heard.values() {
            assert_eq!(stream.text(), events(20));
            assert_eq!(stream.end, COMPLETE);
        }
    });
}

#[test]
fn a_worker_that_is_terminated_ends_its_streams() {
    test(|lab, site| async move {
        site.put("/held.js", "text/javascript", "fetch('/api/sse?n=3&hold').then(r => r.text())");
        let page = lab.page().await;
        page.listen(everything()).unwrap();
        run(&site, &page, "const w = new Worker('/held.js'); setTimeout(() => w.terminate(), 1500)").await;
        let heard = hear_one(&page).await;
        assert_eq!(heard.text(), events(3));
        assert_eq!(heard.end, Some(Ok(Ending::Aborted)));
    });
}

#[test]
fn sixty_of_sixty_short_answers_are_whole() {
    test(|lab, site| async move {
        let page = lab.page().await;
        page.listen(everything()).unwrap();
        let script =
            "(async () => { for (let n = 0; n < 60; n++) await (await fetch('/api/short?n=' + n)).text(); })()";
        run(&site, &page, script).await;
        let heard = hear(&page, 60).await;
        for (n, stream) in heard.values().enumerate() {
            assert_eq!(stream.text(), format!("short answer {n}: é€你😀"));
            assert_eq!(stream.end, COMPLETE);
        }
    });
}

#[test]
fn answers_that_are_over_before_they_can_be_asked_for_are_whole() {
    test(|lab, site| async move {
        // A synchronous request blocks whoever would take the command, until it is over.
        let script = "for (const path of ['sse?n=20', 'short?n=sync', 'big?bytes=300000']) {
            const x = new XMLHttpRequest(); x.open('GET', '/api/' + path, false); x.send(); }";
        site.put("/sync.js", "text/javascript", script);
        let page = lab.page().await;
        page.listen(everything()).unwrap();
        for script in [script, "new Worker('/sync.js')"] {
            run(&site, &page, script).await;
            let heard: Vec<_> = hear(&page, 3).await.into_values().collect();
            assert_eq!(heard[0].text(), events(20));
            assert_eq!(heard[1].text(), "short answer sync: é€你😀");
            assert!(heard[2].bytes == big(300_000), "{} bytes", heard[2].bytes.len());
            assert!(heard.iter().all(|stream| stream.end == COMPLETE));
        }
    });
}

#[test]
fn a_busy_page_loses_nothing() {
    test(|lab, site| async move {
        let page = lab.page().await;
        page.listen(everything()).unwrap();
        let script = "for (let i = 0; i < 24; i++) {
            fetch('/api/sse?n=30' + (i % 2 ? '' : '&gap=3')).then(r => r.text());
            const until = performance.now() + 40; while (performance.now() < until);
        }";
        run(&site, &page, script).await;
        for stream in hear(&page, 24).await.values() {
            assert_eq!(stream.text(), events(30));
            assert_eq!(stream.end, COMPLETE);
        }
    });
}

#[test]
fn slow_and_fast_streams_at_once_are_whole() {
    test(|lab, site| async move {
        let page = lab.page().await;
        page.listen(everything()).unwrap();
        let script = "for (const q of ['n=30&gap=40', 'n=3000', 'n=1', 'n=300&gap=1']) fetch('/api/sse?' + q).then(r => r.text())";
        run(&site, &page, script).await;
        for stream in hear(&page, 4).await.into_values() {
            let url = stream.head.as_ref().unwrap().url.clone();
            let n = url.split(['=', '&']).nth(1).unwrap().parse().unwrap();
            assert_eq!(stream.text(), events(n), "{url}");
            assert_eq!(stream.end, COMPLETE);
        }
    });
}

#[test]
fn twelve_streams_at_once_keep_apart() {
    test(|lab, site| async move {
        let page = lab.page().await;
        // A browser opens six connections to a host; so that all are open at once, they go to three.
        let hosts = [HOST, "http://s1.demo.localhost", "http://s2.demo.localhost"];
        for host in hosts {
            page.listen(Filter { url: format!("{host}/api/*"), ..Filter::default() }).unwrap();
        }
        let script = format!(
            "for (let i = 0; i < 12; i++) fetch({hosts:?}[i % 3] + '/api/sse?gate=twelve&gap=5&n=' + (20 + i)).then(r => r.text())"
        );
        run(&site, &page, &script).await;
        for n in 20..32 {
            site.hit(&format!("gate=twelve&gap=5&n={n}")).await;
        }
        site.open_gate("twelve");
        let heard = hear(&page, 12).await;
        let mut counts: Vec<u64> = Vec::new();
        for stream in heard.values() {
            let n = stream.head.as_ref().unwrap().url.rsplit('=').next().unwrap().parse().unwrap();
            assert_eq!(stream.text(), events(n));
            counts.push(n);
        }
        counts.sort_unstable();
        assert_eq!(counts, (20..32).collect::<Vec<_>>());
    });
}

#[test]
fn a_page_that_stops_reading_after_the_end_marker_is_a_success() {
    test(|lab, site| async move {
        let page = lab.page().await;
        page.listen(everything()).unwrap();
        let script = "(async () => {
            const reader = (await fetch('/api/sse?n=10&gap=5&hold')).body.getReader();
            const decoder = new TextDecoder(); let text = '';
            while (!text.includes('[DONE]')) text += decoder.decode((await reader.read()).value, {stream: true});
            await reader.cancel();
        })()";
        run(&site, &page, script).await;
        let heard = hear_one(&page).await;
        assert_eq!(heard.text(), events(10));
        assert_eq!(heard.end, Some(Ok(Ending::Aborted)));
    });
}

#[test]
fn a_site_that_breaks_off_is_a_failure() {
    test(|lab, site| async move {
        let page = lab.page().await;
        page.listen(everything()).unwrap();
        run(&site, &page, "fetch('/api/sse?n=10&gap=5&cut').then(r => r.text()).catch(() => {})").await;
        let heard = hear_one(&page).await;
        assert_eq!(heard.text(), events(10), "what came before is not lost");
        assert!(matches!(&heard.end, Some(Err(why)) if why.starts_with("net::ERR_")), "{:?}", heard.end);
    });
}

#[test]
fn a_new_document_ends_the_streams_of_the_old_one() {
    test(|lab, site| async move {
        let page = lab.page().await;
        page.listen(everything()).unwrap();
        run(&site, &page, "fetch('/api/sse?n=3&hold').then(r => r.text())").await;
        let mut got = 0;
        while got < events(3).len() {
            if let Some(event) = page.next(PATIENCE).await.unwrap()
                && let EventBody::Bytes(bytes) = event.body
            {
                got += bytes.len();
            }
        }
        run(&site, &page, "").await;
        let ends = hear(&page, 1).await;
        assert_eq!(ends.into_values().next().unwrap().end, Some(Ok(Ending::Aborted)));
    });
}

#[test]
fn characters_that_are_cut_in_two_are_joined() {
    test(|lab, site| async move {
        let page = lab.page().await;
        page.listen(everything()).unwrap();
        run(&site, &page, "fetch('/api/dribble').then(r => r.text())").await;
        let heard = hear_one(&page).await;
        assert!(heard.pieces > DRIBBLE.chars().count(), "they were cut: {} pieces", heard.pieces);
        assert_eq!(heard.text(), DRIBBLE);
    });
}

#[test]
fn a_page_in_the_background_goes_on() {
    test(|lab, site| async move {
        let first = lab.page().await;
        first.listen(everything()).unwrap();
        // It needs its own timers to go on.
        let script = "(async () => { for (let n = 0; n < 8; n++) {
            await (await fetch('/api/sse?gap=20&n=' + n)).text();
            await new Promise(r => setTimeout(r, 20));
        } })()";
        run(&site, &first, script).await;
        let mut others = Vec::new();
        for _ in 0..2 {
            let page = lab.page().await;
            run(&site, &page, "document.body?.focus()").await;
            others.push(page);
        }
        let heard = hear(&first, 8).await;
        for (n, stream) in (0..).zip(heard.values()) {
            assert_eq!(stream.text(), events(n));
        }
    });
}

#[test]
fn a_page_that_reads_slowly_loses_nothing() {
    test(|lab, site| async move {
        let page = lab.page().await;
        page.listen(everything()).unwrap();
        let script = "(async () => {
            const reader = (await fetch('/api/big?bytes=3000000')).body.getReader();
            await new Promise(r => setTimeout(r, 700));
            while (!(await reader.read()).done);
        })()";
        run(&site, &page, script).await;
        let heard = hear_one(&page).await;
        assert_eq!(heard.bytes.len(), 3_000_000);
        assert!(heard.bytes == big(3_000_000), "in their order");
        // Chromium may call it aborted although every byte was read.
        assert!(matches!(heard.end, Some(Ok(_))), "{:?}", heard.end);
    });
}

#[test]
fn a_redirect_to_another_host_is_not_read() {
    test(|lab, site| async move {
        let page = lab.page().await;
        page.listen(everything()).unwrap();
        let script = format!(
            "fetch('/api/redirect?to=' + encodeURIComponent('{OTHER}/api/short?n=secret'), {{method: 'POST', body: 'x'}})
                .then(r => r.text()).then(t => fetch('/api/short?n=' + t.length)).then(r => r.text())"
        );
        run(&site, &page, &script).await;
        let heard: Vec<_> = hear(&page, 2).await.into_values().collect();
        assert_eq!(site.hit("n=secret").await.host, "other.demo.localhost", "the page followed it");
        assert!(heard[0].head.is_none() && heard[0].bytes.is_empty(), "{:?}", heard[0]);
        assert!(matches!(&heard[0].end, Some(Err(why)) if !why.contains("secret")), "{:?}", heard[0].end);
        assert_eq!(heard[1].end, COMPLETE, "the page itself had its answer, and what follows is heard");
    });
}

#[test]
fn a_redirect_within_the_grant_is_followed() {
    test(|lab, site| async move {
        let page = lab.page().await;
        page.listen(everything()).unwrap();
        run(&site, &page, "fetch('/api/redirect?to=/api/sse?n=5').then(r => r.text())").await;
        let heard = hear_one(&page).await;
        assert_eq!(heard.text(), events(5));
        assert_eq!(heard.head.unwrap().url, format!("{HOST}/api/sse?n=5"));
    });
}

#[test]
fn a_frame_of_another_origin_is_not_read() {
    test(foreign_frames);
}

#[test]
fn a_frame_of_another_origin_in_the_same_process_is_not_read() {
    test_without_fission(foreign_frames);
}

async fn foreign_frames(lab: Arc<Lab>, site: Arc<Site>) {
    let page = lab.page().await;
    page.listen(everything()).unwrap();
    page.listen(sockets()).unwrap();
    for (n, frame) in
        ["src=FRAME", "sandbox=allow-scripts src=FRAME", "sandbox=allow-scripts srcdoc='SCRIPT'"].iter().enumerate()
    {
        let script = format!(
            "<script>new WebSocket(`ws://chat.demo.localhost/api/ws?n={n}&frame`);\
             fetch(`{HOST}/api/short?n=frame{n}`).then(r => r.text())<\\/script>"
        );
        let address = format!("{}/frame/{n}", if frame.starts_with("src") { OTHER } else { HOST });
        site.put(&format!("/frame/{n}"), "text/html", &script.replace("\\/", "/"));
        let frame = frame.replace("FRAME", &address).replace("SCRIPT", &script);
        run(&site, &page, &format!("document.write(\"<iframe {frame}></iframe>\")")).await;
        site.hit(&format!("n=frame{n}")).await;
        site.hit(&format!("n={n}&frame")).await;
        // The page itself is heard all the same.
        run(&site, &page, &format!("fetch('/api/short?n=own{n}').then(r => r.text())")).await;
        let own = |s: &Heard| s.head.as_ref().is_some_and(|head| head.url.ends_with(&format!("n=own{n}")));
        let heard = hear_until(&page, |heard| heard.values().any(|s| own(s) && s.end.is_some())).await;
        for stream in heard.values().filter(|s| !own(s)) {
            assert!(stream.head.is_none() && stream.bytes.is_empty() && stream.messages.is_empty(), "{n}: {stream:?}");
            assert!(matches!(stream.end, Some(Err(_))), "{n}: {stream:?}");
        }
    }
}

#[test]
fn a_web_socket_ends_with_its_document_and_its_worker() {
    test(|lab, site| async move {
        let page = lab.page().await;
        page.listen(sockets()).unwrap();
        site.put("/socket.js", "text/javascript", "new WebSocket('ws://chat.demo.localhost/api/ws?n=2&hold')");
        let scripts = [
            "new WebSocket('ws://chat.demo.localhost/api/ws?n=2&hold'); setTimeout(() => location = '/page/none', 700)",
            "const w = new Worker('/socket.js'); setTimeout(() => w.terminate(), 1500)",
        ];
        for script in scripts {
            run(&site, &page, script).await;
            let heard = hear_one(&page).await;
            assert_eq!(heard.messages.len(), 2, "{script}");
            assert!(matches!(heard.end, Some(Ok(_))), "{script}: {heard:?}");
        }
    });
}

#[test]
fn web_sockets_deliver_text_and_binary_in_order() {
    test(|lab, site| async move {
        let page = lab.page().await;
        page.listen(sockets()).unwrap();
        run(&site, &page, "new WebSocket('ws://chat.demo.localhost/api/ws?n=40')").await;
        let heard = hear_one(&page).await;
        let expected: Vec<_> = (0..40)
            .map(|i| if i % 2 == 0 { EventBody::Text(ws_text(i)) } else { EventBody::Binary(ws_binary(i).into()) })
            .collect();
        assert_eq!(heard.messages, expected);
        assert_eq!(heard.end, COMPLETE);
        let head = heard.head.unwrap();
        assert_eq!(head.status, 101);
        assert!(!head.headers.iter().any(|(_, value)| value.contains("hunter2")), "{:?}", head.headers);
    });
}

#[test]
fn a_web_socket_that_breaks_or_is_refused_ends() {
    test(|lab, site| async move {
        let page = lab.page().await;
        page.listen(sockets()).unwrap();
        run(&site, &page, "new WebSocket('ws://chat.demo.localhost/api/ws?n=2&cut')").await;
        let heard = hear_one(&page).await;
        assert_eq!(heard.messages.len(), 2);
        run(&site, &page, "new WebSocket('ws://chat.demo.localhost/api/short')").await;
        let heard = hear_one(&page).await;
        assert!(matches!(heard.end, Some(Err(_))), "{heard:?}");
    });
}

#[test]
fn what_began_before_the_listen_is_not_heard() {
    test(|lab, site| async move {
        let page = lab.page().await;
        run(
            &site,
            &page,
            "fetch('/api/sse?gate=before&n=5').then(r => r.text())
            .then(() => fetch('/api/sse?n=7')).then(r => r.text())",
        )
        .await;
        site.hit("gate=before").await;
        page.listen(everything()).unwrap();
        site.open_gate("before");
        let heard = hear_one(&page).await;
        assert_eq!(heard.text(), events(7));
    });
}

#[test]
fn filters_choose_by_method_status_and_content_type() {
    test(|lab, site| async move {
        let page = lab.page().await;
        let filter = Filter {
            method: Some("POST".into()),
            statuses: vec![200],
            content_types: vec!["text/event-stream".into()],
            ..everything()
        };
        page.listen(filter).unwrap();
        let script = "(async () => { for (const [method, path] of [
            ['GET', 'sse?n=1'], ['POST', 'short?n=1'], ['POST', 'short?status=500'], ['POST', 'sse?n=2'],
        ]) await (await fetch('/api/' + path, {method})).text(); })()";
        run(&site, &page, script).await;
        let heard = hear_one(&page).await;
        assert_eq!(heard.text(), events(2));
    });
}

#[test]
fn a_document_that_cannot_be_streamed_is_fetched() {
    test(|lab, site| async move {
        let text = "é€你😀 ".repeat(2000);
        site.put("/api/document", "text/plain", &text);
        let page = lab.page().await;
        page.listen(everything()).unwrap();
        page.goto(&format!("{HOST}/api/document"), Some(PATIENCE)).await.unwrap();
        let heard = hear_one(&page).await;
        assert!(heard.text() == text, "{:.80}", heard.text());
        assert_eq!(heard.end, COMPLETE);
    });
}

#[test]
fn an_adapter_that_does_not_read_ends_its_own_call_only() {
    test(|lab, site| async move {
        let (slow, other) = (lab.page().await, lab.page().await);
        slow.listen(everything()).unwrap();
        other.listen(everything()).unwrap();
        let script = "(async () => { for (let i = 0; i < 5; i++) await (await fetch('/api/big?bytes=3000000')).text();
            await fetch('/api/short?n=all-sent') })()";
        run(&site, &slow, script).await;
        site.hit("n=all-sent").await;
        run(&site, &other, "fetch('/api/sse?n=30&gap=5').then(r => r.text())").await;
        assert_eq!(hear_one(&other).await.text(), events(30));
        let ended = tokio::time::timeout(PATIENCE, async {
            loop {
                match slow.next(PATIENCE).await {
                    Ok(_) => tokio::time::sleep(Duration::from_millis(1)).await,
                    Err(error) => return error,
                }
            }
        });
        let error = ended.await.unwrap();
        assert!(matches!(error, PageError::Other { code: "client_too_slow", .. }), "{error}");
        // The next call has the page as if nothing had been.
        slow.end_call();
        slow.begin_call();
        slow.listen(everything()).unwrap();
        run(&site, &slow, "fetch('/api/sse?n=3').then(r => r.text())").await;
        assert_eq!(hear_one(&slow).await.text(), events(3));
    });
}

#[test]
fn listens_are_granted_counted_and_stopped() {
    test(|lab, site| async move {
        let page = lab.page().await;
        for url in [format!("{OTHER}/api/**"), format!("{HOST}/**"), "wss://chat.demo.localhost/api/ws".to_owned()] {
            let refused = page.listen(Filter { url, ..Filter::default() });
            assert!(matches!(refused, Err(PageError::NotGranted(_))), "{refused:?}");
        }
        let listens: Vec<u32> = (0..8).map(|_| page.listen(everything()).unwrap()).collect();
        assert!(matches!(page.listen(everything()), Err(PageError::Other { .. })));
        for &id in listens.iter().skip(1) {
            page.stop_listening(id);
        }
        run(&site, &page, "fetch('/api/sse?n=3').then(r => r.text())").await;
        let heard = hear_one(&page).await;
        assert_eq!(heard.text(), events(3));
        // What was listened to ends with the call.
        page.end_call();
        page.begin_call();
        run(&site, &page, "fetch('/api/sse?n=3').then(r => r.text()).then(() => fetch('/api/short?n=over'))").await;
        site.hit("n=over").await;
        while let Some(event) = page.next(Duration::from_millis(300)).await.unwrap() {
            assert_eq!(event.source, 0, "{event:?}");
        }
    });
}

//! `/`: a public page that says how things stand. No secret is on it.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::error::words;
use super::{ApiError, Edge, Language, health};

/// The page's words in one language.
struct Words {
    lang: &'static str,
    title: &'static str,
    about: &'static str,
    state: &'static str,
    version: &'static str,
    models: &'static str,
    endpoints: &'static str,
    chat: &'static str,
    list: &'static str,
    alive: &'static str,
    ready: &'static str,
    key: &'static str,
    console: &'static str,
}

const ENGLISH: Words = Words {
    lang: "en",
    title: "AI chat websites as standard APIs",
    about: "Any program that speaks the OpenAI API can use the chat sites you are signed in to.",
    state: "State",
    version: "Version",
    models: "Models",
    endpoints: "Endpoints",
    chat: "chat completions, streaming or not",
    list: "the models that can be asked for",
    alive: "the program is alive",
    ready: "requests can be answered",
    key: "The API needs a key: send it as a Bearer token.",
    console: "Open the console",
};

const CHINESE: Words = Words {
    lang: "zh",
    title: "把 AI 对话网站变成标准 API",
    about: "任何支持 OpenAI API 的程序，都可以使用您已登录的对话网站。",
    state: "状态",
    version: "版本",
    models: "模型",
    endpoints: "接口",
    chat: "对话补全，支持流式与非流式",
    list: "可用模型列表",
    alive: "程序正在运行",
    ready: "可以处理请求",
    key: "调用 API 需要密钥，请以 Bearer Token 形式发送。",
    console: "访问 WebUI",
};

#[derive(Template)]
#[template(path = "status.html")]
struct Page<'a> {
    words: &'a Words,
    state: &'a str,
    state_text: &'a str,
    reason: Option<&'a str>,
    version: &'a str,
    models: usize,
    /// While it starts, the page looks again by itself.
    refresh: bool,
    /// Whether there is a console to go to.
    console: bool,
}

/// `GET /` and `HEAD /`: 200 whatever the state is, because the machinery around a Space asks just that.
pub(super) async fn page(State(edge): State<Arc<Edge>>, headers: HeaderMap) -> Response {
    let health = edge.health();
    let (state, reason) = health::describe(&health);
    let page_words = match Language::of(&headers) {
        Language::English => &ENGLISH,
        Language::Chinese => &CHINESE,
    };
    let page = Page {
        words: page_words,
        state,
        state_text: state_in(page_words.lang, state),
        reason,
        version: env!("CARGO_PKG_VERSION"),
        models: edge.dispatcher.models().len(),
        refresh: state == "starting",
        console: false,
    };
    match page.render() {
        Ok(html) => (page_headers(), html).into_response(),
        Err(_) => ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", words::no_page()).into_response(),
    }
}

/// No X-Frame-Options: a Space is shown in a frame of huggingface.co.
fn page_headers() -> HeaderMap {
    const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; \
                          frame-ancestors 'self' https://huggingface.co";
    [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::VARY, "accept-language"),
    ]
    .into_iter()
    .map(|(name, value)| (name, HeaderValue::from_static(value)))
    .collect()
}

fn state_in(lang: &str, state: &'static str) -> &'static str {
    match (lang, state) {
        ("zh", "starting") => "正在启动",
        ("zh", "ready") => "就绪",
        ("zh", "degraded") => "部分可用",
        ("zh", "failed") => "无法工作",
        ("zh", "draining") => "正在关闭",
        _ => state,
    }
}

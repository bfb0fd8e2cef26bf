//! Every sentence that an error can say, in English and in Chinese.
//!
//! A detail in braces is put in as it is: the name of a field, a number, another text of this table, or what a site or an
//! adapter said. The compiler sees to it that both languages use every detail.

use super::super::language::Text;
use crate::chat::{FailureKind, Stage};

macro_rules! texts {
    ($($name:ident($($detail:ident),*): $en:literal, $zh:literal;)*) => {
        $(
            pub(in crate::http) fn $name($($detail: impl Into<Text>),*) -> Text {
                $(let $detail = $detail.into();)*
                Text {
                    en: { $(let $detail = &$detail.en;)* format!($en) },
                    zh: { $(let $detail = &$detail.zh;)* format!($zh) },
                }
            }
        )*

        /// Every text, with the names of its details in their places.
        #[cfg(test)]
        fn all() -> Vec<(&'static str, Vec<&'static str>, Text)> {
            vec![$((
                stringify!($name),
                vec![$(concat!("<", stringify!($detail), ">")),*],
                $name($(concat!("<", stringify!($detail), ">")),*),
            )),*]
        }
    };
}

texts! {
    // The request as such.
    missing_api_key():
        "No API key was given. Send it as `Authorization: Bearer <key>` or as `x-api-key: <key>`.",
        "没有提供 API 密钥。请通过 `Authorization: Bearer <密钥>` 或 `x-api-key: <密钥>` 发送。";
    invalid_api_key(): "This API key is not valid here.", "API 密钥无效。";
    nothing_here(method, path): "There is nothing at {method} {path}.", "{method} {path} 不存在。";
    method_not_allowed(method): "{method} is not allowed here.", "此处不支持 {method} 方法。";
    no_embeddings():
        "Chat websites give no embeddings, and this server does not make any up.",
        "聊天网站不提供向量嵌入，本服务也不会凭空生成。";
    body_too_large(max): "The request body is larger than {max} bytes.", "请求体超过了 {max} 字节的上限。";
    body_incomplete(): "The request body ended early.", "请求体不完整。";
    body_too_slow(): "The request body came too slowly.", "请求体传输超时。";
    body_encoded(): "Send the request body without Content-Encoding.", "请不要压缩请求体（Content-Encoding）。";
    body_not_json_type():
        "Send the request body as JSON, with `Content-Type: application/json`.",
        "请以 JSON 格式发送请求体，并设置 `Content-Type: application/json`。";
    body_not_json(reason): "The request body is not valid JSON: {reason}.", "请求体不是有效的 JSON：{reason}。";
    model_id_not_utf8(): "The model id is not valid UTF-8.", "模型名称不是有效的 UTF-8。";
    unreadable(): "The request could not be read.", "无法读取该请求。";
    lost(): "The request was lost inside the server.", "请求在服务内部丢失。";
    no_page(): "The page could not be made.", "无法生成页面。";
    wrong_header(name, values):
        "The header {name} must be one of {values}.",
        "请求头 {name} 只能取以下值之一：{values}。";
    reload_in_progress():
        "The configuration is being read just now, or the server is being stopped.",
        "正在读取配置，或服务正在停止。";
    configuration_refused():
        "The new configuration was not taken over, the old one stays in force",
        "新配置未被采用，原配置继续有效";
    media_not_found(): "There is no such file, or no longer.", "文件不存在，或已过期。";
    media_unavailable(reason): "The file cannot be looked up: {reason}.", "无法查找该文件：{reason}。";
    not_ready(reason): "The server cannot answer: {reason}", "服务目前无法工作：{reason}";
    low_memory():
        "The server is short of memory and takes no new work until some is free.",
        "服务器内存不足，释放内存之前暂不接受新的请求。";
    no_metrics(): "This process records no metrics.", "本进程没有记录指标。";
    rewritten():
        "The site rewrote its answer after a part of it had been sent, and what was sent cannot be taken back. Ask \
         without `stream` to get the last version.",
        "网站改写了已经发送的部分回答，而已发送的内容无法撤回。不使用 `stream` 可以得到最终版本。";

    // The operator's own.
    admin_only():
        "This needs the admin key; a key for API clients does not open it.",
        "此操作需要管理员密钥，普通 API 密钥无权访问。";
    foreign_origin():
        "A page of another website may not use this.",
        "不允许其他网站的页面访问此接口。";
    too_many_changes(): "Too many changes at once; try again later.", "操作过于频繁，请稍后再试。";
    log_query():
        "`after`, `lines` and `wait` must be whole numbers.",
        "`after`、`lines` 和 `wait` 必须是非负整数。";
    requests_query():
        "`limit` and `before` must be whole numbers.",
        "`limit` 和 `before` 必须是整数。";
    statistics_query(): "`days` must be a whole number.", "`days` 必须是整数。";
    request_not_found(): "There is no such request in the history, or no longer.", "历史记录中没有该请求，或已被清除。";
    history_unavailable(reason): "The history cannot be read: {reason}.", "无法读取历史记录：{reason}。";
    adapter_change(reason): "It was not done: {reason}.", "操作未执行：{reason}。";
    not_probed():
        "The account was not looked at: there is no such account, all its pages are in use, or the site does not tell.",
        "未能检查该账号：账号不存在、页面都在使用中，或网站没有给出登录状态。";
    account_order(reason): "It was not done: {reason}.", "操作未执行：{reason}。";

    // A field, and what is wrong with it.
    missing(field): "`{field}` is missing.", "缺少 `{field}`。";
    expected(field, what, found): "{field}: expected {what}, found {found}.", "{field}：应为{what}，实际为{found}。";
    wrong(field, reason): "`{field}`: {reason}.", "`{field}`：{reason}。";
    the_body(): "The request body", "请求体";
    the_field(name): "`{name}`", "`{name}`";

    // (In Chinese, a Latin word has a space before it.)
    a_string(): "a string", "字符串";
    a_string_not_empty(): "a string that is not empty", "非空字符串";
    a_boolean(): "true or false", " true 或 false";
    a_whole_number(): "a whole number that is not negative", "非负整数";
    at_least_one(): "at least 1", "不小于 1 的整数";
    a_number(): "a number", "数字";
    an_object(): "an object", "对象";
    an_array(): "an array", "数组";
    string_or_object(): "a string or an object", "字符串或对象";
    string_or_strings(): "a string or an array of strings", "字符串或字符串数组";
    string_or_parts(): "a string or an array of parts", "字符串或内容块数组";
    at_most_four_strings(): "at most four strings", "最多四个字符串";
    at_least_one_message(): "at least one message", "至少一条消息";
    at_least_one_part(): "at least one part", "至少一个内容块";
    one_of(values): "one of {values}", "以下值之一：{values}";
    data_or_https(): "a data: URI or an https:// address", " data: URI 或 https:// 地址";

    found_nothing(): "nothing", "空缺";
    found_null(): "null", " null";
    found_boolean(): "a boolean", "布尔值";
    found_empty_string(): "an empty string", "空字符串";
    found_empty_array(): "an empty array", "空数组";

    // What a website cannot do.
    one_answer():
        "A chat website gives one answer at a time: `n` must be 1.",
        "聊天网站每次只给出一个回答：`n` 必须为 1。";
    text_format_only():
        "Only `response_format` {{\"type\": \"text\"}} is supported so far.",
        "`response_format` 目前只支持 {{\"type\": \"text\"}}。";
    text_answers_only(): "Only text answers are supported.", "只支持文本回答。";
    no_spoken_answers(): "Spoken answers are not supported.", "不支持语音回答。";
    no_audio_input(): "Audio input is not supported.", "不支持音频输入。";
    no_tools():
        "Tools are not supported yet. Leave out `tools`, or set `tool_choice` to \"none\".",
        "尚不支持工具调用。请去掉 `tools`，或将 `tool_choice` 设为 \"none\"。";
    no_uploaded_files():
        "Uploaded files are not supported: send `file_data`.",
        "不支持引用已上传的文件，请改用 `file_data`。";
    too_many_attachments(most):
        "A request may bring at most {most} pictures and files.",
        "每个请求最多包含 {most} 个图片或文件。";

    // Pictures and files.
    not_a_picture(): "this is not a PNG, JPEG, GIF or WebP picture", "不是 PNG、JPEG、GIF 或 WebP 图片";
    damaged_picture(kind): "this {kind} picture is damaged", "{kind} 图片已损坏";
    too_many_pixels(width, height, most):
        "a picture of {width} x {height} pixels is too large; the limit is {most} pixels",
        "图片尺寸 {width} x {height} 过大，上限为 {most} 像素";
    empty_file(): "this is empty", "内容为空";
    too_many_bytes(bytes, most): "this has {bytes} bytes; the limit is {most}", "大小为 {bytes} 字节，上限为 {most}";
    bad_data_uri(reason):
        "expected `data:<type>;base64,<data>`: {reason}",
        "应为 `data:<类型>;base64,<数据>`：{reason}";
    no_comma(): "there is no comma", "缺少逗号";
    no_base64_mark(): "it is not base64", "不是 base64";
    bad_base64(reason): "this is not valid base64: {reason}", "不是有效的 base64：{reason}";
    not_https(): "the address must begin with https://", "地址必须以 https:// 开头";
    has_credentials(): "the address must not hold a user name or a password", "地址中不能包含用户名或密码";
    not_public(): "the host is not a public address", "主机不是公网地址";
    fetch_too_large(most): "it is larger than {most} bytes", "超过了 {most} 字节的上限";
    fetch_too_slow(seconds): "it took longer than {seconds} s", "下载超过了 {seconds} 秒";
    fetch_status(status): "the server answered {status}", "对方服务器返回 {status}";
    fetch_redirects(): "too many redirects", "重定向次数过多";
    fetch_failed(): "it could not be fetched", "无法下载";

    // Failures on the way to the site and back. Whoever failed, and what it said of it, is put around these.
    by_adapter(adapter, what): "{adapter}: {what}", "{adapter}：{what}";
    with_detail(what, detail): "{what}: {detail}", "{what}：{detail}";
    login_required(): "Nobody is signed in to this site", "该网站尚未登录";
    challenge_required(): "The site asks for a check by a person", "网站要求人工验证";
    rate_limited(): "The site limits how often it may be asked", "网站限制了请求频率";
    quota_exhausted(): "The account's quota at this site is used up", "该网站的账号额度已用完";
    content_blocked(): "The site refused this content", "网站拒绝了该内容";
    model_not_found(model):
        "There is no model `{model}`; GET /v1/models lists those that are there",
        "没有名为 `{model}` 的模型，可通过 GET /v1/models 查看可用模型";
    model_unavailable(): "This model cannot be selected now", "目前无法选用该模型";
    prompt_too_long(length, limit):
        "The prompt has {length} characters, and the site takes {limit}",
        "提示词有 {length} 个字符，而网站最多接受 {limit} 个";
    request_refused(): "The site cannot do what this request asks", "网站无法处理该请求";
    site_changed(step, selector):
        "The site is not as its adapter knows it: at step `{step}`, {selector} was not found",
        "网站与适配器所了解的不一致：在步骤 `{step}` 没有找到 {selector}";
    timeout(stage): "The site did not answer in time (stage: {stage})", "网站未能及时响应（阶段：{stage}）";
    no_page_in_time(stage):
        "No page of this site was free in time (stage: {stage})",
        "未能及时等到该网站的空闲页面（阶段：{stage}）";
    upstream(): "The site reported an error", "网站返回了错误";
    other(code): "The adapter reported `{code}`", "适配器报告了 `{code}`";
    server_busy():
        "All pages of this site are busy and the queue is full; try again later",
        "该网站的所有页面都在使用中，队列已满，请稍后再试";
    starting():
        "The server is starting: its browser or its adapters are not up yet",
        "服务正在启动：浏览器或适配器尚未就绪";
    quarantined():
        "This adapter is out of use until the operator has looked at it",
        "该适配器已停用，需由管理员处理";
    browser_failed(): "The browser failed", "浏览器出现故障";
    adapter_cpu_limit(): "The adapter used more processor time than it may", "适配器占用的处理器时间超过上限";
    adapter_memory_limit(): "The adapter asked for more memory than it may have", "适配器申请的内存超过上限";
    adapter_crashed(): "The adapter crashed; its log says where", "适配器崩溃，详情见其日志";
    already_submitted(): "The first try of this request reached the site; it is not sent again", "该请求的首次尝试已发送到网站，不会重复发送";
    key_reused():
        "This Idempotency-Key belongs to an earlier request with another body: use a new one for each request",
        "该 Idempotency-Key 已用于请求体不同的另一请求，每个请求请使用新的值";
    client_too_slow(): "The client did not read the answer fast enough", "客户端读取回答过慢";
    client_gone(): "The client has gone", "客户端已断开";
    shutting_down(): "The server is being stopped", "服务正在停止";
}

/// What a failure of this kind is called.
pub(super) fn failure(kind: &FailureKind) -> Text {
    use FailureKind as K;
    match kind {
        K::LoginRequired => login_required(),
        K::ChallengeRequired => challenge_required(),
        K::RateLimited { .. } => rate_limited(),
        K::QuotaExhausted { .. } => quota_exhausted(),
        K::ContentBlocked => content_blocked(),
        // The name is the client's text, of any length.
        K::ModelNotFound { model } => model_not_found(model.chars().take(100).collect::<String>()),
        K::ModelUnavailable => model_unavailable(),
        K::InvalidRequest => request_refused(),
        K::PromptTooLong { length, limit } => prompt_too_long(length, limit),
        K::SiteChanged { step, selector } => site_changed(step, selector),
        K::Timeout(stage @ Stage::Queue) => no_page_in_time(stage),
        K::Timeout(stage) => timeout(stage),
        K::Upstream => upstream(),
        K::Other(code) => other(code),
        K::ServerBusy { .. } => server_busy(),
        K::Starting { .. } => starting(),
        K::Quarantined => quarantined(),
        K::BrowserFailed => browser_failed(),
        K::AdapterCpuLimit => adapter_cpu_limit(),
        K::AdapterMemoryLimit => adapter_memory_limit(),
        K::AdapterCrashed => adapter_crashed(),
        K::AlreadySubmitted => already_submitted(),
        K::KeyReused => key_reused(),
        K::ClientTooSlow => client_too_slow(),
        K::ClientGone => client_gone(),
        K::ShuttingDown => shutting_down(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_chinese(c: char) -> bool {
        matches!(c, '\u{3000}'..='\u{303f}' | '\u{4e00}'..='\u{9fff}' | '\u{ff00}'..='\u{ffef}')
    }

    #[test]
    fn every_text_is_there_in_both_languages_with_all_its_details() {
        // These are nothing but their details.
        const NO_WORDS: &[&str] = &["the_field", "found_null"];
        let texts = all();
        assert!(texts.len() > 80);
        for (name, details, text) in texts {
            for detail in details {
                assert!(text.en.contains(detail) && text.zh.contains(detail), "{name}: {text:?}");
            }
            assert!(!text.en.is_empty() && !text.en.chars().any(is_chinese), "{name}: {text:?}");
            // Some words are the same in both languages, but no whole text is.
            let translated = text.zh.chars().any(is_chinese) && text.zh != text.en;
            assert!(translated || NO_WORDS.contains(&name), "{name}: {text:?}");
            let ends = |text: &str, mark| text.ends_with(mark);
            assert_eq!(ends(&text.en, '.'), ends(&text.zh, '。'), "{name}: both are sentences, or none is");
        }
    }

    #[test]
    fn a_text_inside_a_text_has_its_language_too() {
        let text = expected(the_field("stop"), one_of("a, b"), an_array());
        assert_eq!(text.en, "`stop`: expected one of a, b, found an array.");
        assert_eq!(text.zh, "`stop`：应为以下值之一：a, b，实际为数组。");
    }
}

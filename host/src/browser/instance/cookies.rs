//! All cookies of an instance, read and written without a page.
//!
//! On the root session and without a context's name, `Storage` means the default context: the one whose profile lasts.

use std::collections::BTreeMap;

use chromiumoxide::cdp::browser_protocol::storage::GetCookiesParams;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::live::{DEADLINE, Live};
use crate::browser::cdp::CdpError;
use crate::session::{Cookie, PartitionKey};

/// A cookie as Chromium tells it: what is not known here is passed over.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    name: String,
    value: String,
    domain: String,
    path: String,
    #[serde(default)]
    expires: Option<f64>,
    #[serde(default)]
    secure: bool,
    #[serde(default)]
    http_only: bool,
    same_site: Option<String>,
    priority: Option<String>,
    source_scheme: Option<String>,
    source_port: Option<i64>,
    partition_key: Option<Value>,
    /// Its partition is one that goes with the browser.
    #[serde(default)]
    partition_key_opaque: bool,
}

impl Told {
    /// None for a cookie that nobody can set again.
    fn cookie(self) -> Option<Cookie> {
        if self.partition_key_opaque {
            return None;
        }
        let partition_key = match self.partition_key {
            None | Some(Value::Null) => None,
            // Before Chromium 127 it was a text.
            Some(Value::String(top_level_site)) => {
                Some(PartitionKey { top_level_site, has_cross_site_ancestor: false })
            }
            Some(key) => Some(serde_json::from_value(key).ok()?),
        };
        Some(Cookie {
            name: self.name,
            value: self.value,
            domain: self.domain,
            path: self.path,
            expires: self.expires.filter(|at| *at > 0.0),
            secure: self.secure,
            http_only: self.http_only,
            same_site: self.same_site,
            priority: self.priority,
            source_scheme: self.source_scheme.filter(|scheme| scheme != "Unset"),
            source_port: self.source_port.filter(|port| *port > 0),
            partition_key,
        })
    }
}

/// `Storage.setCookies`: with what the crate at hand lacks.
#[derive(Debug, Serialize)]
struct SetCookies {
    cookies: Vec<Value>,
}

impl chromiumoxide::Method for SetCookies {
    fn identifier(&self) -> chromiumoxide::types::MethodId {
        "Storage.setCookies".into()
    }
}

impl chromiumoxide::Command for SetCookies {
    type Response = Value;
}

/// A cookie as Chromium takes it.
fn param(cookie: &Cookie) -> Value {
    let mut param = json!({
        "name": cookie.name,
        "value": cookie.value,
        "url": cookie.url(),
        "path": cookie.path,
        "secure": cookie.secure,
        "httpOnly": cookie.http_only,
    });
    let Some(fields) = param.as_object_mut() else { return param };
    // With a domain it would go to all hosts below, too.
    if !cookie.is_host_only() {
        fields.insert("domain".into(), json!(cookie.domain));
    }
    let optional = [
        ("expires", cookie.expires.map(|at| json!(at))),
        ("sameSite", cookie.same_site.as_ref().map(|site| json!(site))),
        ("priority", cookie.priority.as_ref().map(|priority| json!(priority))),
        ("sourceScheme", cookie.source_scheme.as_ref().map(|scheme| json!(scheme))),
        ("sourcePort", cookie.source_port.map(|port| json!(port))),
        ("partitionKey", cookie.partition_key.as_ref().map(|key| json!(key))),
    ];
    fields.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    param
}

impl Live {
    /// All cookies of the default context, in a fixed order. Those that cannot be set again are not among them.
    pub(super) async fn cookies(&self) -> Result<Vec<Cookie>, CdpError> {
        #[derive(Deserialize)]
        struct Answer {
            cookies: Vec<Told>,
        }
        let answer = self.root.execute_value(GetCookiesParams::default(), DEADLINE).await?;
        let answer: Answer = serde_json::from_value(answer)
            // Not its words: they may quote a value.
            .map_err(|error| CdpError::Decode {
                method: "Storage.getCookies".into(),
                message: format!("{:?}", error.classify()),
            })?;
        let by_id: BTreeMap<_, _> =
            answer.cookies.into_iter().filter_map(Told::cookie).map(|cookie| (cookie.id(), cookie)).collect();
        Ok(by_id.into_values().collect())
    }

    /// Sets cookies, over those of the same name. Says how many Chromium refused.
    pub(super) async fn set_cookies(&self, cookies: &[Cookie]) -> Result<usize, CdpError> {
        match self.set(cookies.iter().map(param).collect()).await {
            Err(CdpError::Refused { .. }) => {}
            result => return result.map(|()| 0),
        }
        // One that is refused keeps out all others.
        let mut refused = 0;
        for cookie in cookies {
            match self.set(vec![param(cookie)]).await {
                Err(CdpError::Refused { message, .. }) => {
                    tracing::debug!(?cookie, message, "a cookie was refused");
                    refused += 1;
                }
                result => result?,
            }
        }
        Ok(refused)
    }

    /// Deletes cookies. `Network.deleteCookies` would need a page; one whose time is over goes as well.
    pub(super) async fn delete_cookies(&self, cookies: &[Cookie]) -> Result<(), CdpError> {
        let over = |cookie: &Cookie| Cookie { expires: Some(1.0), value: String::new(), ..cookie.clone() };
        self.set_cookies(&cookies.iter().map(over).collect::<Vec<_>>()).await.map(drop)
    }

    async fn set(&self, cookies: Vec<Value>) -> Result<(), CdpError> {
        if cookies.is_empty() {
            return Ok(());
        }
        self.root.execute_value(SetCookies { cookies }, DEADLINE).await.map(drop)
    }
}

//! The pictures of an answer. The page loads each when it comes into view, as Base64 text whose type is in a header.

use std::collections::BTreeMap;

use webai_adapter::{Ending, Event, EventBody, Failure, Filter, Page, PageError, Reply, Seconds, data_uri::Parser};

const DOWNLOAD: &str = "https://biz-discoveryengine.googleapis.com/download/v1alpha/projects/**";
const TYPE: &str = "x-goog-safety-content-type";
const PICTURE: &str = "css=ucs-markdown-image";

/// One download under way.
#[derive(Default)]
struct Download {
    file: String,
    mime_type: String,
    base64: Parser,
    bytes: Vec<u8>,
    whole: bool,
}

/// What the page downloads while an answer comes, and after it.
pub(crate) struct Pictures {
    source: u32,
    downloads: BTreeMap<u32, Download>,
    broken: Option<String>,
}

impl Pictures {
    /// Listens from now on.
    pub(crate) fn expect(page: &Page) -> Result<Self, PageError> {
        let source = page.listen(&Filter::url(DOWNLOAD))?;
        Ok(Self { source, downloads: BTreeMap::new(), broken: None })
    }

    pub(crate) fn take(&mut self, event: Event) {
        if event.source != self.source {
            return;
        }
        let download = self.downloads.entry(event.stream).or_default();
        match event.body {
            EventBody::Response(head) if head.status == 200 => {
                download.file = file_of(&head.url).unwrap_or_default().to_owned();
                let header = head.headers.into_iter().find(|(name, _)| name == TYPE);
                download.mime_type = header.map(|(_, value)| value).unwrap_or_default();
                download.base64 = Parser::base64(&download.mime_type);
            }
            EventBody::Response(head) => self.broken = Some(format!("status {}", head.status)),
            EventBody::Bytes(text) => match download.base64.push(&text) {
                Ok(bytes) => download.bytes.extend(bytes),
                Err(bad) => self.broken = Some(bad.to_string()),
            },
            EventBody::End(Ending::Complete) => match std::mem::take(&mut download.base64).finish() {
                Ok(rest) => {
                    download.bytes.extend(rest);
                    download.whole = true;
                }
                Err(bad) => self.broken = Some(bad.to_string()),
            },
            EventBody::Failed(why) => self.broken = Some(why),
            _ => {}
        }
    }

    /// Looks at each picture of the answer, and passes them on in its order.
    pub(crate) fn collect(mut self, page: &Page, reply: &Reply, files: &[String]) -> Result<(), Failure> {
        for (n, file) in files.iter().enumerate() {
            page.scroll_into_view(&format!("{PICTURE} >> nth={n}"))?;
            let picture = loop {
                if let Some(picture) = self.whole(file) {
                    break picture;
                }
                let Some(event) = page.next(Seconds(60))? else {
                    return Err(Failure::Timeout(format!("picture {} of {} did not come", n + 1, files.len())));
                };
                self.take(event);
                if let Some(why) = &self.broken {
                    return Err(Failure::Upstream(format!("picture {} of {} broke off: {why}", n + 1, files.len())));
                }
            };
            reply.media(&picture.mime_type, &picture.bytes);
        }
        Ok(())
    }

    fn whole(&self, file: &str) -> Option<&Download> {
        self.downloads.values().find(|download| download.file == file && download.whole)
    }
}

/// The id of the file in a download's address.
fn file_of(url: &str) -> Option<&str> {
    let (_, query) = url.split_once('?')?;
    query.split('&').find_map(|pair| pair.strip_prefix("fileId="))
}

#[cfg(test)]
mod tests {
    use webai_adapter::ResponseHead;

    use super::*;

    #[test]
    fn a_file_is_named_in_the_address() {
        assert_eq!(file_of("https://h/download/v1alpha/projects/1:downloadFile?alt=media&fileId=7"), Some("7"));
        assert_eq!(file_of("https://h/"), None);
    }

    #[test]
    fn base64_is_decoded_with_the_type_of_the_header() {
        let downloaded = |pieces: &[&str]| {
            let mut pictures = Pictures { source: 1, downloads: BTreeMap::new(), broken: None };
            let head = EventBody::Response(ResponseHead {
                url: "https://h/download?fileId=7".into(),
                method: "GET".into(),
                status: 200,
                headers: vec![(TYPE.into(), "image/png".into())],
            });
            let bytes = pieces.iter().map(|piece| EventBody::Bytes(piece.as_bytes().to_vec()));
            for body in [head].into_iter().chain(bytes).chain([EventBody::End(Ending::Complete)]) {
                pictures.take(Event { source: 1, stream: 1, body });
            }
            pictures
        };
        let pictures = downloaded(&["aGVs", "bG8=", "\n"]);
        let picture = pictures.whole("7").unwrap();
        assert_eq!((picture.mime_type.as_str(), picture.bytes.as_slice()), ("image/png", b"hello".as_slice()));
        for broken in [&["<html>"][..], &["aGVsb"]] {
            let pictures = downloaded(broken);
            assert!(pictures.whole("7").is_none() && pictures.broken.is_some(), "{broken:?}");
        }
    }
}

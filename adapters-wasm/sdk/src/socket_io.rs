//! Messages of Socket.IO (protocol 5) within those of Engine.IO (protocol 4), as they come on a WebSocket or by long polling.

/// One message of the server. Payloads are JSON texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Packet<'a> {
    /// Engine.IO's handshake.
    Open(&'a str),
    Close,
    Ping,
    Pong,
    Noop,
    Connected {
        namespace: &'a str,
    },
    Disconnected {
        namespace: &'a str,
    },
    /// `["name", argument...]`
    Event {
        namespace: &'a str,
        arguments: &'a str,
    },
    Ack {
        namespace: &'a str,
        id: u64,
        arguments: &'a str,
    },
    Refused {
        namespace: &'a str,
        error: &'a str,
    },
    /// A packet with binary parts, which come as further messages.
    Binary(&'a str),
}

/// Reads one message. None if it is no such packet.
pub fn parse(message: &str) -> Option<Packet<'_>> {
    let (kind, rest) = first(message)?;
    Some(match kind {
        b'0' => Packet::Open(rest),
        b'1' => Packet::Close,
        b'2' => Packet::Ping,
        b'3' => Packet::Pong,
        b'4' => return socket(rest),
        b'6' => Packet::Noop,
        b'b' => Packet::Binary(rest),
        _ => return None,
    })
}

/// The messages of a long-polling answer.
pub fn polled(body: &str) -> impl Iterator<Item = Packet<'_>> {
    body.split('\u{1e}').filter_map(parse)
}

fn socket(text: &str) -> Option<Packet<'_>> {
    let (kind, rest) = first(text)?;
    if matches!(kind, b'5' | b'6') {
        return Some(Packet::Binary(rest));
    }
    let (namespace, rest) = namespace(rest);
    let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (id, payload) = rest.split_at(digits);
    Some(match kind {
        b'0' => Packet::Connected { namespace },
        b'1' => Packet::Disconnected { namespace },
        b'2' => Packet::Event { namespace, arguments: payload },
        b'3' => Packet::Ack { namespace, id: id.parse().ok()?, arguments: payload },
        b'4' => Packet::Refused { namespace, error: payload },
        _ => return None,
    })
}

fn first(text: &str) -> Option<(u8, &str)> {
    let kind = *text.as_bytes().first()?;
    Some((kind, text.get(1..)?))
}

/// `/` where none is named. One that is named ends with a comma, but for the end of the message.
fn namespace(text: &str) -> (&str, &str) {
    if !text.starts_with('/') {
        return ("/", text);
    }
    text.split_once(',').unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn knows_every_packet() {
        let cases = [
            (r#"0{"sid":"a"}"#, Packet::Open(r#"{"sid":"a"}"#)),
            ("2", Packet::Ping),
            ("3probe", Packet::Pong),
            ("40", Packet::Connected { namespace: "/" }),
            (r#"40/chat,{"sid":"b"}"#, Packet::Connected { namespace: "/chat" }),
            ("41/chat", Packet::Disconnected { namespace: "/chat" }),
            (r#"42["e",{"a":1}]"#, Packet::Event { namespace: "/", arguments: r#"["e",{"a":1}]"# }),
            (r#"42/chat,12["e"]"#, Packet::Event { namespace: "/chat", arguments: r#"["e"]"# }),
            ("437[]", Packet::Ack { namespace: "/", id: 7, arguments: "[]" }),
            (r#"44{"message":"no"}"#, Packet::Refused { namespace: "/", error: r#"{"message":"no"}"# }),
            (r#"451-["e",{"_placeholder":true,"num":0}]"#, Packet::Binary(r#"1-["e",{"_placeholder":true,"num":0}]"#)),
            ("bAAEC", Packet::Binary("AAEC")),
        ];
        for (text, packet) in cases {
            assert_eq!(parse(text), Some(packet), "{text}");
        }
        for text in ["", "x", "4", "49", "43[]", "\u{4e2d}"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_polled_answer_has_several() {
        assert_eq!(polled("2\u{1e}42[]\u{1e}?").count(), 2);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[0-9b]{0,3}[/,0-9a\u{4e2d}\\[\u{1e}]{0,12}") {
            let _ = parse(&text);
            let _ = polled(&text).count();
        }
    }
}

//! From a text that is sent as a whole each time to what is new in it.

/// What a snapshot changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<'a> {
    Nothing,
    /// The text goes on with this.
    Grew(&'a str),
    /// The site has rewritten what it had sent: take that back ([`Reply::restart`](crate::Reply::restart)) and begin with this.
    Rewritten(&'a str),
}

/// The text as far as it has come.
#[derive(Debug, Default, Clone)]
pub struct Snapshot {
    text: String,
}

impl Snapshot {
    pub fn new() -> Self {
        Self::default()
    }

    /// Compares with the text before. It keeps a copy, so bound what is given.
    pub fn take<'a>(&mut self, text: &'a str) -> Change<'a> {
        let change = match text.strip_prefix(self.text.as_str()) {
            Some("") => return Change::Nothing,
            Some(more) => Change::Grew(more),
            None => Change::Rewritten(text),
        };
        match change {
            Change::Grew(more) => self.text.push_str(more),
            _ => text.clone_into(&mut self.text),
        }
        change
    }

    /// The last one.
    pub fn text(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn grows_and_is_rewritten() {
        let mut snapshot = Snapshot::new();
        assert_eq!(snapshot.take(""), Change::Nothing);
        assert_eq!(snapshot.take("Hel"), Change::Grew("Hel"));
        assert_eq!(snapshot.take("Hel"), Change::Nothing);
        assert_eq!(snapshot.take("Hello"), Change::Grew("lo"));
        assert_eq!(snapshot.take("Hell"), Change::Rewritten("Hell"));
        assert_eq!(snapshot.take(""), Change::Rewritten(""));
    }

    proptest! {
        /// What a client makes of the changes is always the last snapshot.
        #[test]
        fn changes_add_up(snapshots in proptest::collection::vec("[ab\u{4e2d}]{0,4}", 0..20)) {
            let mut snapshot = Snapshot::new();
            let mut client = String::new();
            for text in &snapshots {
                match snapshot.take(text) {
                    Change::Nothing => {}
                    Change::Grew(more) => client.push_str(more),
                    Change::Rewritten(whole) => whole.clone_into(&mut client),
                }
                prop_assert_eq!(&client, text);
                prop_assert_eq!(snapshot.text(), text);
            }
        }
    }
}

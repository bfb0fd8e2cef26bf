//! Sealing: ChaCha20-Poly1305 with a fresh nonce for each file.

use std::fmt;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// Why something was not sealed or opened. Tells nothing of the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("it is shorter than any sealed file")]
    Short,
    /// Another key, or changed bytes: the seal does not say which.
    #[error("the key does not fit, or the file was changed")]
    Broken,
    #[error("the system has no randomness")]
    NoRandomness,
}

/// A text that no log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

fn key(bytes: &[u8; 32]) -> Result<LessSafeKey, SealError> {
    UnboundKey::new(&CHACHA20_POLY1305, bytes).map(LessSafeKey::new).map_err(|_| SealError::Broken)
}

/// Nonce, then ciphertext and tag. `bound` is not in it, but must be the same when it is opened.
pub(super) fn seal(with: &[u8; 32], bound: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
    let nonce: [u8; NONCE_LEN] = random()?;
    let mut sealed = plain.to_vec();
    key(with)?
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(bound), &mut sealed)
        .map_err(|_| SealError::Broken)?;
    Ok([nonce.as_slice(), &sealed].concat())
}

pub(super) fn open(with: &[u8; 32], bound: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(SealError::Short)?;
    let mut bytes = sealed.to_vec();
    let opened = key(with)?
        .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(bound), &mut bytes)
        .map_err(|_| SealError::Broken)?;
    let length = opened.len();
    bytes.truncate(length);
    Ok(bytes)
}

pub(super) fn random<const N: usize>() -> Result<[u8; N], SealError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| SealError::NoRandomness)?;
    Ok(bytes)
}

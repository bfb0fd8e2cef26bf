//! An answer comes in any cuts. The first byte of the input says where it is cut; what comes out must not depend on it.

/// The pieces of the rest of the input.
pub fn pieces(input: &[u8]) -> Option<(&[u8], impl Iterator<Item = &[u8]>)> {
    let (&size, bytes) = input.split_first()?;
    Some((bytes, bytes.chunks(usize::from(size).max(1))))
}

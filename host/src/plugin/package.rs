//! An adapter's file: a component with its manifest in a custom section, so that the host knows what may run before anything
//! runs.

use wit_component::ComponentEncoder;

use super::manifest::{Manifest, ManifestError};

/// The custom section that holds `adapter.toml`.
const SECTION: &str = "webai:adapter";
/// No adapter that is known needs more; a script engine takes about 14 MB.
pub const MAX_SIZE: usize = 64 << 20;
const MAX_MANIFEST: usize = 256 << 10;

/// Why a file is not an adapter.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    #[error("the file has {0} bytes; an adapter may have at most {MAX_SIZE}")]
    TooLarge(usize),
    #[error("this is not WebAssembly")]
    NotWasm,
    #[error("this is a core module, not a component: pack it with `webai2api adapter pack`")]
    CoreModule,
    #[error("the file is damaged or cut off at byte {0}")]
    Damaged(usize),
    #[error("this component has no manifest: pack it with `webai2api adapter pack --manifest adapter.toml`")]
    NoManifest,
    #[error("the manifest has more than {MAX_MANIFEST} bytes or is not UTF-8")]
    BadManifest,
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("cannot make a component of this module: {0}")]
    Encode(String),
}

/// Makes a component of a core module that was built with the SDK, and puts the manifest into it.
///
/// # Errors
/// When the manifest is wrong, or the module does not fit the contract.
pub fn pack(module: &[u8], manifest: &str) -> Result<Vec<u8>, PackageError> {
    Manifest::parse(manifest)?;
    let encode = |e: &dyn std::fmt::Display| PackageError::Encode(e.to_string());
    let mut component = if is_component(module) {
        module.to_vec()
    } else {
        ComponentEncoder::default()
            .validate(true)
            .module(module)
            .and_then(|mut encoder| encoder.encode())
            .map_err(|e| encode(&format!("{e:#}")))?
    };
    component.push(0);
    let mut body = Vec::with_capacity(manifest.len() + SECTION.len() + 5);
    write_leb128(&mut body, SECTION.len());
    body.extend_from_slice(SECTION.as_bytes());
    body.extend_from_slice(manifest.as_bytes());
    write_leb128(&mut component, body.len());
    component.extend_from_slice(&body);
    Ok(component)
}

/// Reads the manifest of an adapter's file without compiling or running anything of it.
///
/// # Errors
/// When the file is not a component, is damaged, or its manifest is missing or wrong.
pub fn read_manifest(file: &[u8]) -> Result<Manifest, PackageError> {
    if file.len() > MAX_SIZE {
        return Err(PackageError::TooLarge(file.len()));
    }
    if !file.starts_with(b"\0asm") {
        return Err(PackageError::NotWasm);
    }
    if !is_component(file) {
        return Err(PackageError::CoreModule);
    }
    let text = find_section(file)?.ok_or(PackageError::NoManifest)?;
    if text.len() > MAX_MANIFEST {
        return Err(PackageError::BadManifest);
    }
    let text = std::str::from_utf8(text).map_err(|_| PackageError::BadManifest)?;
    Ok(Manifest::parse(text)?)
}

/// Components and core modules differ in the second half of the version field (component model binary format, preamble).
fn is_component(file: &[u8]) -> bool {
    file.get(4..8).is_some_and(|version| version == [0x0d, 0, 1, 0])
}

/// The manifest's section: the last one of that name at the top level, since packing appends it.
fn find_section(file: &[u8]) -> Result<Option<&[u8]>, PackageError> {
    let mut at = 8;
    let mut found = None;
    while at < file.len() {
        let start = at;
        let damaged = || PackageError::Damaged(start);
        let id = *file.get(at).ok_or_else(damaged)?;
        let (size, body) = read_leb128(file, at + 1).ok_or_else(damaged)?;
        let end = body.checked_add(size).ok_or_else(damaged)?;
        let section = file.get(body..end).ok_or_else(damaged)?;
        if id == 0 {
            let (length, name) = read_leb128(section, 0).ok_or_else(damaged)?;
            let end = name.checked_add(length).ok_or_else(damaged)?;
            if section.get(name..end).ok_or_else(damaged)? == SECTION.as_bytes() {
                found = section.get(end..);
            }
        }
        at = end;
    }
    Ok(found)
}

/// An unsigned 32-bit LEB128 number at `at`, and where it ends.
fn read_leb128(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let mut value = 0_u64;
    for (i, byte) in bytes.get(at..)?.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((u32::try_from(value).ok()? as usize, at + i + 1));
        }
    }
    None
}

fn write_leb128(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EMPTY_COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
    const MANIFEST: &str = include_str!("../../../adapters-wasm/demo/adapter.toml");

    #[test]
    fn what_was_packed_is_read_again() {
        let packed = pack(EMPTY_COMPONENT, MANIFEST).unwrap();
        assert_eq!(read_manifest(&packed).unwrap().id, "demo");
        // Packed again, the later manifest counts.
        let again = pack(&packed, &MANIFEST.replace("version = \"0.1.0\"", "version = \"9.9.9\"")).unwrap();
        assert_eq!(read_manifest(&again).unwrap().version.to_string(), "9.9.9");
    }

    #[test]
    fn each_mistake_is_named() {
        assert!(matches!(read_manifest(b"hello"), Err(PackageError::NotWasm)));
        assert!(matches!(read_manifest(b"\0asm\x01\0\0\0"), Err(PackageError::CoreModule)));
        assert!(matches!(read_manifest(EMPTY_COMPONENT), Err(PackageError::NoManifest)));
        let packed = pack(EMPTY_COMPONENT, MANIFEST).unwrap();
        assert!(matches!(read_manifest(&packed[..packed.len() - 1]), Err(PackageError::Damaged(8))));
        assert!(matches!(read_manifest(&vec![0; MAX_SIZE + 1]), Err(PackageError::TooLarge(_))));
    }

    proptest! {
        #[test]
        fn no_file_makes_it_panic(tail in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut file = EMPTY_COMPONENT.to_vec();
            file.extend(tail);
            let _ = read_manifest(&file);
        }

        #[test]
        fn numbers_survive(value in 0_usize..=u32::MAX as usize) {
            let mut bytes = Vec::new();
            write_leb128(&mut bytes, value);
            prop_assert_eq!(read_leb128(&bytes, 0), Some((value, bytes.len())));
        }
    }
}

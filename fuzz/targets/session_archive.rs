//! Archives of accounts. Nothing that was not sealed opens; what asks for much is refused before it gets it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sha2::{Digest as _, Sha256};
use webai2api::session::{Secret, archive};

fuzz_target!(|bytes: &[u8]| {
    let passphrase = Secret::new("a passphrase");
    assert!(archive::open(bytes, &passphrase).is_err());
    // Past the checksum, which no mutation would get right; a dear key would only slow the search.
    let mut file = b"WEBAIACC\x01\x08\0\0\0\x01\0\0\0\x01\0\0\0".to_vec();
    file.extend(bytes);
    let checksum = Sha256::digest(&file);
    file.extend(checksum);
    assert!(archive::open(&file, &passphrase).is_err());
});

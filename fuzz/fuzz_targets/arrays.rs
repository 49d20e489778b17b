//! Any bytes as NumPy's array and as its archive. What is read can be written and read again, unchanged.
#![no_main]

use corallite::oracle::npy::NpyArray;
use corallite::oracle::npz::NpzReader;
use libfuzzer_sys::fuzz_target;

/// The most one member of an archive may unpack to.
const ENTRY_LIMIT: u64 = 16 << 20;

fuzz_target!(|file: &[u8]| {
    if let Ok(array) = NpyArray::from_bytes(file)
        && let Ok(written) = array.to_bytes()
    {
        let again = NpyArray::from_bytes(&written).expect("our own file");
        assert_eq!(array.data, again.data);
    }
    if let Ok(mut archive) = NpzReader::from_bytes(file) {
        archive.set_entry_limit(ENTRY_LIMIT);
        let names: Vec<String> = archive.names().map(str::to_owned).collect();
        for name in names.iter().take(16) {
            let _ = archive.array(name);
        }
    }
});

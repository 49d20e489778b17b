//! Any bytes as the custom options of an `edgetpu-custom-op`: refused or a package that can be told.
#![no_main]

use corallite::package::Package;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|options: &[u8]| {
    match Package::from_custom_options(options) {
        Ok(package) => assert!(!format!("{package:?}").is_empty()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});

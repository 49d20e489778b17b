//! Archives as numpy writes them, from tests/data/npy (made by make.py there), and everything that is refused.

mod corpus;

use std::fs;
use std::path::{Path, PathBuf};

use corallite::oracle::npy::{NpyArray, NpyType};
use corallite::oracle::npz::{Compression, NpzError, NpzReader, NpzWriter};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/npy")
        .join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    fs::read(data(name)).expect("the file is in the repository")
}

/// The only place where `needle` stands.
fn position(haystack: &[u8], needle: &[u8]) -> usize {
    let mut found = (0..haystack.len()).filter(|at| haystack[*at..].starts_with(needle));
    let first = found.next().expect("present");
    assert_eq!(found.next(), None, "{needle:?} stands twice");
    first
}

/// `bytes` with `with` written over them from `at`.
fn patched(mut bytes: Vec<u8>, at: usize, with: &[u8]) -> Vec<u8> {
    bytes[at..at + with.len()].copy_from_slice(with);
    bytes
}

/// Where the directory entries of an archive begin.
fn entries(bytes: &[u8]) -> Vec<usize> {
    (0..bytes.len())
        .filter(|at| bytes[*at..].starts_with(b"PK\x01\x02"))
        .collect()
}

fn archive(names: &[&str], compression: Compression) -> Vec<u8> {
    let mut writer = NpzWriter::new(Vec::new(), compression);
    for name in names {
        writer
            .add(name, &NpyArray::from_slice(&[1_i16, 2, 3], &[3]).unwrap())
            .unwrap();
    }
    writer.finish().unwrap()
}

/// Opens and reads every array.
fn read_all(bytes: &[u8]) -> Result<Vec<(String, NpyArray)>, NpzError> {
    let mut archive = NpzReader::from_bytes(bytes)?;
    let names: Vec<String> = archive.names().map(str::to_owned).collect();
    names
        .into_iter()
        .map(|name| Ok((name.clone(), archive.array(&name)?)))
        .collect()
}

#[test]
fn archives_of_numpy_are_read() {
    let bytes_with_zip64_end = {
        let bytes = bytes("zip64.npz");
        let end = position(&bytes, b"PK\x05\x06");
        // Count, size and offset full of ones: only the ZIP64 end record has them.
        patched(bytes, end + 8, &[0xff; 12])
    };
    let cases = [
        ("stored", bytes("stored.npz")),
        ("deflated", bytes("deflated.npz")),
        ("zip64 entries", bytes("zip64.npz")),
        ("zip64 end", bytes_with_zip64_end),
    ];
    for (case, bytes) in cases {
        let arrays = read_all(&bytes).expect(case);
        let names: Vec<&str> = arrays.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["x", "a/b:0", "name"], "{case}");
        let (x, number, name) = (&arrays[0].1, &arrays[1].1, &arrays[2].1);
        assert_eq!(
            (x.dtype, x.shape.as_slice()),
            (NpyType::I16, [2, 3, 4].as_slice()),
            "{case}"
        );
        assert_eq!(
            *x.as_slice::<i16>().unwrap(),
            (0..24).collect::<Vec<_>>(),
            "{case}"
        );
        assert_eq!(*number.as_slice::<f64>().unwrap(), [2.5], "{case}");
        assert_eq!(name.to_strings().unwrap(), ["relu6"], "{case}");
    }
}

#[test]
fn what_is_written_is_read() {
    let arrays = [
        (
            "conv/kernel:0",
            NpyArray::from_slice(&[0.25_f32; 600], &[10, 60]).unwrap(),
        ),
        ("größe", NpyArray::from_slice(&[-1_i64], &[]).unwrap()),
        ("nothing", NpyArray::from_slice::<u8>(&[], &[0]).unwrap()),
    ];
    for compression in [Compression::Stored, Compression::Deflated] {
        let mut writer = NpzWriter::new(Vec::new(), compression);
        for (name, array) in &arrays {
            writer.add(name, array).unwrap();
        }
        let bytes = writer.finish().unwrap();
        assert_eq!(
            bytes.len() < 2400,
            compression == Compression::Deflated,
            "{} bytes",
            bytes.len()
        );
        let read = read_all(&bytes).unwrap();
        assert_eq!(read.len(), arrays.len());
        for ((name, array), (read_name, read_array)) in arrays.iter().zip(&read) {
            assert_eq!(
                (*name, array),
                (read_name.as_str(), read_array),
                "{compression:?}"
            );
        }
    }
}

#[test]
fn every_truncation_is_an_error() {
    for compression in [Compression::Stored, Compression::Deflated] {
        let whole = archive(&["x", "y"], compression);
        for length in 0..whole.len() {
            assert!(
                read_all(&whole[..length]).is_err(),
                "{compression:?} {length}"
            );
        }
    }
}

/// Whatever a byte becomes, reading ends with arrays or with an error.
#[test]
fn no_damaged_byte_panics() {
    let whole = bytes("zip64.npz");
    for at in 0..whole.len() {
        for value in [0, 1, 0x7f, 0xff, whole[at] ^ 0x10] {
            // Only that it returns counts here.
            let _ = read_all(&patched(whole.clone(), at, &[value]));
        }
    }
}

#[test]
fn what_is_refused_says_what_to_do() {
    let two = archive(&["x", "y"], Compression::Stored);
    let directory = entries(&two);
    let deflated = archive(&["x"], Compression::Deflated);
    let deflated_entry = entries(&deflated)[0];
    let elements = position(&two[..directory[0] / 2], &[1, 0, 2, 0, 3, 0]);
    let end = position(&two, b"PK\x05\x06");
    // The name occurs in the local header and in the directory; the directory counts.
    let named = |name: &[u8; 5]| patched(two.clone(), directory[0] + 46, name);
    let cases = [
        (
            Vec::new(),
            "empty, expected a .npz archive: write one with numpy.savez",
        ),
        (
            b"GIF89a".to_vec(),
            "not a .npz archive, or truncated: no end record in 6 bytes: copy it again or write it with numpy.savez",
        ),
        (
            bytes("bzip2.npz"),
            r#"entry "scalar.npy" has compression method 12, expected 0 (stored) or 8 (deflated): write it with numpy.savez_compressed"#,
        ),
        (
            patched(two.clone(), directory[1] + 8, &[1]),
            r#"entry "y.npy" is encrypted: decrypt the archive first"#,
        ),
        (
            named(b"y.npy"),
            r#"two arrays are named "y", expected one: rename or drop one"#,
        ),
        (
            named(b"../.n"),
            r#"entry name "../.n" is empty, not UTF-8, absolute or leads out of the archive: rename the array"#,
        ),
        (
            named(b"/.npy"),
            r#"entry name "/.npy" is empty, not UTF-8, absolute or leads out of the archive: rename the array"#,
        ),
        (
            named(b"\\.npy"),
            r#"entry name "\\.npy" is empty, not UTF-8, absolute or leads out of the archive: rename the array"#,
        ),
        (
            named(b"\xff.npy"),
            "entry name \"\u{fffd}.npy\" is empty, not UTF-8, absolute or leads out of the archive: rename the array",
        ),
        (
            named(b"x.txt"),
            r#"entry "x.txt" is no array, expected a name that ends in .npy: write it with numpy.savez"#,
        ),
        (
            patched(two.clone(), elements, &[9]),
            // zlib.crc32 of the entry with its first element 9, and with 1.
            r#"entry "x" has checksum 7d53000d, the directory says 91008260: copy or save the archive again"#,
        ),
        (
            patched(two.clone(), directory[0] + 24, &[9]),
            r#"entry "x" has 134 bytes, the directory says 9: copy or save the archive again"#,
        ),
        (
            patched(deflated.clone(), deflated_entry + 24, &[0, 0, 0, 9]),
            r#"entry "x" claims 150994944 bytes from COMPRESSED compressed ones, more than deflate can make: the archive is damaged"#,
        ),
        (
            patched(deflated.clone(), deflated_entry + 24, &[0, 0, 0, 0x7f]),
            r#"entry "x" is 2130706432 bytes long, the limit is 268435456: raise it with set_entry_limit if you trust the file"#,
        ),
        (
            patched(deflated.clone(), deflated_entry + 24, &[135, 0]),
            r#"entry "x" has 134 bytes, the directory says 135: copy or save the archive again"#,
        ),
        (
            patched(deflated.clone(), deflated_entry + 24, &[133, 0]),
            r#"entry "x" does not decompress: copy or save the archive again"#,
        ),
        (
            patched(two.clone(), end + 10, &[0xff, 0x7f]),
            "one part of a split archive, expected a whole one: join the parts",
        ),
        (
            patched(two.clone(), end + 8, &[3, 0, 3, 0]),
            "damaged: 3 entries do not fit in a directory of 102 bytes: copy or save the archive again",
        ),
        (
            patched(two.clone(), end + 16, &[0xfe, 0xff]),
            "damaged or truncated: no central directory at byte 65534: copy or save the archive again",
        ),
        (
            patched(two.clone(), directory[1] + 42, &[1]),
            "damaged or truncated: no local header at byte 1: copy or save the archive again",
        ),
    ];
    // How well it compresses is the compressor's business.
    let compressed = deflated[deflated_entry + 20];
    for (bytes, message) in cases {
        let message = message.replace("COMPRESSED", &compressed.to_string());
        let error = read_all(&bytes).expect_err(&message);
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn deflate_bombs_stop_at_the_limit() {
    // One mebibyte of zeros in about a kilobyte.
    let bytes = bytes("zeros.npz");
    assert_eq!(read_all(&bytes).unwrap()[0].1.len(), 1 << 20);
    let mut archive = NpzReader::from_bytes(&bytes).unwrap();
    archive.set_entry_limit(100_000);
    assert_eq!(
        archive.array("zeros").unwrap_err().to_string(),
        "entry \"zeros\" is 1048704 bytes long, the limit is 100000: raise it with set_entry_limit if you trust the file"
    );
}

#[test]
fn names_are_checked_when_writing() {
    let array = NpyArray::from_slice(&[0_u8], &[]).unwrap();
    let mut writer = NpzWriter::new(Vec::new(), Compression::Stored);
    writer.add("x", &array).unwrap();
    assert!(matches!(
        writer.add("x", &array),
        Err(NpzError::Duplicate { .. })
    ));
    for name in ["", "..", "a/../b", "/a", "a\\b", "a\nb"] {
        assert!(
            matches!(writer.add(name, &array), Err(NpzError::Name { .. })),
            "{name:?}"
        );
    }
    let contradictory = NpyArray {
        shape: vec![2],
        ..array
    };
    assert!(matches!(
        writer.add("y", &contradictory),
        Err(NpzError::Array { .. })
    ));
}

#[test]
fn messages_name_the_file_and_what_is_there() {
    let mut archive = NpzReader::open(data("deflated.npz")).unwrap();
    let error = archive.array("z").unwrap_err();
    let expected = format!(
        r#"{}: no array "z", the archive has ["x", "a/b:0", "name"]"#,
        data("deflated.npz").display()
    );
    assert_eq!(error.to_string(), expected);
    let error = NpzReader::open(data("scalar.npy")).unwrap_err();
    assert!(
        error.to_string().contains("scalar.npy: not a .npz archive"),
        "{error}"
    );
}

/// Every archive of the test material, in full.
#[test]
fn archives_of_the_test_material_are_read() {
    let Some(qat) = corpus::test_data().map(|folder| folder.join("qat")) else {
        return;
    };
    let mut arrays = 0;
    for folder in [
        qat.clone(),
        qat.join("tf113_contrib_uint8"),
        qat.join("tfmot_int8"),
    ] {
        for file in fs::read_dir(&folder).expect("a folder") {
            let path = file.expect("a file").path();
            if path.extension().is_some_and(|extension| extension == "npz") {
                let mut archive = NpzReader::open(&path).unwrap();
                let names: Vec<String> = archive.names().map(str::to_owned).collect();
                for name in names {
                    archive.array(&name).unwrap();
                    arrays += 1;
                }
            }
        }
    }
    assert!(arrays > 0, "no archive in {}", qat.display());
}

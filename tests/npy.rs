//! Arrays as numpy writes them, from tests/data/npy (made by make.py there), and everything that is refused.

use std::fs;
use std::path::{Path, PathBuf};

use corallite::oracle::npy::{HeaderProblem, NpyArray, NpyError, NpyType};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/npy")
        .join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    fs::read(data(name)).expect("the file is in the repository")
}

/// A file of version 1 with this dictionary and these elements.
fn file(dictionary: &str, elements: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(
        u16::try_from(dictionary.len())
            .expect("a short header")
            .to_le_bytes(),
    );
    bytes.extend(dictionary.as_bytes());
    bytes.extend(elements);
    bytes
}

#[test]
fn arrays_of_numpy_are_read_and_written_back_byte_for_byte() {
    let cases: [(&str, NpyType, &[usize]); 16] = [
        ("bool.npy", NpyType::Bool, &[2, 3]),
        ("uint8.npy", NpyType::U8, &[2, 3]),
        ("int8.npy", NpyType::I8, &[2, 3]),
        ("uint16.npy", NpyType::U16, &[2, 3]),
        ("int16.npy", NpyType::I16, &[2, 3]),
        ("uint32.npy", NpyType::U32, &[2, 3]),
        ("int32.npy", NpyType::I32, &[2, 3]),
        ("uint64.npy", NpyType::U64, &[2, 3]),
        ("int64.npy", NpyType::I64, &[2, 3]),
        ("float16.npy", NpyType::F16, &[2, 3]),
        ("float32.npy", NpyType::F32, &[2, 3]),
        ("float64.npy", NpyType::F64, &[2, 3]),
        ("scalar.npy", NpyType::F32, &[]),
        ("vector.npy", NpyType::U8, &[1000]),
        ("empty.npy", NpyType::I64, &[0, 3]),
        ("text.npy", NpyType::Text { chars: 5 }, &[3]),
    ];
    for (name, dtype, shape) in cases {
        let array = NpyArray::read(data(name)).expect(name);
        assert_eq!(
            (array.dtype, array.shape.as_slice()),
            (dtype, shape),
            "{name}"
        );
        let expected = bytes(name);
        assert_eq!(array.to_bytes().expect(name), expected, "{name}");
        let mut written = Vec::new();
        array.write_to(&mut written).expect(name);
        assert_eq!(written, expected, "{name}");
        // A stream of unknown length gives the same.
        assert_eq!(
            NpyArray::read_from(expected.as_slice()).expect(name),
            array,
            "{name}"
        );
    }
}

/// The values that make.py lists.
#[test]
fn elements_come_out_as_they_went_in() {
    let read = |name: &str| NpyArray::read(data(name)).expect(name);
    assert_eq!(
        *read("int8.npy").as_slice::<i8>().unwrap(),
        [0, 1, 2, -128, 127, 77]
    );
    assert_eq!(
        *read("uint8.npy").as_slice::<u8>().unwrap(),
        [0, 1, 2, 0, 255, 77]
    );
    assert_eq!(
        *read("int16.npy").as_slice::<i16>().unwrap(),
        [0, 1, 2, i16::MIN, i16::MAX, 77]
    );
    assert_eq!(
        *read("uint16.npy").as_slice::<u16>().unwrap(),
        [0, 1, 2, 0, u16::MAX, 77]
    );
    assert_eq!(
        *read("int32.npy").as_slice::<i32>().unwrap(),
        [0, 1, 2, i32::MIN, i32::MAX, 77]
    );
    assert_eq!(
        *read("uint32.npy").as_slice::<u32>().unwrap(),
        [0, 1, 2, 0, u32::MAX, 77]
    );
    assert_eq!(
        *read("int64.npy").as_slice::<i64>().unwrap(),
        [0, 1, 2, i64::MIN, i64::MAX, 77]
    );
    assert_eq!(
        *read("uint64.npy").as_slice::<u64>().unwrap(),
        [0, 1, 2, 0, u64::MAX, 77]
    );
    let floats = [0.0, -0.0, 1.5, -2.25, f32::INFINITY, 2.0_f32.powi(-24)];
    for name in ["float16.npy", "float32.npy", "float64.npy"] {
        let bits = |values: &[f32]| {
            values
                .iter()
                .map(|value| value.to_bits())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            bits(&read(name).to_f32_vec().unwrap()),
            bits(&floats),
            "{name}"
        );
    }
    assert_eq!(
        read("bool.npy").to_f32_vec().unwrap(),
        [1.0, 0.0, 1.0, 0.0, 0.0, 1.0]
    );
    assert_eq!(
        read("int8.npy").to_f32_vec().unwrap(),
        [0.0, 1.0, 2.0, -128.0, 127.0, 77.0]
    );
    assert_eq!(read("scalar.npy").to_f32_vec().unwrap(), [-0.1]);
    assert_eq!(
        read("text.npy").to_strings().unwrap(),
        ["conv", "", "größe"]
    );
    assert_eq!(*read("version_2.npy").as_slice::<i32>().unwrap(), [7, -7]);
    assert_eq!(*read("version_3.npy").as_slice::<i32>().unwrap(), [7, -7]);
    assert!(read("empty.npy").is_empty());
    assert_eq!(read("scalar.npy").len(), 1);
}

/// numpy.arange(24).reshape(2, 3, 4), stored first axis fastest.
#[test]
fn fortran_order_becomes_c_order() {
    let array = NpyArray::read(data("fortran.npy")).unwrap();
    assert_eq!(array.shape, [2, 3, 4]);
    assert_eq!(
        *array.as_slice::<i16>().unwrap(),
        (0..24).collect::<Vec<_>>()
    );
    // The file really is in the other order: its second element is the one at [1, 0, 0].
    assert_eq!(bytes("fortran.npy")[130..132], 12_i16.to_le_bytes());
}

#[test]
fn headers_of_older_writers_are_read() {
    // Python 2 wrote `L` after long integers; key order and quotes are free.
    let bytes = file(
        "{\"shape\": (2L, 1,), 'fortran_order':True ,'descr':\"|u1\"}\n",
        &[5, 6],
    );
    let array = NpyArray::from_bytes(&bytes).unwrap();
    assert_eq!(
        (array.shape.as_slice(), array.data.as_slice()),
        ([2, 1].as_slice(), [5, 6].as_slice())
    );
}

#[test]
fn every_truncation_is_an_error() {
    let whole = bytes("int16.npy");
    for length in 0..whole.len() {
        let error = NpyArray::from_bytes(&whole[..length]).expect_err("truncated");
        let as_expected = match length {
            0 => matches!(error, NpyError::NotNpy { .. }),
            1..128 => matches!(error, NpyError::HeaderTruncated { .. }),
            _ => matches!(error, NpyError::DataTruncated { expected: 12, .. }),
        };
        assert!(as_expected, "{length}: {error:?}");
        assert!(NpyArray::read_from(&whole[..length]).is_err(), "{length}");
    }
}

#[test]
fn what_is_refused_says_what_to_do() {
    let mut trailing = bytes("int8.npy");
    trailing.push(0);
    let mut version_9 = bytes("int8.npy");
    version_9[6] = 9;
    let mut long_header = bytes("version_2.npy");
    long_header[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
    let with_shape = |shape: &str| {
        file(
            &format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}}}"),
            &[],
        )
    };
    let cases = [
        (
            Vec::new(),
            "empty, expected a .npy file: write one with numpy.save",
        ),
        (
            b"GIF89a".to_vec(),
            r#"not a .npy file: begins with "GIF89a", expected "\x93NUMPY": write it with numpy.save"#,
        ),
        (
            bytes("stored.npz"),
            r#"not a .npy file: begins with "PK\x03\x04-\x00", expected "\x93NUMPY": this is a .npz archive, take one array out of it"#,
        ),
        (
            version_9,
            "NPY version 9.0, expected 1.0, 2.0 or 3.0: save it again with numpy.save",
        ),
        (
            bytes("int8.npy")[..20].to_vec(),
            "truncated: the header needs 128 bytes, the file has 20: copy or save it again",
        ),
        (
            long_header,
            "the header claims 4294967295 bytes, at most 65535 are expected: the file is damaged",
        ),
        (
            bytes("big_endian.npy"),
            r#"element type ">i4" is big-endian, expected little-endian: save it as a.astype(a.dtype.newbyteorder('<'))"#,
        ),
        (
            bytes("complex.npy"),
            r#"element type "<c8" is not supported, expected bool, an integer of 8 to 64 bits, a float of 16 to 64 bits or text: convert it with astype"#,
        ),
        (
            bytes("object.npy"),
            r#"element type "|O" is not supported, expected bool, an integer of 8 to 64 bits, a float of 16 to 64 bits or text: convert it with astype"#,
        ),
        (
            bytes("structured.npy"),
            "header, byte 20: an array of structures, expected plain elements: save each field as an array of its own",
        ),
        (
            bytes("int16.npy")[..135].to_vec(),
            "truncated: the shape needs 12 bytes of elements, found 7: copy or save it again",
        ),
        (
            trailing,
            "more bytes than the 6 that the shape needs: expected one array a file, as numpy.save writes it",
        ),
        (
            with_shape("(4294967296, 4294967296)"),
            "shape [4294967296, 4294967296] of <f8 has more bytes than can be addressed: the header is damaged",
        ),
        // Sixteen exbibytes are fewer than u64 holds, but no allocation can be larger than isize::MAX.
        (
            with_shape("(1152921504606846976,)"),
            "shape [1152921504606846976] of <f8 has more bytes than can be addressed: the header is damaged",
        ),
        (
            with_shape("(1000000000,)"),
            "truncated: the shape needs 8000000000 bytes of elements, found 0: copy or save it again",
        ),
        (
            with_shape(&format!("({})", "1,".repeat(40))),
            "40 axes, expected at most 32",
        ),
        (
            with_shape("(-1,)"),
            "header, byte 61: the dimension is negative or too large",
        ),
        (
            with_shape("(99999999999999999999,)"),
            "header, byte 61: the dimension is negative or too large",
        ),
        (
            with_shape("(3)"),
            "header, byte 62: expected ',' after the only dimension: the file is damaged, save it again",
        ),
    ];
    for (bytes, message) in cases {
        let error = NpyArray::from_bytes(&bytes).expect_err(message);
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn damaged_dictionaries_are_refused() {
    use HeaderProblem::{DuplicateKey, Expected, MissingKey, UnknownKey};
    let cases = [
        ("", Expected("'{'")),
        ("{", Expected("a quoted string")),
        ("{'descr", Expected("a closing quote")),
        ("{'descr' '<f4'}", Expected("':'")),
        ("{'descr': '<f4'", Expected("',' or '}'")),
        (
            "{'descr': '<f4'} 1",
            Expected("nothing after the dictionary"),
        ),
        ("{'descr': 4}", Expected("a quoted string")),
        ("{'fortran_order': None}", Expected("True or False")),
        ("{'shape': 3}", Expected("'('")),
        ("{'shape': (a,)}", Expected("a dimension")),
        ("{'shape': (1, 2", Expected("',' or ')'")),
        ("{'shape': (), 'shape': ()}", DuplicateKey("shape")),
        ("{'order': True}", UnknownKey),
        ("{}", MissingKey("descr")),
        ("{'descr': '<f4'}", MissingKey("fortran_order")),
        (
            "{'descr': '<f4', 'fortran_order': False}",
            MissingKey("shape"),
        ),
    ];
    for (dictionary, expected) in cases {
        match NpyArray::from_bytes(&file(dictionary, &[])) {
            Err(NpyError::Header { problem, .. }) => assert_eq!(problem, expected, "{dictionary}"),
            other => panic!("{dictionary}: {other:?}"),
        }
    }
}

#[test]
fn contradictions_between_the_fields_are_refused() {
    let error = NpyArray::from_slice(&[1_u8, 2, 3], &[2, 2]).unwrap_err();
    assert_eq!(error.to_string(), "shape [2, 2] needs 4 elements, found 3");
    let array = NpyArray::from_slice(&[1_i32, 2], &[2]).unwrap();
    assert_eq!(
        array.as_slice::<f32>().unwrap_err().to_string(),
        "elements are <i4, expected <f4: convert the array with astype"
    );
    assert!(matches!(array.to_strings(), Err(NpyError::Type { .. })));
    let short = NpyArray {
        data: vec![0; 3],
        ..array
    };
    assert!(matches!(
        short.to_bytes(),
        Err(NpyError::Length { expected: 2, .. })
    ));
    assert!(matches!(
        short.as_slice::<i32>(),
        Err(NpyError::Length { .. })
    ));
    // 0x110000 is the first number past Unicode.
    let text = NpyArray {
        dtype: NpyType::Text { chars: 1 },
        shape: vec![],
        data: 0x11_0000_u32.to_le_bytes().to_vec(),
    };
    assert_eq!(
        text.to_strings().unwrap_err().to_string(),
        "text element 0 holds 0x110000, which is no Unicode character: the file is damaged"
    );
}

#[test]
fn messages_name_the_file() {
    let path = data("no_such.npy");
    let error = NpyArray::read(&path).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with(&format!("{}: ", path.display())),
        "{error}"
    );
    let error = NpyArray::read(data("object.npy")).unwrap_err();
    assert!(std::error::Error::source(&error).is_some());
    assert!(
        error.to_string().contains("object.npy: element type"),
        "{error}"
    );
}

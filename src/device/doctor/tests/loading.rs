//! Library and model.

use super::*;

pub(super) fn library_cases() -> Vec<Case> {
    let case = |cause, found, fix, library| Case {
        cause,
        severity: Severity::Error,
        found,
        fix,
        facts: Facts {
            library,
            ..facts(&with_stick())
        },
    };
    let path = "/usr/lib/libedgetpu.so.1";
    vec![
        case(
            Cause::LibraryMissing,
            &["libedgetpu.so.1", "no such file", "/opt/libedgetpu.so.1.0"],
            &["libedgetpu1-std", "CORALLITE_LIBEDGETPU"],
            Some(LibraryFacts {
                attempts: vec![
                    refused(
                        "libedgetpu.so.1",
                        "cannot open shared object file: No such file or directory",
                    ),
                    LoadAttempt {
                        path: "/opt/libedgetpu.so.1.0".into(),
                        failure: LoadFailure::NotFound,
                    },
                ],
                loaded: None,
            }),
        ),
        case(
            Cause::WrongArchitecture,
            &["for aarch64", "for x86-64"],
            &["x86-64 build of libedgetpu"],
            Some(LibraryFacts {
                attempts: vec![LoadAttempt {
                    path: path.into(),
                    failure: LoadFailure::WrongArchitecture {
                        found: "aarch64".into(),
                        expected: "x86-64".into(),
                    },
                }],
                loaded: None,
            }),
        ),
        case(
            Cause::LibraryUnusable,
            &["does not export edgetpu_version"],
            &["replace the file"],
            Some(LibraryFacts {
                attempts: vec![LoadAttempt {
                    path: "/usr/lib/libc.so.6".into(),
                    failure: LoadFailure::NoLibedgetpu {
                        symbol: "edgetpu_version".into(),
                    },
                }],
                loaded: None,
            }),
        ),
        case(
            Cause::LibraryDependencyMissing,
            &["libusb-1.0.so.0"],
            &["libusb-1.0-0"],
            not_loaded(
                path,
                "libusb-1.0.so.0: cannot open shared object file: No such file or directory",
            ),
        ),
        // The same in musl's words.
        case(
            Cause::LibraryDependencyMissing,
            &["libusb-1.0.so.0"],
            &["libusb-1.0-0"],
            not_loaded(
                path,
                "Error loading shared library libusb-1.0.so.0: No such file or directory (needed by /usr/lib/libedgetpu.so.1)",
            ),
        ),
        case(
            Cause::LibraryMissing,
            &["Error loading"],
            &["libedgetpu1-std"],
            not_loaded(
                "libedgetpu.so.1",
                "Error loading shared library libedgetpu.so.1: No such file or directory",
            ),
        ),
        case(
            Cause::SystemTooOld,
            &["GLIBC_2.34"],
            &["glibc 2.17"],
            not_loaded(
                path,
                "/lib/libc.so.6: version `GLIBC_2.34' not found (required by /usr/lib/libedgetpu.so.1)",
            ),
        ),
        case(
            Cause::StaticProgram,
            &["Dynamic loading"],
            &["gnu target"],
            not_loaded("libedgetpu.so.1", "Dynamic loading not supported"),
        ),
        case(
            Cause::LibraryUnusable,
            &["file too short"],
            &["replace the file"],
            not_loaded(path, "file too short"),
        ),
        case(
            Cause::LibraryUnusable,
            &["Permission denied"],
            &["replace the file"],
            not_loaded(path, "cannot open shared object file: Permission denied"),
        ),
        case(
            Cause::LibraryTooOld,
            &["CL_NUMBER", "15.0 or 16.0"],
            &["16.0"],
            loaded(
                "BuildLabel(COMPILER=x,CL_NUMBER=1), RuntimeVersion(13)",
                13,
                false,
            ),
        ),
    ]
}

pub(super) fn model_cases() -> Vec<Case> {
    let case = |cause, found, fix, model, library| Case {
        cause,
        severity: Severity::Error,
        found,
        fix,
        facts: Facts {
            library,
            model: Some(model),
            ..facts(&with_stick())
        },
    };
    vec![
        case(
            Cause::ModelNotCompiled,
            &["edgetpu-custom-op"],
            &["edgetpu_compiler", "cpu"],
            ModelFacts::new("m.tflite", None, None),
            None,
        ),
        case(
            Cause::PackageDamaged,
            &["offset 12"],
            &["copy the file anew"],
            ModelFacts {
                compiled: true,
                damage: Some("offset 12 leads out of the file".into()),
                ..ModelFacts::new("m.tflite", None, None)
            },
            None,
        ),
        case(
            Cause::RuntimeTooOld,
            &["needs runtime version 14", "has 13"],
            &["16.0"],
            ModelFacts::new("m.tflite", Some(14), None),
            loaded("BuildLabel(), RuntimeVersion(13)", 13, true),
        ),
        case(
            Cause::ModelFromNewerCompiler,
            &["needs runtime version 15", "14"],
            &["--min_runtime_version 14"],
            ModelFacts::new("m.tflite", Some(15), Some("16.0.384591198".into())),
            loaded("BuildLabel(), RuntimeVersion(14)", 14, true),
        ),
        case(
            Cause::ModelFromNewerCompiler,
            &["made by compiler 17.1.0"],
            &["edgetpu_compiler 16.0"],
            ModelFacts {
                compiled: true,
                ..ModelFacts::new("m.tflite", None, Some("17.1.0".into()))
            },
            None,
        ),
    ]
}

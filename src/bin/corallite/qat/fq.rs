//! `corallite qat fq`: an array through a FakeQuant node.

use super::QatFailure;
use crate::failure::Failure;
use corallite::oracle::npy::{NpyArray, NpyType};
use corallite::oracle::npz::{Compression, NpzReader, NpzWriter};
use corallite::oracle::{FakeQuant, FakeQuantProfile, Grid, Range};
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Options of `corallite qat fq`.
pub struct Options {
    /// The archive to read.
    pub input: PathBuf,
    /// The archive to write.
    pub output: PathBuf,
    /// Which array.
    pub array: Option<String>,
    /// Whose formula.
    pub profile: FakeQuantProfile,
    /// The codes.
    pub grid: Grid,
    /// One, or one per channel.
    pub ranges: Vec<Range>,
    /// Whether gradients are wanted, too.
    pub gradients: bool,
}

/// Where values and gradients are read from.
const VALUES: &str = "x";
const GRADIENTS: &str = "g";

/// Runs the command. Nothing is written unless everything succeeded.
pub fn fq(options: &Options) -> Result<ExitCode, Failure> {
    let file = &options.input;
    let mut archive = NpzReader::open(file).map_err(|source| QatFailure::Archive { source })?;
    let name = choose(&archive, options)?;
    let x = floats(&mut archive, file, &name)?;
    let channels = options.ranges.len();
    if channels > 1 && x.shape.last() != Some(&channels) {
        let failure = QatFailure::Channels {
            file: file.clone(),
            array: name,
            found: x.shape,
            ranges: channels,
        };
        return Err(failure.into());
    }
    let refused = |source| QatFailure::FakeQuant {
        file: file.clone(),
        source,
    };
    let node = match options.ranges.as_slice() {
        [range] => FakeQuant::per_tensor(options.profile, options.grid, *range),
        ranges => FakeQuant::per_channel(options.profile, options.grid, ranges),
    };
    let node = node.map_err(refused)?;
    let values = elements(&x)?;
    let y = node.forward(&values).map_err(refused)?;
    let mut results = vec![("y", array(&y, &x.shape)?)];
    if options.gradients {
        let g = floats(&mut archive, file, GRADIENTS)?;
        if g.shape != x.shape {
            let failure = QatFailure::Shape {
                file: file.clone(),
                array: GRADIENTS.into(),
                found: g.shape,
                expected: x.shape,
            };
            return Err(failure.into());
        }
        let back = node.backward(&values, &elements(&g)?).map_err(refused)?;
        // A whole tensor has one gradient per end, a scalar.
        let ends: &[usize] = if channels > 1 { &[channels] } else { &[] };
        results.push(("dx", array(&back.input, &x.shape)?));
        results.push(("dmin", array(&back.min, ends)?));
        results.push(("dmax", array(&back.max, ends)?));
    }
    write(&options.output, &results)?;
    Ok(ExitCode::SUCCESS)
}

type Archive = NpzReader<BufReader<File>>;

fn choose(archive: &Archive, options: &Options) -> Result<String, QatFailure> {
    if let Some(name) = &options.array {
        return Ok(name.clone());
    }
    let present: Vec<String> = archive.names().map(str::to_owned).collect();
    if present.iter().any(|name| name == VALUES) {
        return Ok(VALUES.into());
    }
    let others: Vec<&String> = present.iter().filter(|name| *name != GRADIENTS).collect();
    match others.as_slice() {
        [only] => Ok((*only).clone()),
        _ => Err(QatFailure::Choice {
            file: options.input.clone(),
            present,
        }),
    }
}

fn floats(archive: &mut Archive, file: &Path, name: &str) -> Result<NpyArray, QatFailure> {
    let array = archive.array(name);
    let array = array.map_err(|source| QatFailure::Archive { source })?;
    if array.dtype == NpyType::F32 {
        return Ok(array);
    }
    Err(QatFailure::Type {
        file: file.to_owned(),
        array: name.into(),
        found: array.dtype,
    })
}

fn elements(array: &NpyArray) -> Result<Vec<f32>, QatFailure> {
    let elements = array.as_slice::<f32>();
    let elements = elements.map_err(|source| QatFailure::Array { source })?;
    Ok(elements.into_owned())
}

fn array(values: &[f32], shape: &[usize]) -> Result<NpyArray, QatFailure> {
    NpyArray::from_slice(values, shape).map_err(|source| QatFailure::Array { source })
}

/// Writes beside the file, then renames: no half archive is ever seen under its name.
fn write(path: &Path, arrays: &[(&str, NpyArray)]) -> Result<(), Failure> {
    let archive = || {
        let mut writer = NpzWriter::new(Vec::new(), Compression::Deflated);
        for (name, array) in arrays {
            writer.add(name, array)?;
        }
        writer.finish()
    };
    let bytes = archive().map_err(|source| QatFailure::Archive { source })?;
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let written = fs::write(&part, bytes).and_then(|()| fs::rename(&part, path));
    written.map_err(|source| {
        let _ = fs::remove_file(&part);
        Failure::File {
            path: path.to_owned(),
            source,
        }
    })
}

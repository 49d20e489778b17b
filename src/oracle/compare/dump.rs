//! What the training side computed: named arrays of real numbers.

use super::CompareError;
use crate::oracle::npy::{NpyArray, NpyType};
use crate::oracle::npz::NpzReader;
use std::io::{Read, Seek};

/// One array of the training side.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct DumpArray {
    /// Its name in the archive.
    pub name: String,
    /// Extents, the samples along axis 0.
    pub shape: Vec<usize>,
    /// The elements in C order.
    pub values: Vec<f32>,
    /// Whether the elements are integers: codes, not real numbers.
    pub is_integer: bool,
}

/// All arrays of the training side, in the order of the archive.
#[derive(Debug, Clone, Default)]
pub struct Dump {
    arrays: Vec<DumpArray>,
}

impl Dump {
    /// Reads every array of an archive; text is left out.
    ///
    /// # Errors
    /// A damaged archive, or an array with NaN, infinity or elements that are neither numbers nor text.
    pub fn read<R: Read + Seek>(archive: &mut NpzReader<R>) -> Result<Self, CompareError> {
        let names: Vec<String> = archive.names().map(str::to_owned).collect();
        let mut dump = Self::default();
        for name in names {
            let array = archive.array(&name);
            let array = array.map_err(|source| CompareError::Archive { source })?;
            dump.add(&name, &array)?;
        }
        Ok(dump)
    }

    /// Adds an array; text is left out.
    ///
    /// # Errors
    /// NaN or infinity.
    pub fn add(&mut self, name: &str, array: &NpyArray) -> Result<(), CompareError> {
        if matches!(array.dtype, NpyType::Text { .. }) {
            return Ok(());
        }
        let values = array.to_f32_vec().map_err(|source| CompareError::Array {
            array: name.to_owned(),
            source,
        })?;
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Err(CompareError::NotFinite {
                array: name.to_owned(),
                index,
                value: values[index],
            });
        }
        self.arrays.push(DumpArray {
            name: name.to_owned(),
            shape: array.shape.clone(),
            values,
            is_integer: !matches!(array.dtype, NpyType::F16 | NpyType::F32 | NpyType::F64),
        });
        Ok(())
    }

    /// Adds an array of finite numbers and tells its place.
    pub(in crate::oracle) fn push(&mut self, array: DumpArray) -> usize {
        self.arrays.push(array);
        self.arrays.len() - 1
    }

    /// The arrays, in the order of the archive.
    pub fn arrays(&self) -> &[DumpArray] {
        &self.arrays
    }

    /// The array called `name`, or its place among the others.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.arrays.iter().position(|array| array.name == name)
    }
}

//! Between tensors and arrays in `.npy` files.

use crate::failure::Failure;
use corallite::oracle::npy::{NpyArray, NpyType};
use corallite::tensor::{TensorRef, TensorType};
use std::fs;
use std::path::{Path, PathBuf};

/// NumPy's type for a tensor's elements; `None` where it has none (int4, strings, handles).
pub fn npy_type(ty: TensorType) -> Option<NpyType> {
    Some(match ty {
        TensorType::Bool => NpyType::Bool,
        TensorType::UInt8 => NpyType::U8,
        TensorType::Int8 => NpyType::I8,
        TensorType::UInt16 => NpyType::U16,
        TensorType::Int16 => NpyType::I16,
        TensorType::UInt32 => NpyType::U32,
        TensorType::Int32 => NpyType::I32,
        TensorType::UInt64 => NpyType::U64,
        TensorType::Int64 => NpyType::I64,
        TensorType::Float16 => NpyType::F16,
        TensorType::Float32 => NpyType::F32,
        TensorType::Float64 => NpyType::F64,
        _ => return None,
    })
}

/// A copy of a tensor as an array; `None` where NumPy has no such type.
pub fn to_array(tensor: &TensorRef<'_>) -> Option<NpyArray> {
    Some(NpyArray {
        dtype: npy_type(tensor.ty())?,
        shape: tensor.shape().dims().to_vec(),
        data: tensor.bytes().to_vec(),
    })
}

/// Arrays on their way into a folder: under other names until all are there, gone if not.
pub struct Outputs<'a> {
    folder: &'a Path,
    written: Vec<(PathBuf, PathBuf)>,
}

impl<'a> Outputs<'a> {
    /// Makes the folder.
    pub fn new(folder: &'a Path) -> Result<Self, Failure> {
        fs::create_dir_all(folder).map_err(|source| Failure::File {
            path: folder.to_owned(),
            source,
        })?;
        Ok(Self {
            folder,
            written: Vec::new(),
        })
    }

    /// Writes the next array, not yet under its name.
    pub fn push(&mut self, array: &NpyArray) -> Result<(), Failure> {
        let number = self.written.len();
        let part = self.folder.join(format!(".out{number}.npy.part"));
        let name = self.folder.join(format!("out{number}.npy"));
        // Listed before it is written, so that a failure half-way removes it.
        self.written.push((part.clone(), name));
        array
            .write(part)
            .map_err(|source| Failure::Array { source })
    }

    /// Gives every array its name: `out0.npy`, `out1.npy` ...
    pub fn finish(mut self) -> Result<(), Failure> {
        for (part, name) in &self.written {
            fs::rename(part, name).map_err(|source| Failure::File {
                path: name.clone(),
                source,
            })?;
        }
        self.written.clear();
        Ok(())
    }
}

impl Drop for Outputs<'_> {
    fn drop(&mut self) {
        for (part, _) in &self.written {
            let _ = fs::remove_file(part);
        }
    }
}

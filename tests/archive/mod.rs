//! Arrays of a `.npz` file by name, as plain vectors.
#![allow(dead_code, reason = "each test file uses a part")]

use corallite::oracle::npy::{NpyArray, NpyType};
use corallite::oracle::npz::NpzReader;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// An open archive; everything missing or of another type ends the test.
pub struct Archive(NpzReader<BufReader<File>>);

impl Archive {
    pub fn open(path: &Path) -> Self {
        Self(NpzReader::open(path).unwrap_or_else(|e| panic!("{e}")))
    }

    pub fn names(&self) -> Vec<String> {
        self.0.names().map(str::to_owned).collect()
    }

    pub fn array(&mut self, name: &str) -> NpyArray {
        self.0.array(name).unwrap_or_else(|e| panic!("{e}"))
    }

    pub fn floats(&mut self, name: &str) -> Vec<f32> {
        let array = self.array(name);
        array.as_slice::<f32>().expect("float32").into_owned()
    }

    /// The elements, none where there is no such array.
    pub fn floats_or_none(&mut self, name: &str) -> Vec<f32> {
        let present = self.0.names().any(|present| present == name);
        if present {
            self.floats(name)
        } else {
            Vec::new()
        }
    }

    pub fn float(&mut self, name: &str) -> f32 {
        let values = self.floats(name);
        assert_eq!(values.len(), 1, "{name}");
        values[0]
    }

    pub fn ints(&mut self, name: &str) -> Vec<i32> {
        let array = self.array(name);
        array.as_slice::<i32>().expect("int32").into_owned()
    }

    pub fn longs(&mut self, name: &str) -> Vec<i64> {
        let array = self.array(name);
        array.as_slice::<i64>().expect("int64").into_owned()
    }

    pub fn bools(&mut self, name: &str) -> Vec<bool> {
        let array = self.array(name);
        assert_eq!(array.dtype, NpyType::Bool, "{name}");
        array.data.iter().map(|&byte| byte != 0).collect()
    }

    pub fn strings(&mut self, name: &str) -> Vec<String> {
        self.array(name).to_strings().expect("text")
    }
}

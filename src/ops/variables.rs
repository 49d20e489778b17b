//! The values of resource variables: tensors that outlive an inference and that all subgraphs of an interpreter share.

use super::EvalError;
use crate::model::ResourceName;
use crate::tensor::{Shape, TensorRef, TensorType};

/// The resource variables of one interpreter, by their number in [`crate::model::Graph::variables`].
#[derive(Debug, Default)]
pub struct Variables {
    variables: Vec<Variable>,
    bytes: usize,
    limit: usize,
}

#[derive(Debug)]
struct Variable {
    name: String,
    /// Type, shape and bytes of what it holds; `None` before the first assignment.
    holds: Option<(TensorType, Shape, usize)>,
    words: Vec<u64>,
}

impl Variables {
    /// One for each name, none of them assigned, that may take `limit` bytes together.
    pub fn new(names: &[ResourceName], limit: usize) -> Self {
        let variable = |name: &ResourceName| Variable {
            name: name.name.clone(),
            holds: None,
            words: Vec::new(),
        };
        Self {
            variables: names.iter().map(variable).collect(),
            bytes: 0,
            limit,
        }
    }

    /// Bytes that the values take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What variable `number` holds; `None` before its first assignment.
    pub fn get(&self, number: usize) -> Option<TensorRef<'_>> {
        let variable = self.variables.get(number)?;
        let (ty, shape, bytes) = variable.holds.as_ref()?;
        let bytes = bytemuck::cast_slice::<u64, u8>(&variable.words).get(..*bytes)?;
        Some(TensorRef::sized(*ty, shape, None, bytes))
    }

    /// The name of variable `number`, for messages.
    pub fn name(&self, number: usize) -> &str {
        self.variables.get(number).map_or("", |v| &v.name)
    }

    /// Makes room for `bytes` bytes, so that assigning them allocates nothing.
    ///
    /// # Errors
    /// All variables together would need more than the limit.
    pub fn reserve(&mut self, number: usize, bytes: usize) -> Result<(), EvalError> {
        let Some(variable) = self.variables.get_mut(number) else {
            return Ok(());
        };
        let words = bytes.div_ceil(size_of::<u64>());
        let more = words.saturating_sub(variable.words.len()) * size_of::<u64>();
        let total = self.bytes.saturating_add(more);
        if total > self.limit {
            return Err(EvalError::Memory {
                bytes: total,
                limit: self.limit,
            });
        }
        self.bytes = total;
        if variable.words.len() < words {
            variable.words.resize(words, 0);
        }
        Ok(())
    }

    /// Gives variable `number` a value: the elements of `ty` that `bytes` holds, as many as `shape` says.
    ///
    /// # Errors
    /// There is no such variable, or all together would need more than the limit.
    pub fn assign(
        &mut self,
        number: usize,
        ty: TensorType,
        shape: Shape,
        bytes: &[u8],
    ) -> Result<(), EvalError> {
        let room = |variable: &Variable| size_of_val(&*variable.words) >= bytes.len();
        if !self.variables.get(number).is_some_and(room) {
            self.reserve(number, bytes.len())?;
        }
        let count = self.variables.len();
        let Some(variable) = self.variables.get_mut(number) else {
            return Err(no_variable(number, count));
        };
        let to = bytemuck::cast_slice_mut::<u64, u8>(&mut variable.words).get_mut(..bytes.len());
        if let Some(to) = to {
            to.copy_from_slice(bytes);
            variable.holds = Some((ty, shape, bytes.len()));
        }
        Ok(())
    }

    /// Forgets every value.
    pub fn clear(&mut self) {
        for variable in &mut self.variables {
            variable.holds = None;
        }
    }

    /// The variable that a handle's value names.
    ///
    /// # Errors
    /// There is none.
    pub fn number(&self, handle: u32) -> Result<usize, EvalError> {
        let count = self.variables.len();
        let number = usize::try_from(handle).unwrap_or(usize::MAX);
        if number >= count {
            return Err(no_variable(number, count));
        }
        Ok(number)
    }
}

fn no_variable(number: usize, _count: usize) -> EvalError {
    EvalError::Value {
        operand: "resource",
        found: i64::try_from(number).unwrap_or(i64::MAX),
        expected: "the number of a variable that the model names",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two(limit: usize) -> Variables {
        let mut variables = Variables::new(&[], limit);
        for name in ["a", "b"] {
            variables.variables.push(Variable {
                name: name.to_owned(),
                holds: None,
                words: Vec::new(),
            });
        }
        variables
    }

    fn assign(variables: &mut Variables, number: usize, bytes: &[u8]) -> Result<(), EvalError> {
        let shape = Shape::new(&[bytes.len()]).expect("small");
        variables.assign(number, TensorType::Int8, shape, bytes)
    }

    #[test]
    fn a_variable_holds_what_was_assigned_last_whatever_its_size() {
        let mut variables = two(64);
        assert!(variables.get(0).is_none());
        for value in [&[1u8, 2, 3][..], &[9; 20], &[7]] {
            assign(&mut variables, 0, value).expect("fits");
            assert_eq!(variables.get(0).expect("assigned").bytes(), value);
        }
        assert!(variables.get(1).is_none());
        variables.clear();
        assert!(variables.get(0).is_none());
    }

    #[test]
    fn the_limit_holds_for_all_variables_together() {
        let mut variables = two(32);
        assign(&mut variables, 0, &[0; 16]).expect("fits");
        let found = assign(&mut variables, 1, &[0; 17]).unwrap_err();
        // 17 bytes take three words of eight.
        assert_eq!(
            found,
            EvalError::Memory {
                bytes: 40,
                limit: 32
            }
        );
    }

    #[test]
    fn a_handle_without_a_variable_is_refused() {
        let found = two(0).number(2).unwrap_err();
        assert_eq!(
            found.to_string(),
            "operand resource holds 2, expected the number of a variable that the model names"
        );
    }
}

//! VAR_HANDLE, READ_VARIABLE and ASSIGN_VARIABLE: tensors that outlive an inference, found by name.
//!
//! Semantics: TFLite `kernels/var_handle.cc`, `read_variable.cc`, `assign_variable.cc` (v2.14): a handle is a number; an
//! assignment gives the variable the value, the type and the shape of its operand; reading takes whatever shape it has.

use super::shared::check;
use super::{
    EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, TypeRow, required,
};
use crate::model::BuiltinOperator;
use crate::tensor::{Shape, TensorType as T};

const RESOURCE: usize = 0;
/// Of ASSIGN_VARIABLE.
const VALUE: usize = 1;
const OUTPUT: usize = 0;

/// A row for each element type that a variable may hold.
macro_rules! rows {
    ($($ty:ident),*) => {
        (
            &[$(TypeRow::new(&[T::Resource], &[T::$ty])),*],
            &[$(TypeRow::new(&[T::Resource, T::$ty], &[])),*],
        )
    };
}

const ROWS: (&[TypeRow], &[TypeRow]) =
    rows!(Int8, UInt8, Int16, Int32, UInt32, Int64, Float32, Bool);

pub(super) const DEF_VAR_HANDLE: OpDef = OpDef {
    code: BuiltinOperator::VAR_HANDLE,
    name: "VAR_HANDLE",
    versions: 1..=1,
    types: &[TypeRow::new(&[], &[T::Resource])],
    check: check::none,
    prepare: prepare_handle,
};

pub(super) const DEF_READ_VARIABLE: OpDef = OpDef {
    code: BuiltinOperator::READ_VARIABLE,
    name: "READ_VARIABLE",
    versions: 1..=1,
    types: ROWS.0,
    check: check::none,
    prepare: prepare_read,
};

pub(super) const DEF_ASSIGN_VARIABLE: OpDef = OpDef {
    code: BuiltinOperator::ASSIGN_VARIABLE,
    name: "ASSIGN_VARIABLE",
    versions: 1..=1,
    types: ROWS.1,
    check: check::none,
    prepare: prepare_assign,
};

fn prepare_handle(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    node.output(OUTPUT, "handle")?;
    let expected = "VarHandleOptions";
    let number = node.operator().variable;
    let number = number.and_then(|number| u32::try_from(number).ok());
    let number = number.ok_or(PrepareError::Options { expected })?;
    Ok(Prepared::constant(Handle { number }, Shape::SCALAR))
}

/// The shape that the variable has, else the one that the file declares; a declaration with open axes says nothing.
fn prepare_read(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let resource = node.input(RESOURCE, "resource")?;
    one_handle(&resource)?;
    let output = node.output(OUTPUT, "output")?;
    let declared = output.declared();
    let known = known(&resource);
    let number = known.and_then(|handle| usize::try_from(handle).ok());
    let now = number.and_then(|number| node.variable(number));
    let signature = declared.shape_signature.as_deref().unwrap_or_default();
    let is_open = signature.contains(&-1) || declared.is_unranked;
    let shape = match now {
        Some(shape) => shape,
        None if is_open => {
            return Err(PrepareError::NotConstant {
                operand: "variable",
            });
        }
        None => declared.shape,
    };
    let ty = output.ty;
    Ok(Prepared::new(Read { known, ty, shape }, [shape]).stateful())
}

fn prepare_assign(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let resource = node.input(RESOURCE, "resource")?;
    one_handle(&resource)?;
    let value = node.input(VALUE, "value")?;
    let assign = Assign {
        known: known(&resource),
        ty: value.ty,
        shape: value.shape,
    };
    Ok(Prepared::new(assign, Vec::new()).stateful())
}

/// The value of the handle, where it is a constant.
fn known(resource: &super::NodeTensor<'_>) -> Option<u32> {
    match resource.constant::<u32>() {
        Ok(&[handle]) => Some(handle),
        _ => None,
    }
}

/// Refuses anything but a single handle.
fn one_handle(resource: &super::NodeTensor<'_>) -> Result<(), PrepareError> {
    if resource.shape.count() != 1 {
        return Err(resource.shape_error("one element"));
    }
    Ok(())
}

struct Handle {
    number: u32,
}

impl Kernel for Handle {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let mut views = io.views([], [OUTPUT], [])?;
        Ok(views.outputs[0].copy_from(&[self.number])?)
    }

    fn name(&self) -> &'static str {
        "var_handle.reference"
    }
}

/// The value of the handle, which is looked up unless it was known before.
fn handle(known: Option<u32>, io: &mut KernelIo<'_>) -> Result<u32, EvalError> {
    if let Some(handle) = known {
        return Ok(handle);
    }
    let views = io.views([RESOURCE], [], [])?;
    let [resource] = views.inputs;
    let handles = required(resource, RESOURCE)?.as_slice::<u32>()?;
    handles
        .first()
        .copied()
        .ok_or(EvalError::Operand { slot: RESOURCE })
}

struct Read {
    known: Option<u32>,
    /// Of the result.
    ty: T,
    shape: Shape,
}

impl Kernel for Read {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let handle = handle(self.known, io)?;
        let (variables, mut io) = io.split_variables()?;
        let number = variables.number(handle)?;
        let name = || variables.name(number).to_owned();
        let Some(value) = variables.get(number) else {
            return Err(EvalError::Unassigned { variable: name() });
        };
        if value.ty() != self.ty {
            return Err(EvalError::VariableType {
                variable: name(),
                found: value.ty(),
                expected: self.ty,
            });
        }
        if value.shape() != self.shape {
            return Err(EvalError::VariableShape {
                found: value.shape().into(),
                expected: self.shape.into(),
            });
        }
        let ([], output) = io.elements::<u8, 0>([], OUTPUT)?;
        match output.len() == value.bytes().len() {
            true => output.copy_from_slice(value.bytes()),
            false => return Err(EvalError::Operand { slot: OUTPUT }),
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        "read_variable.reference"
    }
}

struct Assign {
    known: Option<u32>,
    /// Of the value.
    ty: T,
    shape: Shape,
}

impl Kernel for Assign {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let handle = handle(self.known, io)?;
        let (variables, io) = io.split_variables()?;
        let number = variables.number(handle)?;
        variables.assign(number, self.ty, self.shape, io.bytes(VALUE)?)
    }

    fn name(&self) -> &'static str {
        "assign_variable.reference"
    }
}

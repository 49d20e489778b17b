//! ATAN2: the angle of points given by their coordinates, `y` first.

use super::shared::{Broadcast, binary, check};
use super::{Node, OpDef, PrepareError, Prepared, Settings, TypeRow};
use crate::model::BuiltinOperator;
use crate::tensor::TensorType as T;

const Y: usize = 0;
const X: usize = 1;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::ATAN2,
    name: "ATAN2",
    versions: 1..=1,
    types: &[TypeRow::new(&[T::Float32], &[T::Float32])],
    check: check::none,
    prepare,
};

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let (y, x) = (node.input(Y, "y")?, node.input(X, "x")?);
    if x.shape != y.shape {
        return Err(x.shape_error(format!("{}, that of y", y.shape)));
    }
    let broadcast = Broadcast::new([&y, &x])?;
    Ok(binary("atan2.reference", broadcast, f32::atan2))
}

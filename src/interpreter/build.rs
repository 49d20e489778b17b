//! From a model to steps and an arena: operators are matched, judged, prepared, folded and laid out, in this order.

use super::arena::Arena;
use super::builder::InterpreterBuilder;
use super::error::{BuildError, MissingOperator};
use super::invoke::{Interpreter, Step, Variable};
use crate::model::{Graph, Operator, Report, Subgraph};
use crate::ops::{
    KernelIo, KnownTensors, Node, OpDef, Operand, Place, Prepared, StepOperands, registry,
};
use crate::plan::{Allocation, Lifetimes, layout};
use crate::tensor::{Shape, TensorType};

/// What is known of the tensors while operators are prepared in order.
struct Known<'a> {
    graph: &'a Graph,
    subgraph: &'a Subgraph,
    shapes: Vec<Shape>,
    /// Per tensor, the number of the folded constant that holds its value.
    folded: Vec<Option<usize>>,
    constants: Vec<Box<[u64]>>,
}

impl KnownTensors for Known<'_> {
    fn shape(&self, index: usize) -> Option<Shape> {
        self.shapes.get(index).copied()
    }

    fn constant(&self, index: usize) -> Option<&[u8]> {
        let tensor = self.subgraph.tensors.get(index)?;
        match self.folded.get(index).copied()? {
            Some(number) => {
                let len = tensor.ty.bytes(self.shapes.get(index)?.count())?;
                bytemuck::cast_slice::<u64, u8>(self.constants.get(number)?).get(..len)
            }
            None => self.graph.data(tensor),
        }
    }
}

impl Known<'_> {
    fn bytes(&self, index: usize) -> Result<usize, BuildError> {
        let ty = self.subgraph.tensors[index].ty;
        ty.bytes(self.shapes[index].count())
            .ok_or(BuildError::Unsized { tensor: index, ty })
    }

    fn is_constant(&self, index: usize) -> bool {
        self.constant(index).is_some()
    }
}

pub(super) fn build(builder: InterpreterBuilder) -> Result<Interpreter, BuildError> {
    let model = builder.model.clone();
    let graph = model.graph();
    let index = 0;
    let subgraph = &graph.subgraphs()[index];
    let defs = find_operators(graph, index)?;
    check_operators(graph, index, &defs)?;

    let mut known = Known {
        graph,
        subgraph,
        shapes: input_shapes(subgraph, &builder.shapes)?,
        folded: vec![None; subgraph.tensors.len()],
        constants: Vec::new(),
    };
    let mut prepared = Vec::with_capacity(defs.len());
    let mut folded_bytes = 0;
    for (number, def) in defs.iter().enumerate() {
        let operator = &subgraph.operators[number];
        let node = Node::new(graph, index, number, &known).expect("operators were counted");
        let prepare_error = |source| BuildError::Prepare {
            operator: number,
            kind: operator.kind.clone(),
            source,
        };
        let ready = (def.prepare)(&node, &builder.settings).map_err(prepare_error)?;
        for (&tensor, &shape) in operator.outputs.iter().zip(&ready.outputs) {
            known.shapes[tensor] = shape;
        }
        let constant = !ready.stateful
            && !operator.outputs.is_empty()
            && (ready.is_constant
                || operator
                    .inputs
                    .iter()
                    .flatten()
                    .all(|&tensor| known.is_constant(tensor)));
        if constant {
            folded_bytes += fold(&mut known, number, &ready, builder.arena_limit)?;
            check_limit(folded_bytes, builder.arena_limit)?;
        }
        prepared.push((ready, constant));
    }
    lay_out(builder, known, prepared, folded_bytes)
}

fn check_limit(bytes: usize, limit: usize) -> Result<(), BuildError> {
    if bytes > limit {
        return Err(BuildError::ArenaTooLarge { bytes, limit });
    }
    Ok(())
}

/// The definition of each operator, or all operators that have none.
fn find_operators(graph: &Graph, index: usize) -> Result<Vec<&'static OpDef>, BuildError> {
    let subgraph = &graph.subgraphs()[index];
    let known = crate::ops::FileTensors(graph, subgraph);
    let mut defs = Vec::with_capacity(subgraph.operators.len());
    let mut missing: Vec<MissingOperator> = Vec::new();
    for (number, operator) in subgraph.operators.iter().enumerate() {
        let node = Node::new(graph, index, number, &known).expect("operators were counted");
        if let Some(def) = registry::find(&node) {
            defs.push(def);
            continue;
        }
        let found = missing_operator(subgraph, operator);
        match missing.iter_mut().find(|other| {
            (&other.kind, other.version, &other.inputs, &other.outputs)
                == (&found.kind, found.version, &found.inputs, &found.outputs)
        }) {
            Some(other) => other.count += 1,
            None => missing.push(found),
        }
    }
    if missing.is_empty() {
        Ok(defs)
    } else {
        Err(BuildError::MissingOperators { operators: missing })
    }
}

fn missing_operator(subgraph: &Subgraph, operator: &Operator) -> MissingOperator {
    let ty = |&tensor: &usize| subgraph.tensors[tensor].ty;
    MissingOperator {
        kind: operator.kind.clone(),
        version: operator.version,
        inputs: operator.inputs.iter().flatten().map(ty).collect(),
        outputs: operator.outputs.iter().map(ty).collect(),
        count: 1,
    }
}

fn check_operators(graph: &Graph, index: usize, defs: &[&OpDef]) -> Result<(), BuildError> {
    let known = crate::ops::FileTensors(graph, &graph.subgraphs()[index]);
    let mut report = Report::errors_only();
    for (number, def) in defs.iter().enumerate() {
        let node = Node::new(graph, index, number, &known).expect("operators were counted");
        (def.check)(&node, &mut report);
    }
    if report.has_errors() {
        return Err(BuildError::Verify { report });
    }
    Ok(())
}

/// The declared shapes with those that the caller gave in their place.
fn input_shapes(subgraph: &Subgraph, given: &[(usize, Shape)]) -> Result<Vec<Shape>, BuildError> {
    let mut shapes: Vec<Shape> = subgraph.tensors.iter().map(|tensor| tensor.shape).collect();
    for &(index, shape) in given {
        let count = subgraph.inputs.len();
        let &tensor = subgraph
            .inputs
            .get(index)
            .ok_or(BuildError::InputIndex { index, count })?;
        let declared = &subgraph.tensors[tensor];
        if shape.rank() != declared.shape.rank() {
            return Err(BuildError::InputShape {
                index,
                found: shape,
                declared: declared.shape,
            });
        }
        shapes[tensor] = shape;
    }
    Ok(shapes)
}

/// Computes an operator whose operands are all constants, once, and keeps the results. Returns their bytes.
fn fold(
    known: &mut Known<'_>,
    number: usize,
    prepared: &Prepared,
    limit: usize,
) -> Result<usize, BuildError> {
    let operator = &known.subgraph.operators[number];
    let mut operands = StepOperands {
        inputs: inputs(known, operator, &[]),
        ..StepOperands::default()
    };
    // Results and scratch side by side in an arena of their own.
    let mut end: usize = 0;
    let mut take = |bytes: usize| {
        let start = end;
        end = start.saturating_add(bytes).saturating_add(15) & !15;
        check_limit(end, limit).map(|()| start..start + bytes)
    };
    for &tensor in &operator.outputs {
        operands.outputs.push(Operand {
            tensor,
            shape: known.shapes[tensor],
            place: Place::Arena(take(known.bytes(tensor)?)?),
        });
    }
    for &bytes in &prepared.scratch {
        operands.scratch.push(take(bytes)?);
    }
    let mut arena = Arena::new(end);
    let constant_error = |source| BuildError::Constant {
        operator: number,
        kind: operator.kind.clone(),
        source,
    };
    match &prepared.kernel {
        Some(kernel) => {
            let tensors = &known.subgraph.tensors;
            let mut io = KernelIo::new(
                known.graph,
                tensors,
                &operands,
                &known.constants,
                arena.bytes_mut(),
            );
            kernel.eval(&mut io).map_err(constant_error)?;
        }
        None => {
            if let (Some(&Some(from)), Some(to)) =
                (operator.inputs.first(), operands.outputs.first())
                && let (Some(bytes), Place::Arena(range)) = (known.constant(from), &to.place)
                && let Some(to) = arena.bytes_mut().get_mut(range.clone())
            {
                to.copy_from_slice(&bytes[..to.len()]);
            }
        }
    }
    let mut total = 0;
    for output in &operands.outputs {
        let Place::Arena(range) = &output.place else {
            continue;
        };
        let bytes = &arena.bytes()[range.clone()];
        let mut words = vec![0u64; bytes.len().div_ceil(8)].into_boxed_slice();
        bytemuck::cast_slice_mut::<u64, u8>(&mut words)[..bytes.len()].copy_from_slice(bytes);
        total += bytes.len();
        known.folded[output.tensor] = Some(known.constants.len());
        known.constants.push(words);
    }
    Ok(total)
}

/// An operator's operands with their places; `offsets` gives the arena offset of the tensors that have one.
fn inputs(
    known: &Known<'_>,
    operator: &Operator,
    offsets: &[Option<usize>],
) -> Vec<Option<Operand>> {
    let operand = |tensor: usize| Operand {
        tensor,
        shape: known.shapes[tensor],
        place: place(known, tensor, offsets),
    };
    operator
        .inputs
        .iter()
        .map(|input| input.map(operand))
        .collect()
}

fn place(known: &Known<'_>, tensor: usize, offsets: &[Option<usize>]) -> Place {
    if let Some(number) = known.folded[tensor] {
        return Place::Folded(number);
    }
    match offsets.get(tensor).copied().flatten() {
        Some(offset) => Place::Arena(offset..offset + known.bytes(tensor).unwrap_or(0)),
        None => Place::File,
    }
}

/// Gives every computed tensor its place and turns prepared operators into steps.
fn lay_out(
    builder: InterpreterBuilder,
    known: Known<'_>,
    prepared: Vec<(Prepared, bool)>,
    folded_bytes: usize,
) -> Result<Interpreter, BuildError> {
    let subgraph = known.subgraph;
    let end = subgraph.operators.len();
    let mut lives = Lifetimes::new(subgraph.tensors.len());
    // The caller's inputs keep their values for the next inference, as variables do.
    let kept = (0..subgraph.tensors.len()).filter(|&t| subgraph.tensors[t].is_variable);
    for tensor in subgraph.inputs.iter().copied().chain(kept) {
        if !known.is_constant(tensor) {
            lives.touch(tensor, 0);
            lives.touch(tensor, end);
        }
    }
    let mut scratch = Vec::new();
    for (number, (ready, constant)) in prepared.iter().enumerate() {
        if *constant {
            continue;
        }
        let operator = &subgraph.operators[number];
        for &tensor in operator
            .inputs
            .iter()
            .flatten()
            .filter(|&&t| !known.is_constant(t))
        {
            lives.touch(tensor, number);
        }
        if ready.kernel.is_none()
            && let (Some(&Some(from)), Some(&to)) =
                (operator.inputs.first(), operator.outputs.first())
        {
            lives.share(to, from);
        }
        for &tensor in &operator.outputs {
            lives.touch(tensor, number);
        }
        for &bytes in &ready.scratch {
            scratch.push((number, bytes));
        }
    }
    for &tensor in subgraph.outputs.iter().filter(|&&t| !known.is_constant(t)) {
        lives.touch(tensor, end);
    }

    let mut allocations = Vec::new();
    let owners: Vec<_> = lives.owners().collect();
    for &(tensor, life) in &owners {
        let bytes = known.bytes(tensor)?;
        allocations.push(Allocation { bytes, life });
    }
    for &(step, bytes) in &scratch {
        let life = crate::plan::Lifetime {
            first: step,
            last: step,
        };
        allocations.push(Allocation { bytes, life });
    }
    let too_large = BuildError::ArenaTooLarge {
        bytes: usize::MAX,
        limit: builder.arena_limit,
    };
    let plan = layout(&allocations).ok_or(too_large)?;
    check_limit(plan.bytes.saturating_add(folded_bytes), builder.arena_limit)?;

    let mut owner_offset = vec![None; subgraph.tensors.len()];
    for (&(tensor, _), &offset) in owners.iter().zip(&plan.offsets) {
        owner_offset[tensor] = Some(offset);
    }
    let offsets: Vec<Option<usize>> = (0..subgraph.tensors.len())
        .map(|tensor| owner_offset[lives.owner(tensor)])
        .collect();
    let mut scratch_offsets = plan.offsets[owners.len()..].iter();

    let operand = |&tensor: &usize| Operand {
        tensor,
        shape: known.shapes[tensor],
        place: place(&known, tensor, &offsets),
    };
    let mut steps = Vec::with_capacity(prepared.len());
    for (number, (ready, constant)) in prepared.into_iter().enumerate() {
        let operator = &subgraph.operators[number];
        let mut ranges = Vec::new();
        if !constant {
            for &bytes in &ready.scratch {
                let &offset = scratch_offsets
                    .next()
                    .expect("one offset per scratch buffer");
                ranges.push(offset..offset + bytes);
            }
        }
        steps.push(Step {
            operator: number,
            operands: StepOperands {
                inputs: inputs(&known, operator, &offsets),
                outputs: operator.outputs.iter().map(operand).collect(),
                scratch: ranges,
            },
            kernel: ready.kernel.filter(|_| !constant),
            constant,
            work: ready.work,
        });
    }
    let variables = (0..subgraph.tensors.len())
        .filter(|&t| subgraph.tensors[t].is_variable && offsets[t].is_some())
        .map(|t| Variable {
            operand: operand(&t),
            fill: variable_fill(subgraph, t),
        })
        .collect();
    let mut interpreter = Interpreter {
        inputs: subgraph.inputs.iter().map(operand).collect(),
        outputs: subgraph.outputs.iter().map(operand).collect(),
        steps,
        variables,
        arena: Arena::new(plan.bytes),
        arena_bytes: plan.bytes,
        folded: known.constants,
        settings: builder.settings,
        model: builder.model.clone(),
    };
    interpreter.reset();
    Ok(interpreter)
}

/// The byte a variable is filled with at first: its zero point where it is int8, otherwise zero, as TFLite's
/// `ResetVariableTensors` does.
fn variable_fill(subgraph: &Subgraph, tensor: usize) -> u8 {
    let declared = &subgraph.tensors[tensor];
    match (declared.ty, declared.quantization.as_deref()) {
        (TensorType::Int8, Some(q)) => {
            i8::try_from(q.zero_point()).map_or(0, |zero_point| zero_point.to_ne_bytes()[0])
        }
        _ => 0,
    }
}

//! What the callbacks work on: the context, the nodes and the tensors, at addresses that do not change.
#![allow(
    unsafe_code,
    reason = "finds the host's own state behind the context pointer"
)]

use std::ffi::{c_char, c_int, c_void};
use std::ptr::{NonNull, null, null_mut};

use super::callbacks;
use super::error::HostError;
use super::tensors::{AlignedBytes, IntArray, TensorSpec, dims_of, type_code};
use crate::ffi::tflite::{
    BUILTIN_CUSTOM, NULL_BUFFER_HANDLE, OwnRegistration, TfLiteContext, TfLiteDelegate,
    TfLiteDelegateParams, TfLiteNode, TfLiteQuantization, TfLiteRegistration, TfLiteTensor,
};
use crate::tensor::{Shape, TensorType};

/// Name of the operator that libedgetpu's delegate looks for.
const CUSTOM_OP: &[u8] = b"edgetpu-custom-op\0";

/// `kTfLiteArenaRw`. libedgetpu does not read it; zero would mean "no memory".
const ALLOCATION_ARENA: c_int = 2;

/// Text kept of what libedgetpu reports during one call, in bytes.
const MAX_REPORTED: usize = 4096;

/// A node as it was added.
#[derive(Debug)]
pub(super) struct NodeSpec {
    pub(super) options: AlignedBytes,
    pub(super) inputs: Vec<TensorSpec>,
    pub(super) outputs: Vec<TensorSpec>,
    /// libedgetpu may write the next state into inputs, so none is handed to it in place.
    pub(super) writes_inputs: bool,
}

/// One node: as the model has it, and as the delegate's kernel runs it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) original: TfLiteNode,
    pub(super) kernel: TfLiteNode,
    pub(super) registration: Option<TfLiteRegistration>,
    pub(super) params: TfLiteDelegateParams,
    /// The custom options, until the kernel is prepared: libedgetpu keeps pointers into them so long.
    pub(super) options: Option<AlignedBytes>,
    /// What the pointers in the nodes and params lead to.
    _arrays: [IntArray; 3],
    /// Where its tensors start in [`State::tensors`]: inputs, then outputs.
    pub(super) first: usize,
    pub(super) input_count: usize,
    pub(super) output_count: usize,
}

/// The host's side of one tensor.
#[derive(Debug)]
pub(super) struct TensorMemory {
    pub(super) ty: TensorType,
    pub(super) shape: Shape,
    /// The shape as C has it.
    pub(super) dims: IntArray,
    pub(super) zero_point: i32,
    pub(super) is_output: bool,
    pub(super) is_variable: bool,
    /// Whether an inference may read the caller's bytes where they are.
    pub(super) in_place: bool,
    /// Copy of an input for the length of an inference, or state. Empty for outputs.
    pub(super) bytes: AlignedBytes,
}

/// Everything a context leads to. Lives in one heap block from the first callback to the last.
#[derive(Debug)]
pub(super) struct State {
    pub(super) context: TfLiteContext,
    pub(super) tensors: Vec<TfLiteTensor>,
    /// Parallel to `tensors`.
    pub(super) memory: Vec<TensorMemory>,
    pub(super) nodes: Vec<Node>,
    pub(super) plan: IntArray,
    /// The registration of every original node.
    pub(super) custom_op: OwnRegistration,
    pub(super) delegate: *mut TfLiteDelegate,
    /// What the library stored with `SetExternalContext`.
    pub(super) external: *mut c_void,
    reported: String,
    failure: Option<HostError>,
}

impl State {
    /// Lays out all nodes and tensors. `delegate` is only stored.
    ///
    /// # Errors
    ///
    /// A count is above what C's `int` holds, or a shape is impossible (builders check shapes before).
    pub(super) fn new(
        specs: Vec<NodeSpec>,
        delegate: NonNull<TfLiteDelegate>,
    ) -> Result<NonNull<Self>, HostError> {
        let node_count =
            c_int::try_from(specs.len()).map_err(|_| HostError::TooLarge { node: specs.len() })?;
        let plan = IntArray::new(0..node_count).ok_or(HostError::TooLarge { node: specs.len() })?;
        let state = Self {
            context: callbacks::context(),
            tensors: Vec::new(),
            memory: Vec::new(),
            nodes: Vec::new(),
            plan,
            custom_op: OwnRegistration {
                head: TfLiteRegistration {
                    init: None,
                    free: None,
                    prepare: None,
                    invoke: None,
                    profiling_string: null(),
                    builtin_code: BUILTIN_CUSTOM,
                    custom_name: CUSTOM_OP.as_ptr().cast::<c_char>(),
                    version: 1,
                },
                tail: [0; 3],
            },
            delegate: delegate.as_ptr(),
            external: null_mut(),
            reported: String::new(),
            failure: None,
        };
        let mut state = Box::new(state);
        for spec in specs {
            state.add(spec)?;
        }
        state.context.tensors_size = state.tensors.len();
        state.context.tensors = state.tensors.as_mut_ptr();
        let block = NonNull::from(Box::leak(state));
        // SAFETY: the block was just made and has no other user.
        let context = unsafe { &raw mut (*block.as_ptr()).context };
        // SAFETY: as above; the context points back at the block that holds it.
        unsafe { (*context).impl_ = block.as_ptr().cast() };
        Ok(block)
    }

    /// Appends one node. Nothing points at `nodes` or `tensors` yet, so they may still move.
    fn add(&mut self, spec: NodeSpec) -> Result<(), HostError> {
        let node = self.nodes.len();
        let too_large = || HostError::TooLarge { node };
        let first = self.tensors.len();
        let NodeSpec {
            options,
            inputs,
            outputs,
            writes_inputs,
        } = spec;
        let (input_count, output_count) = (inputs.len(), outputs.len());
        for spec in inputs {
            self.add_tensor(&spec, false, writes_inputs)
                .ok_or_else(too_large)?;
        }
        for spec in outputs {
            self.add_tensor(&spec, true, false).ok_or_else(too_large)?;
        }
        let start = c_int::try_from(first).map_err(|_| too_large())?;
        let middle = c_int::try_from(first + input_count).map_err(|_| too_large())?;
        let end = c_int::try_from(first + input_count + output_count).map_err(|_| too_large())?;
        let index = c_int::try_from(node).map_err(|_| too_large())?;
        let mut inputs = IntArray::new(start..middle).ok_or_else(too_large)?;
        let mut outputs = IntArray::new(middle..end).ok_or_else(too_large)?;
        let mut replaced = IntArray::new([index]).ok_or_else(too_large)?;
        let kernel = TfLiteNode {
            inputs: inputs.as_mut_ptr(),
            outputs: outputs.as_mut_ptr(),
            intermediates: null_mut(),
            temporaries: null_mut(),
            user_data: null_mut(),
            builtin_data: null_mut(),
            custom_initial_data: null(),
            custom_initial_data_size: 0,
            delegate: self.delegate,
            might_have_side_effect: false,
        };
        let options_len = c_int::try_from(options.as_slice().len()).map_err(|_| too_large())?;
        let original = TfLiteNode {
            custom_initial_data: options.as_slice().as_ptr().cast(),
            custom_initial_data_size: options_len,
            delegate: null_mut(),
            ..kernel
        };
        let params = TfLiteDelegateParams {
            delegate: self.delegate,
            nodes_to_replace: replaced.as_mut_ptr(),
            input_tensors: inputs.as_mut_ptr(),
            output_tensors: outputs.as_mut_ptr(),
        };
        self.nodes.push(Node {
            original,
            kernel,
            registration: None,
            params,
            options: Some(options),
            _arrays: [inputs, outputs, replaced],
            first,
            input_count,
            output_count,
        });
        Ok(())
    }

    fn add_tensor(
        &mut self,
        spec: &TensorSpec,
        is_output: bool,
        writes_inputs: bool,
    ) -> Option<()> {
        let byte_count = spec.byte_count()?;
        let mut dims = dims_of(spec.shape)?;
        let mut bytes = AlignedBytes::zeroed(if is_output { 0 } else { byte_count });
        self.tensors.push(TfLiteTensor {
            kind: type_code(spec.ty)?,
            data: if is_output {
                null_mut()
            } else {
                bytes.as_mut_ptr().cast()
            },
            dims: dims.as_mut_ptr(),
            params: spec.params(),
            allocation_type: ALLOCATION_ARENA,
            bytes: byte_count,
            allocation: null(),
            name: null(),
            delegate: null_mut(),
            buffer_handle: NULL_BUFFER_HANDLE,
            data_is_stale: false,
            is_variable: spec.is_variable,
            quantization: TfLiteQuantization {
                kind: 0,
                params: null_mut(),
            },
            sparsity: null_mut(),
            dims_signature: null(),
        });
        let is_variable = spec.is_variable && !is_output;
        self.memory.push(TensorMemory {
            ty: spec.ty,
            shape: spec.shape,
            dims,
            zero_point: spec.zero_point,
            is_output,
            is_variable,
            // libedgetpu is known to leave uint8 alone. It flips int8 and int16; the others were not seen.
            in_place: spec.ty == TensorType::UInt8 && !is_variable && !writes_inputs,
            bytes,
        });
        Some(())
    }

    /// Which tensor an address is, if it is one.
    pub(super) fn tensor_at(&self, tensor: *const TfLiteTensor) -> Option<usize> {
        let offset = tensor.addr().checked_sub(self.tensors.as_ptr().addr())?;
        let index = offset / size_of::<TfLiteTensor>();
        (offset.is_multiple_of(size_of::<TfLiteTensor>()) && index < self.tensors.len())
            .then_some(index)
    }

    /// Which node a tensor belongs to.
    pub(super) fn node_of_tensor(&self, tensor: usize) -> usize {
        self.nodes
            .partition_point(|node| node.first <= tensor)
            .saturating_sub(1)
    }

    /// Appends libedgetpu's words, as one line, up to a limit.
    pub(super) fn report(&mut self, text: &str) {
        log::debug!(target: "libedgetpu", "{text}");
        if !self.reported.is_empty() {
            self.reported.push_str("; ");
        }
        for character in text.trim_end().chars() {
            if self.reported.len() >= MAX_REPORTED {
                return;
            }
            self.reported.push(if character.is_control() {
                ' '
            } else {
                character
            });
        }
    }

    /// Remembers the first failure that a callback met: libedgetpu ignores most of what callbacks return.
    pub(super) fn fail(&mut self, failure: HostError) {
        self.failure.get_or_insert(failure);
    }

    /// Forgets what earlier calls reported.
    pub(super) fn start_call(&mut self) {
        self.reported.clear();
        self.failure = None;
    }

    /// What was reported since [`Self::start_call`].
    pub(super) fn take_reported(&mut self) -> String {
        std::mem::take(&mut self.reported)
    }

    /// The first failure since [`Self::start_call`].
    pub(super) fn take_failure(&mut self) -> Option<HostError> {
        self.failure.take()
    }
}

/// The state behind a context that [`State::new`] made.
///
/// # Safety
///
/// `context` is null or the context of a live [`State`], and no other reference to that state exists while the result
/// is used: the host holds none across calls into the library, and a callback ends its own before it calls back.
pub(super) unsafe fn state_of<'a>(context: *mut TfLiteContext) -> Option<&'a mut State> {
    if context.is_null() {
        return None;
    }
    // SAFETY: the caller's promise; `impl_` is set before the library first sees the context.
    let state: *mut State = unsafe { (*context).impl_ }.cast();
    // SAFETY: `impl_` points at the live state that holds the context; exclusive by the caller's promise.
    unsafe { state.as_mut() }
}

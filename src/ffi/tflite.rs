//! TFLite's C structs as libedgetpu reads and fills them, with their layout asserted.
//!
//! Source of the layouts: `tensorflow/lite/c/common.h` of TFLite 2.5 through 2.19, whose offsets were produced by
//! compiling `offsetof` programs for x86-64, aarch64 and armv7 hard-float.
//!
//! Two rules keep one definition right for every libedgetpu:
//!
//! * what the **library** allocates is declared in its **oldest, shortest** form and nothing behind it is read:
//!   [`TfLiteRegistration`] (64 bytes on 64-bit, 32 on 32-bit) and [`TfLiteDelegate`] (48, 32). In a library built
//!   against TFLite 2.5 the word behind the first is stack garbage and the word behind the second is its own pointer;
//! * what the **host** allocates is declared in its **newest, longest** form, so that no library reads behind it:
//!   [`TfLiteContext`] (200, 100) and [`TfLiteNode`] (80, 40). [`TfLiteTensor`] (112, 64) never changed; it must
//!   match exactly, because the library indexes an array of them.

use std::ffi::{c_char, c_int, c_void};
use std::mem::{align_of, offset_of, size_of};

/// `TfLiteStatus`, the part of it that the host distinguishes: anything but 0 is a failure.
pub type TfLiteStatus = c_int;

/// `kTfLiteOk`.
pub const STATUS_OK: TfLiteStatus = 0;
/// `kTfLiteError`.
pub const STATUS_ERROR: TfLiteStatus = 1;

/// `kTfLiteEdgeTpuContext`: the key under which libedgetpu keeps its own object in the host.
pub const EXTERNAL_CONTEXT_EDGE_TPU: c_int = 2;
/// `kTfLiteNullBufferHandle`: the tensor's bytes are in `data`. Any other value on an input aborts the process.
pub const NULL_BUFFER_HANDLE: c_int = -1;
/// `kTfLiteBuiltinCustom`.
pub const BUILTIN_CUSTOM: c_int = 32;

/// `TfLiteIntArray`: a count followed by that many integers. Only ever handled by pointer.
#[repr(C)]
#[derive(Debug)]
pub struct TfLiteIntArray {
    /// Number of integers that follow.
    pub size: c_int,
    /// The integers; the declared length is 0, the real one is `size`.
    pub data: [c_int; 0],
}

/// `TfLiteQuantizationParams`: real = `scale` * (quantized - `zero_point`).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct TfLiteQuantizationParams {
    /// Width of one step.
    pub scale: f32,
    /// Quantized value that stands for zero.
    pub zero_point: i32,
}

/// `TfLiteQuantization`. The host leaves it empty; libedgetpu does not read it.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct TfLiteQuantization {
    /// Kind of the parameters, 0 for none.
    pub kind: c_int,
    /// The parameters.
    pub params: *mut c_void,
}

/// `TfLiteTensor`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct TfLiteTensor {
    /// Element type, `TfLiteType`.
    pub kind: c_int,
    /// The bytes.
    pub data: *mut c_void,
    /// The shape.
    pub dims: *mut TfLiteIntArray,
    /// Quantization; read only for the legacy float classifier outputs.
    pub params: TfLiteQuantizationParams,
    /// `TfLiteAllocationType`.
    pub allocation_type: c_int,
    /// Length of `data` in bytes.
    pub bytes: usize,
    /// Unused by the host.
    pub allocation: *const c_void,
    /// Unused by the host.
    pub name: *const c_char,
    /// Unused by the host.
    pub delegate: *mut TfLiteDelegate,
    /// Always [`NULL_BUFFER_HANDLE`].
    pub buffer_handle: c_int,
    /// Unused by the host.
    pub data_is_stale: bool,
    /// Whether the tensor keeps its bytes between invokes.
    pub is_variable: bool,
    /// Unused by the host.
    pub quantization: TfLiteQuantization,
    /// Unused by the host.
    pub sparsity: *mut c_void,
    /// Unused by the host.
    pub dims_signature: *const TfLiteIntArray,
}

/// `TfLiteNode`, newest form.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct TfLiteNode {
    /// Indices of the input tensors.
    pub inputs: *mut TfLiteIntArray,
    /// Indices of the output tensors.
    pub outputs: *mut TfLiteIntArray,
    /// Unused by the host.
    pub intermediates: *mut TfLiteIntArray,
    /// Unused by the host.
    pub temporaries: *mut TfLiteIntArray,
    /// What the kernel's `init` returned.
    pub user_data: *mut c_void,
    /// Unused by libedgetpu.
    pub builtin_data: *mut c_void,
    /// The custom options.
    pub custom_initial_data: *const c_void,
    /// Length of the custom options in bytes.
    pub custom_initial_data_size: c_int,
    /// The delegate that runs this node.
    pub delegate: *mut TfLiteDelegate,
    /// Since TFLite 2.6.
    pub might_have_side_effect: bool,
}

/// `TfLiteRegistration`, oldest form: the kernel's functions.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct TfLiteRegistration {
    /// Makes the kernel.
    pub init: Option<unsafe extern "C" fn(*mut TfLiteContext, *const c_char, usize) -> *mut c_void>,
    /// Destroys the kernel.
    pub free: Option<unsafe extern "C" fn(*mut TfLiteContext, *mut c_void)>,
    /// Checks the tensors and uploads the program.
    pub prepare: Option<unsafe extern "C" fn(*mut TfLiteContext, *mut TfLiteNode) -> TfLiteStatus>,
    /// Runs one inference.
    pub invoke: Option<unsafe extern "C" fn(*mut TfLiteContext, *mut TfLiteNode) -> TfLiteStatus>,
    /// Unused by the host; the type of a function pointer is not needed.
    pub profiling_string: *const c_void,
    /// `TfLiteBuiltinOperator`.
    pub builtin_code: c_int,
    /// Name of a custom operator, or null.
    pub custom_name: *const c_char,
    /// Version of the operator.
    pub version: c_int,
}

/// A registration that the host hands out: the oldest form, then the newest form's further fields as zeros
/// (`registration_external` since 2.10, `async_kernel` since 2.13, `inplace_operator` since 2.14).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct OwnRegistration {
    /// What every library knows.
    pub head: TfLiteRegistration,
    /// Zeros.
    pub tail: [u64; 3],
}

/// `TfLiteDelegate`, oldest form. Allocated by the library, as the start of a larger object.
#[repr(C)]
#[derive(Debug)]
pub struct TfLiteDelegate {
    /// The library's own.
    pub data: *mut c_void,
    /// Looks for nodes to take.
    pub prepare:
        Option<unsafe extern "C" fn(*mut TfLiteContext, *mut TfLiteDelegate) -> TfLiteStatus>,
    /// Null in libedgetpu.
    pub copy_from_buffer_handle: *const c_void,
    /// Null in libedgetpu.
    pub copy_to_buffer_handle: *const c_void,
    /// Null in libedgetpu.
    pub free_buffer_handle: *const c_void,
    /// `TfLiteDelegateFlags`.
    pub flags: i64,
}

/// `TfLiteDelegateParams`: what a kernel's `init` is given.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct TfLiteDelegateParams {
    /// The delegate.
    pub delegate: *mut TfLiteDelegate,
    /// The one node that the kernel replaces.
    pub nodes_to_replace: *mut TfLiteIntArray,
    /// Its inputs.
    pub input_tensors: *mut TfLiteIntArray,
    /// Its outputs.
    pub output_tensors: *mut TfLiteIntArray,
}

/// `GetExecutionPlan`.
pub type GetExecutionPlan =
    unsafe extern "C" fn(*mut TfLiteContext, *mut *mut TfLiteIntArray) -> TfLiteStatus;
/// `ResizeTensor`; the callee owns the dims from then on.
pub type ResizeTensor = unsafe extern "C" fn(
    *mut TfLiteContext,
    *mut TfLiteTensor,
    *mut TfLiteIntArray,
) -> TfLiteStatus;
/// `GetNodeAndRegistration`.
pub type GetNodeAndRegistration = unsafe extern "C" fn(
    *mut TfLiteContext,
    c_int,
    *mut *mut TfLiteNode,
    *mut *mut TfLiteRegistration,
) -> TfLiteStatus;
/// `GetExternalContext`.
pub type GetExternalContext = unsafe extern "C" fn(*mut TfLiteContext, c_int) -> *mut c_void;
/// `SetExternalContext`.
pub type SetExternalContext = unsafe extern "C" fn(*mut TfLiteContext, c_int, *mut c_void);
/// A slot that libedgetpu never calls, filled with a function that says so and fails.
pub type UnusedStatus = unsafe extern "C" fn(*mut TfLiteContext) -> TfLiteStatus;
/// A slot that libedgetpu never calls, filled with a function that says so and returns null.
pub type UnusedPointer = unsafe extern "C" fn(*mut TfLiteContext) -> *mut c_void;

/// `TfLiteContext`, newest form. libedgetpu uses `tensors` and seven of the functions.
///
/// `ReportError` and `ReplaceNodeSubsetsWithDelegateKernels` are stored as untyped addresses: the first is variadic
/// in C, the second takes a struct by value whose size depends on the library, and Rust functions that receive such
/// calls have other declared types (see `host::callbacks` and `host::replace`).
#[repr(C)]
#[derive(Debug)]
#[expect(
    missing_docs,
    reason = "named as in common.h; the ones libedgetpu uses are documented by their types"
)]
pub struct TfLiteContext {
    pub tensors_size: usize,
    pub get_execution_plan: Option<GetExecutionPlan>,
    pub tensors: *mut TfLiteTensor,
    /// The host's own state.
    pub impl_: *mut c_void,
    pub resize_tensor: Option<ResizeTensor>,
    pub report_error: *const c_void,
    pub add_tensors: Option<UnusedStatus>,
    pub get_node_and_registration: Option<GetNodeAndRegistration>,
    pub replace_node_subsets_with_delegate_kernels: *const c_void,
    pub recommended_num_threads: c_int,
    pub get_external_context: Option<GetExternalContext>,
    pub set_external_context: Option<SetExternalContext>,
    pub allow_fp32_relax_to_fp16: bool,
    pub profiler: *mut c_void,
    pub allocate_persistent_buffer: Option<UnusedPointer>,
    pub allocate_buffer_for_eval: Option<UnusedStatus>,
    pub request_scratch_buffer_in_arena: Option<UnusedStatus>,
    pub get_scratch_buffer: Option<UnusedPointer>,
    pub resize_tensor_explicit: Option<UnusedStatus>,
    pub preview_delegate_partitioning: Option<UnusedStatus>,
    pub get_tensor: Option<UnusedPointer>,
    pub get_eval_tensor: Option<UnusedPointer>,
    /// Since TFLite 2.7.
    pub get_model_metadata: Option<UnusedStatus>,
    /// Since TFLite 2.14.
    pub acquire_subgraph_context: Option<UnusedStatus>,
    /// Since TFLite 2.14.
    pub release_subgraph_context: Option<UnusedStatus>,
}

/// Asserts the offset of each field and the size of a struct: `(64-bit, 32-bit)`.
macro_rules! assert_layout {
    ($type:ty, size: ($size64:expr, $size32:expr), $($field:ident: ($at64:expr, $at32:expr)),+ $(,)?) => {
        const _: () = {
            const IS_64: bool = cfg!(target_pointer_width = "64");
            assert!(size_of::<$type>() == if IS_64 { $size64 } else { $size32 });
            $(assert!(offset_of!($type, $field) == if IS_64 { $at64 } else { $at32 });)+
        };
    };
}

assert_layout!(TfLiteIntArray, size: (4, 4), size: (0, 0), data: (4, 4));
assert_layout!(TfLiteQuantizationParams, size: (8, 8), scale: (0, 0), zero_point: (4, 4));
assert_layout!(TfLiteQuantization, size: (16, 8), kind: (0, 0), params: (8, 4));
assert_layout!(
    TfLiteTensor, size: (112, 64),
    kind: (0, 0), data: (8, 4), dims: (16, 8), params: (24, 12), allocation_type: (32, 20), bytes: (40, 24),
    allocation: (48, 28), name: (56, 32), delegate: (64, 36), buffer_handle: (72, 40), data_is_stale: (76, 44),
    is_variable: (77, 45), quantization: (80, 48), sparsity: (96, 56), dims_signature: (104, 60),
);
assert_layout!(
    TfLiteNode, size: (80, 40),
    inputs: (0, 0), outputs: (8, 4), intermediates: (16, 8), temporaries: (24, 12), user_data: (32, 16),
    builtin_data: (40, 20), custom_initial_data: (48, 24), custom_initial_data_size: (56, 28), delegate: (64, 32),
    might_have_side_effect: (72, 36),
);
assert_layout!(
    TfLiteRegistration, size: (64, 32),
    init: (0, 0), free: (8, 4), prepare: (16, 8), invoke: (24, 12), profiling_string: (32, 16),
    builtin_code: (40, 20), custom_name: (48, 24), version: (56, 28),
);
assert_layout!(
    TfLiteDelegate, size: (48, 32),
    data: (0, 0), prepare: (8, 4), copy_from_buffer_handle: (16, 8), copy_to_buffer_handle: (24, 12),
    free_buffer_handle: (32, 16), flags: (40, 24),
);
assert_layout!(
    TfLiteDelegateParams, size: (32, 16),
    delegate: (0, 0), nodes_to_replace: (8, 4), input_tensors: (16, 8), output_tensors: (24, 12),
);
assert_layout!(
    TfLiteContext, size: (200, 100),
    tensors_size: (0, 0), get_execution_plan: (8, 4), tensors: (16, 8), impl_: (24, 12), resize_tensor: (32, 16),
    report_error: (40, 20), add_tensors: (48, 24), get_node_and_registration: (56, 28),
    replace_node_subsets_with_delegate_kernels: (64, 32), recommended_num_threads: (72, 36),
    get_external_context: (80, 40), set_external_context: (88, 44), allow_fp32_relax_to_fp16: (96, 48),
    profiler: (104, 52), allocate_persistent_buffer: (112, 56), allocate_buffer_for_eval: (120, 60),
    request_scratch_buffer_in_arena: (128, 64), get_scratch_buffer: (136, 68), resize_tensor_explicit: (144, 72),
    preview_delegate_partitioning: (152, 76), get_tensor: (160, 80), get_eval_tensor: (168, 84),
    get_model_metadata: (176, 88), acquire_subgraph_context: (184, 92), release_subgraph_context: (192, 96),
);
// The newest registration is 88 bytes on 64-bit and 48 on 32-bit; the host's own copy must not be shorter.
const _: () = assert!(
    size_of::<OwnRegistration>()
        >= if cfg!(target_pointer_width = "64") {
            88
        } else {
            48
        }
);
// By value the oldest registration is passed with word alignment; the newest one's 8 bytes matter on armv7 only.
const _: () = assert!(align_of::<TfLiteRegistration>() == size_of::<usize>());

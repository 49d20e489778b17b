//! Products of computed matrices, and layers that remember.

use crate::{Amount, Wanted, bytes, scale, stage};
use corallite::fast::{
    KernelChoice, Lstm, LstmGate, LstmOperands, LstmPrimitive, LstmProduct, MatrixProduct,
    MatrixProductPrimitive, Svdf, SvdfPrimitive, Workers,
};

pub fn measure(wanted: &Wanted) {
    for by_columns in [false, true] {
        matrices(wanted, [64, 32, 64], by_columns);
    }
    lstm(wanted, 128, 64);
    svdf(wanted, 96, 256, 8);
}

/// One head of attention; the right matrix is stored by columns or not.
fn matrices(wanted: &Wanted, [rows, depth, columns]: [usize; 3], by_columns: bool) {
    let problem = MatrixProduct {
        rows,
        depth,
        columns,
        by_columns: [false, by_columns],
        zero_points: [3, -5],
        stage: stage(1),
    };
    let (left, right) = (bytes(rows * depth), bytes(depth * columns));
    let mut results = vec![0; rows * columns];
    let mut workers = Workers::new(1, KernelChoice::default());
    let stored = if by_columns { "columns" } else { "rows" };
    let layer = format!("{rows}x{depth}x{columns} by {stored}");
    let macs = Amount::Macs(rows * depth * columns);
    wanted.measure::<MatrixProductPrimitive>(&layer, &problem, macs, |kernel| {
        workers.reserve(kernel.workspace_bytes());
        kernel.run_all(&[[0, 0]], [&left, &right], &mut results, &workers);
    });
}

/// Ten steps.
fn lstm(wanted: &Wanted, inputs: usize, cells: usize) {
    const STEPS: usize = 10;
    let bias = vec![77; cells];
    let (by_input, by_output) = (bytes(cells * inputs), bytes(cells * cells));
    let product = |weights| LstmProduct {
        scale: scale(-3),
        bias: &bias,
        weights,
    };
    let gate = LstmGate {
        input: product(&by_input),
        recurrent: product(&by_output),
    };
    let problem = Lstm {
        inputs,
        cells,
        gates: [Some(gate); 4],
        cell_bits: 4,
        cell_clip: 0,
        hidden: scale(-13),
        hidden_zero_point: 3,
    };
    let input = bytes(STEPS * inputs);
    let mut output = vec![0; STEPS * cells];
    let mut states = (vec![0; cells], vec![0; cells]);
    let mut scratch = Vec::new();
    let layer = format!("{STEPS}x{inputs}, {cells} cells");
    let macs = Amount::Macs(STEPS * 4 * cells * (inputs + cells));
    wanted.measure::<LstmPrimitive>(&layer, &problem, macs, |kernel| {
        scratch.resize(kernel.scratch_words(), 0);
        let operands = LstmOperands {
            weights: [[&by_input, &by_output]; 4],
            input: &input,
            rows: (0..STEPS).step_by(1),
        };
        let states = (&mut states.0[..], &mut states.1[..]);
        kernel.run(operands, states, &mut output, &mut scratch);
    });
}

fn svdf(wanted: &Wanted, inputs: usize, filters: usize, memory: usize) {
    let features = bytes(filters * inputs);
    let problem = Svdf {
        inputs,
        filters,
        memory,
        rank: 2,
        input_zero_point: 3,
        output_zero_point: -5,
        features: &features,
        bias: None,
        to_state: scale(-6),
        to_output: scale(-18),
    };
    let times: Vec<i16> = (0..filters * memory).map(|i| i as i16).collect();
    let (input, mut output) = (bytes(inputs), vec![0; filters / 2]);
    let mut state = vec![0; filters * memory];
    let mut scratch = Vec::new();
    let layer = format!("{inputs}, {filters} filters of {memory}");
    let macs = Amount::Macs(filters * (inputs + memory));
    wanted.measure::<SvdfPrimitive>(&layer, &problem, macs, |kernel| {
        scratch.resize(kernel.scratch_words(), 0);
        let weights = (&features[..], &times[..]);
        kernel.run(&input, weights, &mut state, &mut output, &mut scratch);
    });
}

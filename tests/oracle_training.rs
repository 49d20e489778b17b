//! Whole training runs of `tf.contrib.quantize`: batch-norm folding, observers, delays and gradients together.
//!
//! `tests/data/qat/training_*.npz` and `averages_*.npz` are TensorFlow's (`make_training.py` beside them); larger layers
//! lie with the test data.

mod archive;
mod corpus;

use archive::Archive;
use corallite::oracle::batch_norm::{BatchStatistics, UpstreamGradients};
use corallite::oracle::observe::{AllValues, LastValue, MovingAverage, Observer, RunCounter};
use corallite::oracle::{BatchNormFold, FakeQuant, FakeQuantProfile, Grid, Range};
use std::path::Path;

/// A convolution over NHWC, in float64: the layer around the fold. Small, and nothing else.
struct Convolution {
    depthwise: bool,
    input: [usize; 4],
    /// HWIO, or \[h, w, channel, 1\].
    filter: [usize; 4],
    /// Zero rows and columns before and behind the input: 1 for SAME with 3x3, 0 for VALID.
    padding: usize,
    stride: usize,
}

impl Convolution {
    fn channels(&self) -> usize {
        if self.depthwise {
            self.filter[2]
        } else {
            self.filter[3]
        }
    }

    fn output(&self) -> [usize; 4] {
        let [n, h, w, _] = self.input;
        let size =
            |size: usize, filter: usize| (size + 2 * self.padding - filter) / self.stride + 1;
        [
            n,
            size(h, self.filter[0]),
            size(w, self.filter[1]),
            self.channels(),
        ]
    }

    /// Calls back with the indices of every product: input, weight, output.
    fn for_each(&self, mut product: impl FnMut(usize, usize, usize)) {
        let [n, height, width, depth] = self.input;
        let [_, out_height, out_width, channels] = self.output();
        let mut at = 0;
        for image in 0..n {
            for (y, x) in (0..out_height).flat_map(|y| (0..out_width).map(move |x| (y, x))) {
                for channel in 0..channels {
                    for i in 0..self.filter[0] {
                        for j in 0..self.filter[1] {
                            let (Some(row), Some(column)) = (
                                (y * self.stride + i).checked_sub(self.padding),
                                (x * self.stride + j).checked_sub(self.padding),
                            ) else {
                                continue;
                            };
                            if row >= height || column >= width {
                                continue;
                            }
                            let pixel = ((image * height + row) * width + column) * depth;
                            let tap = i * self.filter[1] + j;
                            if self.depthwise {
                                product(pixel + channel, tap * depth + channel, at);
                            } else {
                                for d in 0..depth {
                                    product(pixel + d, (tap * depth + d) * channels + channel, at);
                                }
                            }
                        }
                    }
                    at += 1;
                }
            }
        }
    }

    fn forward(&self, input: &[f32], weights: &[f32]) -> Vec<f32> {
        let mut sums = vec![0.0f64; self.output().iter().product()];
        self.for_each(|i, w, o| sums[o] += f64::from(input[i]) * f64::from(weights[w]));
        sums.into_iter().map(|sum| sum as f32).collect()
    }

    fn weight_gradients(&self, input: &[f32], gradients: &[f32]) -> Vec<f32> {
        let mut sums = vec![0.0f64; self.filter.iter().product()];
        self.for_each(|i, w, o| sums[w] += f64::from(input[i]) * f64::from(gradients[o]));
        sums.into_iter().map(|sum| sum as f32).collect()
    }
}

/// Asserts equality to 1e-5 of the largest magnitude: float32 sums in another order.
#[track_caller]
fn near(what: &str, found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(0f32, |a, b| a.max(b.abs()));
    for (index, (f, e)) in found.iter().zip(expected).enumerate() {
        let close = (f - e).abs() <= 1e-5 * largest.max(1e-3);
        assert!(close, "{what}[{index}]: {f} found, {e} expected");
    }
}

fn shape4(archive: &mut Archive, name: &str) -> [usize; 4] {
    archive.array(name).shape.try_into().expect("four axes")
}

/// One layer's six runs and its evaluation graph.
fn check_layer(path: &Path, depthwise: bool, padding: usize, stride: usize) {
    let mut archive = Archive::open(path);
    let a = &mut archive;
    let (weights_name, operator) = if depthwise {
        ("L.depthwise_weights", "depthwise")
    } else {
        ("L.weights", "Conv2D")
    };
    let [runs, shape @ ..] = <[usize; 5]>::try_from(a.array("X").shape).expect("runs of NHWC");
    let inputs = a.floats("X");
    let filter = shape4(a, &format!("before0.var.{weights_name}"));
    let convolution = Convolution {
        depthwise,
        input: shape,
        filter,
        padding,
        stride,
    };
    // TensorFlow's rectifier: 6 above only in the layer with relu6.
    let ceiling = if depthwise { f32::INFINITY } else { 6.0 };
    let weights = a.floats(&format!("before0.var.{weights_name}"));
    let mut variable = |name: &str| a.floats(&format!("before0.var.L.BatchNorm.{name}"));
    let mut norm = BatchNormFold::new(
        variable("gamma"),
        variable("beta"),
        variable("moving_mean"),
        variable("moving_variance"),
        0.001,
    )
    .expect("a batch normalization");

    let mut counter = RunCounter::new(Some(2), Some(4));
    let mut weight_range = LastValue::new(None);
    let initial = Range::new(0.0, 6.0).expect("range");
    let mut activation_range = MovingAverage::debiased(0.999, initial, None).expect("decay");
    let profile = FakeQuantProfile::Tf113;
    let narrow = Grid::unsigned(8, true).expect("grid");
    let full = Grid::unsigned(8, false).expect("grid");

    for run in 0..runs {
        let name = |name: &str| format!("step{run}.{name}");
        let input = &inputs[run * shape.iter().product::<usize>()..][..shape.iter().product()];
        let now = counter.begin();
        let corrections = "L.BatchNorm_Fold.batch_norm_correction";
        assert_eq!(
            a.bools(&name("L.act_quant.activate_quant")),
            [now.quantizes]
        );
        assert_eq!(
            a.bools(&name("L.weights_quant.activate_quant")),
            [now.quantizes]
        );
        assert_eq!(
            a.bools(&name(&format!("{corrections}.use_moving_average"))),
            [now.frozen]
        );
        let step = a.longs(&format!("after{run}.var.fake_quantization_step"));
        assert_eq!(step, [now.number as i64]);

        // Forward.
        let unfolded = convolution.forward(input, &weights);
        let batch = BatchStatistics::of(&unfolded, norm.channels()).expect("a batch");
        near(
            "mean",
            batch.mean(),
            &a.floats(&name("L.BatchNorm.FusedBatchNorm:1")),
        );
        let corrected = batch.corrected_variance();
        near(
            "variance",
            &corrected,
            &a.floats(&name("L.BatchNorm.FusedBatchNorm:2")),
        );
        let fold = norm.train(&weights, &batch, now.frozen).expect("fits");
        near(
            "scale",
            &fold.correction_scale,
            &a.floats(&name(&format!("{corrections}.scale_compute"))),
        );
        near(
            "bias",
            &fold.bias,
            &a.floats(&name("L.BatchNorm_Fold.bias")),
        );
        near("mul_fold", &fold.weights, &a.floats(&name("L.mul_fold")));

        // From here on TensorFlow's own folded weights, so that rounding to a grid cannot hide or make a difference.
        let folded = a.floats(&name("L.mul_fold"));
        weight_range.observe(&folded).expect("numbers");
        let range = weight_range.range().expect("observed");
        let stored = |a: &mut Archive, end: &str| a.float(&format!("after{run}.var.L.{end}"));
        assert_eq!(range.min(), stored(a, "weights_quant.min"));
        assert_eq!(range.max(), stored(a, "weights_quant.max"));
        let weight_node = FakeQuant::per_tensor(profile, narrow, range).expect("range");
        let rounded = weight_node.forward(&folded).expect("numbers");
        assert_eq!(
            rounded,
            a.floats(&name("L.weights_quant.FakeQuantWithMinMaxVars"))
        );
        let used = if now.quantizes { &rounded } else { &folded };
        assert_eq!(
            *used,
            a.floats(&name("L.weights_quant.delayed_quant.Merge"))
        );
        let result = convolution.forward(input, used);
        near(
            "folded convolution",
            &result,
            &a.floats(&name(&format!("L.{operator}_Fold"))),
        );
        let normalized = fold.normalize(&result).expect("fits");
        near("add_fold", &normalized, &a.floats(&name("L.add_fold")));

        let add_fold = a.floats(&name("L.add_fold"));
        let rectified: Vec<f32> = add_fold.iter().map(|v| v.clamp(0.0, ceiling)).collect();
        activation_range.observe(&rectified).expect("numbers");
        let range = activation_range.range().expect("range");
        assert_eq!(range.min(), stored(a, "act_quant.min"), "run {run}");
        assert_eq!(range.max(), stored(a, "act_quant.max"), "run {run}");
        let (low, high) = activation_range.biased();
        assert_eq!(low, stored(a, "act_quant.L.act_quant.min.biased"));
        assert_eq!(high, stored(a, "act_quant.L.act_quant.max.biased"));
        let node = FakeQuant::per_tensor(profile, full, range).expect("range");
        let rounded = node.forward(&rectified).expect("numbers");
        assert_eq!(
            rounded,
            a.floats(&name("L.act_quant.FakeQuantWithMinMaxVars"))
        );
        let y = if now.quantizes {
            rounded
        } else {
            rectified.clone()
        };
        assert_eq!(y, a.floats(&name("y")));

        // Backward, from the loss mean((y - 1)^2).
        let count = y.len() as f32;
        let mut gradient: Vec<f32> = y.iter().map(|y| 2.0 * (y - 1.0) / count).collect();
        if now.quantizes {
            gradient = node.backward(&rectified, &gradient).expect("fits").input;
        }
        for (gradient, value) in gradient.iter_mut().zip(&add_fold) {
            *gradient *= f32::from(u8::from(*value > 0.0 && *value < ceiling));
        }
        let behind = fold.convolution_gradients(&gradient).expect("fits");
        let mut of_folded = convolution.weight_gradients(input, &behind);
        if now.quantizes {
            of_folded = weight_node
                .backward(&folded, &of_folded)
                .expect("fits")
                .input;
        }
        let upstream = UpstreamGradients {
            convolution: &result,
            normalized: &gradient,
            folded_weights: &of_folded,
        };
        let back = norm
            .backward(&weights, &unfolded, &batch, &fold, &upstream)
            .expect("fits");
        let through_statistics = convolution.weight_gradients(input, &back.unfolded);
        let of_weights: Vec<f32> = back
            .weights
            .iter()
            .zip(&through_statistics)
            .map(|(a, b)| a + b)
            .collect();
        near(
            "grad gamma",
            &back.gamma,
            &a.floats(&name("grad.L.BatchNorm.gamma")),
        );
        near(
            "grad beta",
            &back.beta,
            &a.floats(&name("grad.L.BatchNorm.beta")),
        );
        near(
            "grad weights",
            &of_weights,
            &a.floats(&name(&format!("grad.{weights_name}"))),
        );

        // Moving statistics.
        norm.update(&batch, 0.9, now.frozen).expect("fits");
        let (mean, variance) = norm.moving();
        let mut after = |of: &str| a.floats(&format!("after{run}.var.L.BatchNorm.moving_{of}"));
        near("moving mean", mean, &after("mean"));
        near("moving variance", variance, &after("variance"));
    }

    let folded = norm.evaluate(&weights).expect("fits");
    near(
        "eval bias",
        &folded.bias,
        &a.floats("eval.L.BatchNorm_Fold.bias"),
    );
    near(
        "eval weights",
        &folded.weights,
        &a.floats("eval.L.mul_fold"),
    );
    let range = weight_range.range().expect("observed");
    let node = FakeQuant::per_tensor(profile, narrow, range).expect("range");
    let rounded = node.forward(&a.floats("eval.L.mul_fold")).expect("numbers");
    assert_eq!(
        rounded,
        a.floats("eval.L.weights_quant.FakeQuantWithMinMaxVars")
    );
}

#[test]
fn small_layers_train_as_in_tensorflow() {
    check_layer(
        Path::new("tests/data/qat/training_conv_tf113.npz"),
        false,
        1,
        1,
    );
    check_layer(
        Path::new("tests/data/qat/training_dw_tf113.npz"),
        true,
        0,
        1,
    );
}

#[test]
fn larger_layers_train_as_in_tensorflow() {
    let Some(folder) = corpus::test_data() else {
        return;
    };
    check_layer(&folder.join("qat/bnfold_conv_tf113.npz"), false, 1, 1);
    check_layer(&folder.join("qat/bnfold_dw_tf113.npz"), true, 1, 2);
}

/// 150 batches of 8 values; ranges after every batch.
#[test]
fn averages_and_extremes_equal_tensorflows() {
    let range = |low, high| Range::new(low, high).expect("range");
    let grid = Grid::unsigned(8, false).expect("grid");
    for (file, names) in [
        ("tf113", &["plain", "symmetric"][..]),
        ("tfmot", &["plain", "symmetric", "all", "all_symmetric"]),
    ] {
        let path = format!("tests/data/qat/averages_{file}.npz");
        let mut archive = Archive::open(Path::new(&path));
        let batches = archive.floats("batches");
        for &name in names {
            let symmetric = name.ends_with("symmetric").then_some(grid);
            let mut observer: Box<dyn Observer> = match (file, name.starts_with("all")) {
                (_, true) => Box::new(AllValues::new(symmetric)),
                ("tf113", _) => Box::new(
                    MovingAverage::debiased(0.999, range(0.0, 6.0), symmetric).expect("decay"),
                ),
                _ => Box::new(
                    MovingAverage::plain(0.999, range(-6.0, 6.0), symmetric).expect("decay"),
                ),
            };
            let expected = archive.floats(name);
            for (run, (batch, ends)) in batches.chunks(8).zip(expected.chunks(2)).enumerate() {
                observer.observe(batch).expect("numbers");
                let found = observer.range().expect("observed");
                assert_eq!([found.min(), found.max()], *ends, "{file} {name} run {run}");
            }
            assert_eq!(expected.len(), 300, "{file} {name}");
        }
    }
}

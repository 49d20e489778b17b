//! TFLite_Detection_PostProcess: from box encodings and class scores to the boxes that an SSD detector found.
//!
//! Source: TFLite `kernels/detection_postprocess.cc`, LiteRT commit f674577; tflite-runtime 2.14 gives the same numbers.

mod boxes;
mod options;
mod suppress;

use super::shared::check;
use super::{
    EvalError, Kernel, KernelIo, Node, OpDef, PrepareError, Prepared, Settings, TypeRow, Views,
    required,
};
use crate::model::BuiltinOperator;
use crate::tensor::{Shape, TensorRef, TensorType as T};
use boxes::Corners;
use options::Options;
use suppress::{Found, Suppression};

const ENCODINGS: usize = 0;
const SCORES: usize = 1;
const ANCHORS: usize = 2;
const BOXES: usize = 0;
const CLASSES: usize = 1;
const FOUND_SCORES: usize = 2;
const COUNT: usize = 3;

pub(super) const DEF: OpDef = OpDef {
    code: BuiltinOperator::CUSTOM,
    name: "TFLite_Detection_PostProcess",
    versions: 1..=1,
    types: &[
        TypeRow::new(&[T::UInt8], &[T::Float32]),
        TypeRow::new(&[T::Float32], &[T::Float32]),
    ],
    check: check::none,
    prepare,
};

fn prepare(node: &Node<'_>, _: &Settings) -> Result<Prepared, PrepareError> {
    let options = options::parse(node)?;
    let encodings = node.input(ENCODINGS, "box encodings")?;
    let scores = node.input(SCORES, "class scores")?;
    let anchors = node.input(ANCHORS, "anchors")?;
    let [1, boxes, coordinates] = encodings.dims("[1, boxes, 4 or more]")? else {
        return Err(encodings.shape_error("[1, boxes, 4 or more]"));
    };
    if coordinates < 4 {
        return Err(encodings.shape_error("[1, boxes, 4 or more]"));
    }
    let [1, score_rows, score_columns] = scores.dims("[1, boxes, classes]")? else {
        return Err(scores.shape_error("[1, boxes, classes]"));
    };
    if score_rows != boxes {
        return Err(scores.shape_error(format!("{boxes} boxes")));
    }
    if anchors.dims("[boxes, 4]")? != [boxes, 4] {
        return Err(anchors.shape_error(format!("[{boxes}, 4]")));
    }
    // A class more than the option counts is the background, which comes first.
    let background = score_columns.checked_sub(options.classes);
    let background = background.filter(|&more| more <= 1).ok_or_else(|| {
        scores.shape_error(format!(
            "{} classes, or one more for the background",
            options.classes
        ))
    })?;
    let rows = options.detections * options.classes_per_detection;
    let shapes = [
        Shape::new(&[1, rows, 4])?,
        Shape::new(&[1, rows])?,
        Shape::new(&[1, rows])?,
        Shape::new(&[1])?,
    ];
    let parameters = |operand| match encodings.ty {
        T::UInt8 => node.input(operand, "operand")?.per_tensor(),
        _ => Ok((1.0, 0)),
    };
    let kernel = Detection {
        encoding_scale: parameters(ENCODINGS)?,
        score_scale: parameters(SCORES)?,
        anchor_scale: parameters(ANCHORS)?,
        boxes,
        coordinates,
        score_columns,
        background,
        options,
    };
    let kept = kernel.found_capacity();
    Ok(Prepared::new(kernel, shapes)
        .scratch(boxes * size_of::<Corners>())
        .scratch(boxes * score_columns * size_of::<f32>())
        .scratch(boxes * size_of::<f32>())
        .scratch(boxes * size_of::<u32>())
        .scratch(boxes)
        .scratch(kept * size_of::<Found>()))
}

struct Detection {
    /// Scale and zero point of uint8 operands.
    encoding_scale: (f32, i32),
    score_scale: (f32, i32),
    anchor_scale: (f32, i32),
    boxes: usize,
    /// Of an encoding: the box, then perhaps key points.
    coordinates: usize,
    /// Classes, the background included.
    score_columns: usize,
    /// 1 where column 0 is the background.
    background: usize,
    options: Options,
}

impl Detection {
    /// Boxes remembered at once: those found so far, and those of another class.
    fn found_capacity(&self) -> usize {
        self.options.detections + self.options.detections_per_class()
    }

    /// The score of a box in a class, the background not counted.
    fn scores<'s>(&self, scores: &'s [f32], row: usize) -> &'s [f32] {
        let classes = self.options.classes;
        &scores[row * self.score_columns + self.background..][..classes]
    }
}

/// Result rows, by detection.
struct Results<'v> {
    boxes: &'v mut [Corners],
    classes: &'v mut [f32],
    scores: &'v mut [f32],
}

impl Results<'_> {
    fn set(&mut self, row: usize, corners: Corners, class: usize, score: f32) {
        self.boxes[row] = corners;
        self.classes[row] = class as f32;
        self.scores[row] = score;
    }
}

impl Kernel for Detection {
    fn eval(&self, io: &mut KernelIo<'_>) -> Result<(), EvalError> {
        let target = io.workers().target();
        let Views {
            inputs: [encodings, scores, anchors],
            outputs: [found_boxes, classes, found_scores, count],
            scratch: [corners, reals, best, order, known, found],
        } = io.views(
            [ENCODINGS, SCORES, ANCHORS],
            [BOXES, CLASSES, FOUND_SCORES, COUNT],
            [0, 1, 2, 3, 4, 5],
        )?;
        let n = self.boxes;
        let reals = &mut bytemuck::cast_slice_mut::<u8, f32>(reals)[..n * self.score_columns];
        let best: &mut [f32] = &mut bytemuck::cast_slice_mut(best)[..n];
        let order: &mut [u32] = &mut bytemuck::cast_slice_mut(order)[..n];
        let found = &mut bytemuck::cast_slice_mut(found)[..self.found_capacity()];
        let mut boxes = Boxes {
            detection: self,
            encodings: required(encodings, ENCODINGS)?,
            anchors: required(anchors, ANCHORS)?,
            corners: &mut bytemuck::cast_slice_mut(corners)[..n],
            known: &mut known[..n],
        };
        boxes.refuse_inverted()?;
        let scores = required(scores, SCORES)?;
        let scores = target.run(|| boxes::reals(scores, self.score_scale, reals))?;
        let mut results = Results {
            boxes: bytemuck::cast_slice_mut(found_boxes.into_slice::<f32>()?),
            classes: classes.into_slice()?,
            scores: found_scores.into_slice()?,
        };
        results.boxes.fill([0.0; 4]);
        results.classes.fill(0.0);
        results.scores.fill(0.0);
        let found = if self.options.regular {
            self.class_by_class(&mut boxes, scores, (best, order, found), &mut results)
        } else {
            target.run(|| {
                for (row, best) in best.iter_mut().enumerate() {
                    let highest = suppress::highest(self.scores(scores, row));
                    *best = highest.unwrap_or(f32::NEG_INFINITY);
                }
            });
            self.best_classes(&mut boxes, scores, (best, order), &mut results)
        }?;
        count.into_slice::<f32>()?.fill(found as f32);
        Ok(())
    }

    fn name(&self) -> &'static str {
        "detection_postprocess.reference"
    }
}

/// The boxes, decoded where they are asked for: a detector looks at few of them.
struct Boxes<'v> {
    detection: &'v Detection,
    encodings: TensorRef<'v>,
    anchors: TensorRef<'v>,
    corners: &'v mut [Corners],
    /// 1 where `corners` are decoded.
    known: &'v mut [u8],
}

impl Boxes<'_> {
    fn corners(&mut self, row: usize) -> Result<Corners, EvalError> {
        if self.known[row] == 0 {
            let by = self.detection;
            let start = row * by.coordinates;
            let encoding = boxes::four(&self.encodings, start, by.encoding_scale)?;
            let anchor = boxes::four(&self.anchors, row * 4, by.anchor_scale)?;
            self.corners[row] = boxes::decode(encoding, anchor, by.options.scales);
            self.known[row] = 1;
        }
        Ok(self.corners[row])
    }

    /// Forgets what another inference has decoded.
    ///
    /// # Errors
    /// Some box ends before it begins.
    fn refuse_inverted(&mut self) -> Result<(), EvalError> {
        self.known.fill(0);
        for row in 0..self.known.len() {
            let anchor = boxes::four(&self.anchors, row * 4, self.detection.anchor_scale)?;
            if boxes::is_negative(&anchor) && boxes::is_inverted(&self.corners(row)?) {
                return Err(EvalError::Value {
                    operand: "anchors",
                    found: -1,
                    expected: "widths and heights of 0 or more",
                });
            }
        }
        Ok(())
    }
}

impl Detection {
    fn suppression(&self) -> Suppression {
        Suppression {
            score_threshold: self.options.score_threshold,
            overlap_threshold: self.options.overlap_threshold,
        }
    }

    /// Fast suppression: every box counts with its best class alone, whose score `best` has, and those kept are told with their
    /// best few classes.
    fn best_classes(
        &self,
        boxes: &mut Boxes<'_>,
        scores: &[f32],
        (best, order): (&[f32], &mut [u32]),
        results: &mut Results<'_>,
    ) -> Result<usize, EvalError> {
        let corners = |row: u32| boxes.corners(row as usize);
        let suppression = self.suppression();
        let selected = suppression.select(best, order, self.options.detections, corners)?;
        let told = self.options.classes_per_detection.min(self.options.classes);
        for (place, &row) in selected.iter().enumerate() {
            let row = row as usize;
            let scores = self.scores(scores, row);
            let mut class = None;
            for column in 0..told {
                class = suppress::next_best(scores, class);
                let Some(class) = class else { break };
                let to = place * self.options.classes_per_detection + column;
                results.set(to, boxes.corners(row)?, class, scores[class]);
            }
        }
        Ok(selected.len())
    }

    /// Regular suppression: within each class, then the best of all classes.
    fn class_by_class(
        &self,
        boxes: &mut Boxes<'_>,
        scores: &[f32],
        (class_scores, order, found): (&mut [f32], &mut [u32], &mut [Found]),
        results: &mut Results<'_>,
    ) -> Result<usize, EvalError> {
        let mut count = 0;
        for class in 0..self.options.classes {
            for (row, score) in class_scores.iter_mut().enumerate() {
                *score = self.scores(scores, row)[class];
            }
            let most = self.options.detections_per_class();
            let corners = |row: u32| boxes.corners(row as usize);
            let suppression = self.suppression();
            for &row in suppression.select(class_scores, order, most, corners)? {
                let score = class_scores[row as usize];
                count = suppress::insert(found, count, [score.to_bits(), row, class as u32]);
            }
            count = count.min(self.options.detections);
        }
        for (place, found) in found[..count].iter().enumerate() {
            let &[_, row, class] = found;
            let corners = boxes.corners(row as usize)?;
            results.set(place, corners, class as usize, suppress::score(found));
        }
        Ok(count)
    }
}

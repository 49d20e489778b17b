//! The custom options: a FlexBuffer map.

use crate::ops::{Node, PrepareError};
use crate::schema::flexbuffer::{Value, read_map};

#[derive(Debug, Clone)]
pub(super) struct Options {
    /// The most boxes told.
    pub detections: usize,
    /// How many classes are told of each box; regular suppression tells one.
    pub classes_per_detection: usize,
    detections_per_class: usize,
    /// The background not counted.
    pub classes: usize,
    /// Suppression class by class instead of by the best class alone.
    pub regular: bool,
    /// Lower scores are no boxes.
    pub score_threshold: f32,
    /// Intersection over union above which the lower score loses.
    pub overlap_threshold: f32,
    /// What encodings are divided by: y, x, h, w.
    pub scales: [f32; 4],
}

impl Options {
    /// The most boxes of one class in regular suppression.
    pub fn detections_per_class(&self) -> usize {
        self.detections_per_class.min(self.detections)
    }
}

/// The most boxes, and classes of a box, that are asked for: a multiple of what detectors have, and no absurd memory.
const MOST: usize = 1 << 16;

pub(super) fn parse(node: &Node<'_>) -> Result<Options, PrepareError> {
    let bytes = node.table()?.custom_options();
    let bytes = bytes.as_ref().map_or(&[][..], |options| options.bytes());
    let map = read_map(bytes).map_err(|error| PrepareError::Attribute {
        name: "custom_options",
        found: error.to_string(),
        expected: "a FlexBuffer map of numbers",
    })?;
    let find = |key: &str| map.iter().find(|(found, _)| *found == key.as_bytes());
    // A key that is missing counts as 0.
    let number = |key: &'static str| match find(key) {
        Some((_, Value::Integer(found))) => Ok(*found as f64),
        Some((_, Value::Float(found))) => Ok(*found),
        Some((_, Value::Bool(found))) => Ok(f64::from(u8::from(*found))),
        None => Ok(0.0),
        Some((_, other)) => Err(PrepareError::Attribute {
            name: key,
            found: format!("{other:?}"),
            expected: "a number",
        }),
    };
    let count = |key, least: usize| {
        let found = number(key)?;
        let range = least as f64..=MOST as f64;
        match range.contains(&found) {
            true => Ok(found as usize),
            false => Err(PrepareError::Attribute {
                name: key,
                found: found.to_string(),
                expected: "a count up to 65536, above 0 where a box could not be told otherwise",
            }),
        }
    };
    let overlap_threshold = number("nms_iou_threshold")? as f32;
    if !(overlap_threshold > 0.0 && overlap_threshold <= 1.0) {
        return Err(PrepareError::Attribute {
            name: "nms_iou_threshold",
            found: overlap_threshold.to_string(),
            expected: "above 0 and at most 1",
        });
    }
    Ok(Options {
        detections: count("max_detections", 0)?,
        classes_per_detection: count("max_classes_per_detection", 1)?,
        detections_per_class: match find("detections_per_class") {
            Some(_) => count("detections_per_class", 1)?,
            None => 100,
        },
        classes: count("num_classes", 1)?,
        regular: number("use_regular_nms")? != 0.0,
        score_threshold: number("nms_score_threshold")? as f32,
        overlap_threshold,
        scales: [
            number("y_scale")? as f32,
            number("x_scale")? as f32,
            number("h_scale")? as f32,
            number("w_scale")? as f32,
        ],
    })
}

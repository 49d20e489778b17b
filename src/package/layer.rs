//! Inputs and outputs of an executable, and the tables by which an output's elements are found in what the device sends.

use super::fault::{ExecutableFault, Side};
use crate::schema::darwinn::{self, OutputLayout, OutputShapeInfo};
use std::fmt;

/// An input or output of an executable, for one inference.
///
/// `Display` gives name, type, shape and quantization: `image uint8 [128, 128, 3] 0.0078125 * (q - 128)`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Layer {
    /// The tensor's name in the model.
    pub name: String,
    /// Type of an element.
    pub ty: LayerType,
    /// Extent of every axis: as the package gives it (with the batch in front), else height, width and channels.
    pub shape: Vec<u32>,
    /// Height, width and channels as the chip sees them.
    pub yxz: [u32; 3],
    /// As in the model; the package itself counts from the least value of the type.
    pub zero_point: i32,
    /// As in the model.
    pub scale: f32,
    /// Bytes on the wire for one execution, padding included.
    pub padded_bytes: usize,
    /// How often the program runs per inference.
    pub executions: u32,
}

impl Layer {
    /// Bytes of the tensor without padding, for one execution.
    pub fn bytes(&self) -> usize {
        let elements = |extents: &[u32]| {
            extents.iter().try_fold(1_usize, |count, &extent| {
                count.checked_mul(usize::try_from(extent).ok()?)
            })
        };
        // Checked when the layer was read.
        elements(&self.shape)
            .and_then(|count| count.checked_mul(self.ty.bytes()))
            .unwrap_or(usize::MAX)
    }

    /// `scale * (q - zero point)`, what an element `q` stands for; empty where the package does not say.
    pub fn quantization(&self) -> String {
        match (self.scale, self.zero_point) {
            (0.0, _) => String::new(),
            (scale, 0) => format!("{scale} * q"),
            (scale, zero) if zero < 0 => format!("{scale} * (q + {})", zero.unsigned_abs()),
            (scale, zero) => format!("{scale} * (q - {zero})"),
        }
    }

    /// Reads and checks one layer.
    pub(super) fn read(
        layer: darwinn::Layer<'_>,
        side: Side,
        index: usize,
    ) -> Result<Self, ExecutableFault> {
        let fault = |what| ExecutableFault::Layer { side, index, what };
        let name = layer.name().ok_or(fault("name is missing"))?.to_owned();
        let ty = LayerType::of(layer.data_type()).ok_or(fault("element type is unknown"))?;
        let extent = |value: i32| u32::try_from(value).ok().filter(|&extent| extent > 0);
        let dims = [layer.y_dim(), layer.x_dim(), layer.z_dim()];
        let [Some(y), Some(x), Some(z)] = dims.map(extent) else {
            return Err(fault("dimension is not positive"));
        };
        let padded_bytes =
            usize::try_from(layer.size_bytes()).map_err(|_| fault("size is negative"))?;
        let executions =
            extent(layer.execution_count_per_inference()).ok_or(fault("never runs"))?;
        let shape = match layer.shape().and_then(|shape| shape.dimension()) {
            Some(ranges) => ranges
                .iter()
                .map(|range| {
                    let extent = i64::from(range.end()) - i64::from(range.start()) + 1;
                    u32::try_from(extent).ok().filter(|&extent| extent > 0)
                })
                .collect::<Option<Vec<u32>>>()
                .ok_or(fault("range of its shape is empty"))?,
            None => vec![y, x, z],
        };
        let numerics = layer.numerics();
        let this = Self {
            name,
            ty,
            shape,
            yxz: [y, x, z],
            zero_point: numerics
                .map_or(0, |n| n.zero_point())
                .saturating_sub(ty.offset()),
            scale: numerics.map_or(0.0, |n| n.dequantization_factor()),
            padded_bytes,
            executions,
        };
        let chip_bytes = [y, x, z].into_iter().try_fold(ty.bytes(), |bytes, extent| {
            bytes.checked_mul(usize::try_from(extent).ok()?)
        });
        if this.bytes() > padded_bytes || chip_bytes.is_none_or(|bytes| bytes > padded_bytes) {
            return Err(fault("shape has more bytes than its size"));
        }
        if padded_bytes
            .checked_mul(usize::try_from(executions).unwrap_or(usize::MAX))
            .is_none_or(|bytes| i32::try_from(bytes).is_err())
        {
            return Err(fault("size of all executions is beyond 2 GiB"));
        }
        if side == Side::Output {
            this.check_output(layer)
                .map_err(|what| ExecutableFault::Layer { side, index, what })?;
        }
        Ok(this)
    }

    /// Checks that every element of the output lies within what the device sends.
    fn check_output(&self, layer: darwinn::Layer<'_>) -> Result<(), &'static str> {
        let output = layer
            .any_layer_as_output_layer()
            .ok_or("is no output layer")?;
        if let Some(info) = output.shape_info() {
            return self.check_slices(info);
        }
        match (self.yxz, output.layout()) {
            // One position: its channels lie one after the other, whatever the tables say.
            ([1, 1, _], _) => Ok(()),
            (_, Some(layout)) => self.check_layout(layout),
            (_, None) => Err("layout is missing"),
        }
    }

    /// Checks the tables of [`OutputLayout`]: element (y, x, z) lies at
    /// `tiles[y_tile[y] + x_tile[x]] + y_local[y] * x_row[x] + x_local[x] + z`.
    ///
    /// All terms are non-negative, so the largest index of a row of tiles is reached at its largest `y_local`.
    fn check_layout(&self, layout: OutputLayout<'_>) -> Result<(), &'static str> {
        let [height, width, channels] = self.yxz.map(|extent| extent as usize);
        let table = |values: Option<flatbuffers::Vector<'_, i32>>, count: usize| {
            let values = values.ok_or("table of its layout is missing")?;
            if values.len() < count {
                return Err("table of its layout is too short");
            }
            let values: Option<Vec<usize>> = values
                .iter()
                .take(count)
                .map(|value| usize::try_from(value).ok())
                .collect();
            values.ok_or("table of its layout holds a negative number")
        };
        let y_tile = table(layout.y_coordinate_to_linear_tile_id_map(), height)?;
        let y_local = table(layout.y_coordinate_to_local_y_offset(), height)?;
        let x_tile = table(layout.x_coordinate_to_linear_tile_id_map(), width)?;
        let x_local = table(layout.x_coordinate_to_local_byte_offset(), width)?;
        let x_row = table(layout.x_coordinate_to_local_y_row_size(), width)?;
        let offsets = layout.linearized_tile_byte_offset();
        let count = offsets.map_or(0, |offsets| offsets.len());
        if count > MAX_TILES {
            return Err("layout has more tiles than any chip");
        }
        let tiles = table(offsets, count)?;

        let elements = self.padded_bytes / self.ty.bytes();
        // By first tile of a row of tiles: its lowest line.
        let mut last_line = vec![None; count];
        for (&tile, &line) in y_tile.iter().zip(&y_local) {
            let last = last_line.get_mut(tile).ok_or("tile is out of bounds")?;
            *last = (*last).max(Some(line));
        }
        for (first, &line) in last_line.iter().enumerate() {
            let Some(line) = line else { continue };
            for ((&tile, &local), &row) in x_tile.iter().zip(&x_local).zip(&x_row) {
                let tile = first
                    .checked_add(tile)
                    .and_then(|tile| tiles.get(tile))
                    .ok_or("tile is out of bounds")?;
                let end = line
                    .checked_mul(row)
                    .and_then(|start| start.checked_add(local)?.checked_add(*tile))
                    .and_then(|start| start.checked_add(channels));
                if end.is_none_or(|end| end > elements) {
                    return Err("element is beyond its size");
                }
            }
        }
        Ok(())
    }

    /// Checks an output in strided slices: each lies within the tensor and within what the device sends.
    fn check_slices(&self, info: OutputShapeInfo<'_>) -> Result<(), &'static str> {
        let (Some(slices), Some(offsets)) = (info.slice_layout(), info.slice_offset()) else {
            return Err("slices are missing");
        };
        if slices.len() != offsets.len() {
            return Err("number of slices is not that of their offsets");
        }
        for (slice, offset) in slices.iter().zip(offsets.iter()) {
            let offset = usize::try_from(offset).map_err(|_| "slice is out of bounds")?;
            let ranges = slice.shape().and_then(|shape| shape.dimension());
            let (Some(ranges), Some(strides)) = (ranges, slice.stride()) else {
                return Err("slice has no shape");
            };
            if ranges.len() != self.shape.len() || strides.len() != self.shape.len() {
                return Err("rank of a slice is not that of its shape");
            }
            let mut last = 0_usize;
            for ((range, stride), &extent) in ranges.iter().zip(strides.iter()).zip(&self.shape) {
                let bounds = (u32::try_from(range.start()), u32::try_from(range.end()));
                let (Ok(start), Ok(end)) = bounds else {
                    return Err("slice is out of bounds");
                };
                let stride = usize::try_from(stride).map_err(|_| "stride is negative")?;
                if start > end || end >= extent {
                    return Err("slice is out of bounds");
                }
                last = stride
                    .checked_mul((end - start) as usize)
                    .and_then(|step| last.checked_add(step))
                    .ok_or("slice is out of bounds")?;
            }
            let end = last
                .checked_add(1)
                .and_then(|count| count.checked_mul(self.ty.bytes())?.checked_add(offset));
            if end.is_none_or(|end| end > self.padded_bytes) {
                return Err("slice is beyond its size");
            }
        }
        Ok(())
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {:?} {}",
            self.name,
            self.ty,
            self.shape,
            self.quantization()
        )
    }
}

/// The chip has 16 tiles.
const MAX_TILES: usize = 1024;

/// Element type of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayerType {
    /// Unsigned 8 bits.
    UInt8,
    /// Signed 8 bits.
    Int8,
    /// Unsigned 16 bits; libedgetpu takes an int16 tensor for it.
    UInt16,
    /// Signed 16 bits.
    Int16,
    /// Signed 32 bits.
    Int32,
    /// 16 bits of float32, which no tensor of a model has.
    BFloat16,
    /// IEEE half precision.
    Float16,
    /// IEEE single precision.
    Float32,
}

impl LayerType {
    fn of(ty: darwinn::DataType) -> Option<Self> {
        use darwinn::DataType as D;
        Some(match ty {
            D::FIXED_POINT8 => Self::UInt8,
            D::SIGNED_FIXED_POINT8 => Self::Int8,
            D::FIXED_POINT16 => Self::UInt16,
            D::SIGNED_FIXED_POINT16 => Self::Int16,
            D::SIGNED_FIXED_POINT32 => Self::Int32,
            D::BFLOAT => Self::BFloat16,
            D::HALF => Self::Float16,
            D::SINGLE => Self::Float32,
            _ => return None,
        })
    }

    /// Bytes of an element.
    pub const fn bytes(self) -> usize {
        match self {
            Self::UInt8 | Self::Int8 => 1,
            Self::UInt16 | Self::Int16 | Self::BFloat16 | Self::Float16 => 2,
            Self::Int32 | Self::Float32 => 4,
        }
    }

    /// What the chip adds to a signed value, and so to its zero point.
    const fn offset(self) -> i32 {
        match self {
            Self::Int8 => 128,
            Self::Int16 => 32768,
            _ => 0,
        }
    }
}

impl fmt::Display for LayerType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UInt8 => "uint8",
            Self::Int8 => "int8",
            Self::UInt16 => "uint16",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::BFloat16 => "bfloat16",
            Self::Float16 => "float16",
            Self::Float32 => "float32",
        })
    }
}

//! Every fast variant against the reference, on generated problems.

use super::reference::{InFixed, InReal, Mean, Reference};
use super::steps::Steps;
use super::{Picture, ResizeBilinear, ResizeBilinearPrimitive};
use crate::fast::{Element8, KernelChoice, Means, Primitive, Tap, Workers};
use crate::fixedpoint::Rounding;
use crate::ops::shared::differential::{Numbers, Ran, assert_all_ran};

/// One axis: any extents, or those whose weights have few binary digits.
fn axis(n: &mut Numbers, align_corners: bool, half_pixel_centers: bool) -> Steps {
    let from = n.size(1, 9);
    let to = match n.size(0, 3) {
        0 => 2 * from,
        1 => 4 * (from - 1) + 1,
        _ => n.size(1, 21),
    };
    Steps {
        from,
        to,
        align_corners,
        half_pixel_centers,
    }
}

fn expected<M: Mean>(
    picture: Picture,
    [rows, columns]: [&[Tap<M::Weight>]; 2],
    mean: M,
    input: &[u8],
) -> Vec<u8>
where
    M::Element: bytemuck::Pod,
{
    let batches = input.len() / (picture.height * picture.width * picture.depth);
    let mut output = vec![0; batches * rows.len() * columns.len() * picture.depth];
    let reference = Reference {
        picture,
        rows: rows.to_vec(),
        columns: columns.to_vec(),
        mean,
    };
    reference.resize(
        bytemuck::cast_slice(input),
        bytemuck::cast_slice_mut(&mut output),
    );
    output
}

/// Runs every variant with one and with three threads, and row by row.
fn compare(problem: &ResizeBilinear<'_>, input: &[u8], expected: &[u8], name: &str, ran: &mut Ran) {
    for variant in ResizeBilinearPrimitive::variants() {
        let Some(kernel) = (variant.prepare)(problem) else {
            continue;
        };
        ran.insert(variant.name);
        assert_eq!(kernel.name(), variant.name);
        for threads in [1, 3] {
            let mut workers = Workers::new(threads, KernelChoice::default());
            workers.reserve(1);
            let mut output = vec![0x55; expected.len()];
            kernel.run_all(input, &mut output, &workers);
            assert!(
                output == expected,
                "{}, {name}, {threads} threads",
                variant.name
            );
        }
        let mut output = vec![0x55; expected.len()];
        let rows = output.chunks_exact_mut(kernel.row_elements()).enumerate();
        rows.for_each(|(number, row)| kernel.run(input, row, number));
        assert!(output == expected, "{}, {name}, row by row", variant.name);
    }
}

#[test]
#[cfg_attr(miri, ignore = "hundreds of problems, hours under Miri")]
fn variants_give_the_reference_s_bits() {
    let mut ran = Ran::new();
    for seed in 0..400 {
        let n = &mut Numbers::new(seed);
        let element = n.one_of(&[Element8::Int8, Element8::UInt8]);
        let (align, half) = n.one_of(&[(false, false), (true, false), (false, true)]);
        let (vertical, horizontal) = (axis(n, align, half), axis(n, align, half));
        let channels = n.one_of(&[1, 2, 3, 7, 8, 9, 15, 16, 17, 21, 32, 40]);
        let (height, width) = (vertical.from, horizontal.from);
        let picture = Picture {
            height,
            width,
            depth: channels,
        };
        let input = n.size(1, 2) * height * width * channels;
        let input = n.bytes(input);
        let rounding = n.one_of(&[Rounding::Single, Rounding::Double]);
        let problem = |means| ResizeBilinear {
            element,
            height,
            width,
            channels,
            means,
        };
        let name = format!(
            "seed {seed}: {element:?}, {height}x{width}x{channels} to {}x{}",
            vertical.to, horizontal.to
        );
        match element {
            Element8::UInt8 => {
                let taps = [&vertical, &horizontal].map(|axis| axis.real().expect("within"));
                let taps = [&taps[0][..], &taps[1][..]];
                let expected = expected(picture, taps, InReal::<u8>::new(0.5), &input);
                compare(
                    &problem(Means::Real(taps)),
                    &input,
                    &expected,
                    &name,
                    &mut ran,
                );
            }
            Element8::Int8 => {
                let taps = [&vertical, &horizontal].map(|axis| axis.fixed().expect("within"));
                let taps = [&taps[0][..], &taps[1][..]];
                let expected = expected(picture, taps, InFixed::<i8>::new(rounding), &input);
                let means = Means::Fixed(taps, rounding);
                compare(&problem(means), &input, &expected, &name, &mut ran);
            }
        }
    }
    assert_all_ran::<ResizeBilinearPrimitive>(&ran);
}
